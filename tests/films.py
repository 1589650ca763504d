"""Tiny videos whose every frame says which one it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from worldgan.pictures import gif

FRAMES, STEP, FPS = 12, 20, 10
TOLERANCE = 6  # of 255, what the codecs change a plain frame by; frames differ by ``STEP``
CODECS = {".webm": "VP80", ".mp4": "mp4v"}


def plain(number: int, height: int = 24, width: int = 32) -> np.ndarray[Any, Any]:
    """Frame ``number`` of every video: one colour, brighter every time, red above blue."""
    return np.full((height, width, 3), (number * STEP, 0, number * STEP // 2), np.uint8)


def film(path: Path, count: int = FRAMES, height: int = 24, width: int = 32) -> None:
    frames = [plain(number, height, width) for number in range(count)]
    if path.suffix == ".gif":
        path.write_bytes(gif([Image.fromarray(frame) for frame in frames], FPS))
        return
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[path.suffix]), FPS, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
