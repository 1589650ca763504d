"""The ONLY conversion between uint8 frames and what networks see, and the only resizing.

On disk and at every gymnasium boundary frames are uint8 [..., H, W, C] in 0..255;
inside networks they are float [..., C, H, W] in [-1, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worldgan.errors import WorldganError

if TYPE_CHECKING:
    from torch import Tensor

Frames = NDArray[np.uint8]

LARGEST = 64  # pixels; frames within it are kept as they are, so grid worlds stay exact
WIDEST = 2**13
"""Pixels of a side: far beyond use, so that a wrong file cannot ask for all memory."""


def to_float(frames: Tensor) -> Tensor:
    """uint8 [..., C, H, W] -> float32 [..., C, H, W] in [-1, 1]."""
    return frames.float().div_(127.5).sub_(1.0)


def to_uint8(frames: Tensor) -> Tensor:
    """float [..., C, H, W] -> uint8 [..., C, H, W], clipped to [-1, 1] and rounded."""
    return frames.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).byte()


def quantise(frames: Tensor) -> Tensor:
    """Round float frames to the 256 levels a real frame can have, so that feedback carries no sub-pixel noise."""
    return frames.add(1.0).mul_(127.5).round_().clamp_(0, 255).div_(127.5).sub_(1.0)


def to_tensor(frames: Frames) -> Tensor:
    """uint8 array [..., H, W, C] -> uint8 tensor [..., C, H, W], contiguous and a copy."""
    import torch  # here, since envs need pixels and no torch

    return torch.from_numpy(np.array(np.moveaxis(frames, -1, -3), order="C"))


def to_array(frames: Tensor) -> Frames:
    """uint8 tensor [..., C, H, W] -> uint8 array [..., H, W, C], contiguous and a copy."""
    return np.array(np.moveaxis(frames.cpu().numpy(), -3, -1), order="C")


def resize(frame: Frames, height: int, width: int) -> Frames:
    """uint8 [H, W, C] -> uint8 [height, width, C]: area averaging when shrinking, nearest when growing.

    Nearest keeps small grid worlds exact; area keeps one-pixel objects visible, if faint.
    """
    if frame.shape[:2] == (height, width):
        return frame
    shrinking = height <= frame.shape[0] and width <= frame.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_NEAREST
    if frame.shape[-1] == 3:
        return np.asarray(cv2.resize(frame, (width, height), interpolation=method), np.uint8)
    planes = [cv2.resize(frame[..., c], (width, height), interpolation=method) for c in range(frame.shape[-1])]
    return np.stack(planes, axis=-1).astype(np.uint8)


def fit(frame: Frames, size: int | None) -> Frames:
    """uint8 [h, w, C] -> uint8 [H, W, C] of sides ``size``; None keeps 64 pixels or less and shrinks more."""
    height, width, _ = frame.shape
    if size is None and max(height, width) <= LARGEST:
        return frame
    side = size or LARGEST
    return resize(frame, side, side)


def check_size(size: int | None) -> None:
    """Raises WorldganError unless ``size`` is None or 8 to ``WIDEST`` pixels."""
    if size is not None and not 8 <= size <= WIDEST:
        raise WorldganError(f"expected a size of at least 8 pixels and at most {WIDEST}, got {size}")


def to_rgb(frames: NDArray[Any]) -> Frames:
    """uint8 [..., H, W, C] of any C -> uint8 [..., H, W, 3] to look at.

    One channel becomes grey, two or more than three get one hue each and are added up.
    """
    channels = frames.shape[-1]
    if channels == 3:
        return np.asarray(frames, np.uint8)
    if channels == 1:
        return np.repeat(frames, 3, axis=-1)
    hues = np.stack([np.arange(channels) * 180 / channels, np.full(channels, 200), np.full(channels, 255)], -1)
    palette = cv2.cvtColor(hues[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    return np.asarray(np.clip(frames.astype(np.float32) @ (palette / 255.0), 0, 255), np.uint8)
