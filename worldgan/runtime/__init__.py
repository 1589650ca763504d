"""Exported models at work: a file of ``worldgan export`` and onnxruntime step the game, without torch."""

from __future__ import annotations

from pathlib import Path


def is_exported(path: str | Path) -> bool:
    """Whether a path names an exported model, and not the folder of a run."""
    return Path(path).suffix == ".onnx"
