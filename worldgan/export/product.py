"""A trained run as a checked ONNX file, and the folder it is given away in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save as dump_tensors
from torch import Tensor

from worldgan.config import to_mapping
from worldgan.evaluation.speed import frames_per_second
from worldgan.export.check import Check, check
from worldgan.files import atomic_write
from worldgan.runtime.graph import StepGraph, write
from worldgan.runtime.model import Exported, ExportedModel
from worldgan.runtime.session import Card
from worldgan.simulator import SimulatedVectorEnv
from worldgan.training.checkpoint import Run

STARTS = 24
"""States to start from that are given away, where episodes began and anywhere in them."""
ROWS = 8
"""Rollouts compared at once."""
BATCHES = (1, 16)
"""Envs stepped at once when the speed is measured."""


@dataclass(frozen=True)
class Product:
    """An exported run.

    data: the ``.onnx`` file.    starts: tensors as in ``Run.starts``.    speed: frames/s by how many envs step at once.
    """

    data: bytes
    card: Card
    starts: dict[str, Tensor]
    check: Check
    speed: dict[int, float]

    def facts(self) -> bytes:
        """Card, check and speed as JSON."""
        speed = {str(batch): round(rate, 1) for batch, rate in self.speed.items()}
        found = {"card": to_mapping(self.card), "check": to_mapping(self.check), "frames_per_second": speed}
        return json.dumps(found, indent=2).encode()


def produce(run: Run, *, seed: int = 0, seconds: float = 1.0) -> Product:
    """Export and check; nothing is written that stays. seed: of the check.    seconds: for each measurement of speed.

    Raises WorldganError for an unusable run, a family that cannot leave torch, or a graph that differs from it.
    """
    info, starts = run.info(), _starts(run, seed)
    model = run.model(precision="fp32")
    graph = StepGraph(info.family, model.spec, model.context, model.networks)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write(graph, path)
        exported = Exported(path).model()
        begin = (starts["anywhere.frames"][:ROWS].numpy(), starts["anywhere.actions"][:ROWS].numpy())
        found = check(graph, exported, begin, seed=seed)
        found.require()
        speed = {batch: _speed(exported, begin, batch, seconds) for batch in BATCHES}
        return Product(path.read_bytes(), graph.card, starts, found, speed)


def save(product: Product, out: Path) -> Path:
    """Write ``model.onnx``, ``starts.safetensors`` beside it and ``export.json`` to folder ``out`` -> the model."""
    atomic_write(out / "starts.safetensors", dump_tensors(product.starts))
    atomic_write(out / "export.json", product.facts())
    atomic_write(out / "model.onnx", product.data)
    return out / "model.onnx"


def _starts(run: Run, seed: int) -> dict[str, Tensor]:
    """Some of those kept with the run, at random."""
    chosen: dict[str, Tensor] = {}
    for kind in ("beginnings", "anywhere"):
        frames, actions = run.starts(beginnings=kind == "beginnings")
        rows = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))[:STARTS]
        chosen |= {f"{kind}.frames": frames[rows], f"{kind}.actions": actions[rows]}
    return chosen


def _speed(exported: ExportedModel, starts: tuple[object, object], batch: int, seconds: float) -> float:
    env = SimulatedVectorEnv(exported, batch, starts=starts)  # type: ignore[arg-type]
    return frames_per_second(env, seconds=seconds)
