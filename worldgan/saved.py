"""A trained model wherever it was kept: in the folder of a run, or in an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from worldgan.runtime import is_exported

if TYPE_CHECKING:
    from worldgan.runtime.tensors import ExportedRun
    from worldgan.training.checkpoint import Run


def saved(path: Path) -> Run | ExportedRun:
    """What has ``info().family``, ``model`` and ``starts``; nothing is read before they are asked for."""
    if is_exported(path):
        from worldgan.runtime.tensors import ExportedRun

        return ExportedRun(path)
    from worldgan.training.checkpoint import Run

    return Run(path)
