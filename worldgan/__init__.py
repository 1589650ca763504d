"""worldgan: learn the distribution of the next frame with a GAN, step it as a gymnasium env, plan in it.

Importing it registers its envs with gymnasium: ``worldgan/Simulator-v0`` and the built-in ones.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from worldgan import envs
from worldgan.errors import WorldganError
from worldgan.runtime import is_exported
from worldgan.version import VERSION

if TYPE_CHECKING:
    from worldgan.types import WorldModel

__all__ = ["WorldganError", "envs", "load"]
__version__ = VERSION


def load(run: str | Path, **options: Any) -> WorldModel[Any]:
    """The world model trained in folder ``run``, or exported to an ``.onnx`` file, which onnxruntime then runs.

    Where torch is not installed, a file gives an ``ExportedModel``, which steps arrays in place of tensors and which
    ``worldgan.runtime.planning`` plans with; a run needs torch.

    options: of ``worldgan.training.checkpoint.load``, or ``worldgan.runtime.tensors.load``.
    """
    # Imported only when needed: torch takes two seconds.
    if is_exported(run) and find_spec("torch") is None:
        from worldgan.runtime.model import Exported

        return Exported(run).model(**options)  # type: ignore[return-value]  # no tensors, so none in its methods
    if is_exported(run):
        from worldgan.runtime.tensors import load as load_file

        return load_file(run, **options)
    from worldgan.training.checkpoint import load as load_run

    return load_run(run, **options)


if "worldgan/Simulator-v0" not in gymnasium.registry:
    gymnasium.register(
        "worldgan/Simulator-v0",
        entry_point="worldgan.simulator:SimulatedEnv",
        vector_entry_point="worldgan.simulator:SimulatedVectorEnv",
    )
