"""What steps a run's model: torch, or another runtime that steps it faster on this machine."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import torch

from worldgan.arrays import Array, ArrayModel
from worldgan.device import Precision
from worldgan.errors import WorldganError, unknown
from worldgan.files import atomic_write
from worldgan.models.world import NextFrameModel, NoisePredictor
from worldgan.runtime.compiled import Compiled
from worldgan.runtime.graph import StepGraph, stepping, traced, write
from worldgan.runtime.model import ExportedModel
from worldgan.runtime.session import Session
from worldgan.runtime.tensors import AsArrays

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
"""What can be asked for; "auto" is the fastest of those that are installed."""
SECONDS = 0.3
"""For which each is measured."""

Start = tuple[Array, Array]
"""uint8 frames [M, K, C, H, W] and the encoded actions [M, K - 1, A] between them."""


def stepper(
    build: Callable[[Precision], NextFrameModel], family: str, runtime: Runtime, rows: int, start: Start, notes: Path
) -> NextFrameModel | ExportedModel:
    """The model that ``build`` makes, on the runtime asked for.

    "auto" measures once which is fastest for as many rows, here, and remembers it in the file ``notes``. On a GPU, and
    for a family whose samples are no function of given noise, it is torch.
    Raises WorldganError for a runtime that there is not, or that cannot step this model.
    """
    if runtime not in get_args(Runtime):
        raise unknown("runtime", runtime, get_args(Runtime))
    if runtime == "torch":
        return build("auto")
    others = {name: cache(partial(exported, name, family, build)) for name in ("onnxruntime", "openvino")}
    if runtime != "auto":
        return others[runtime]()
    ours = build("auto")
    if ours.device.type != "cpu" or not isinstance(ours.predictor, NoisePredictor):
        return ours
    found = {name: other for name, other in others.items() if installed(name) and installed("onnx")}
    models: dict[str, Callable[[], Any]] = {"torch": lambda: ours, **found}
    return models[fastest(models, rows, start, notes)]()  # type: ignore[no-any-return]


def exported(runtime: str, family: str, build: Callable[[Precision], NextFrameModel]) -> ExportedModel:
    """The model on another runtime than torch. Raises WorldganError if family, device or machine cannot."""
    model = build("fp32")
    if model.device.type != "cpu":
        raise WorldganError(f"expected runtime torch on device {model.device.type}, got {runtime}")
    graph = stepping(StepGraph(family, model.spec, model.context, model.networks))
    threads = torch.get_num_threads()
    if runtime == "openvino":
        return ExportedModel(Compiled(traced(graph), graph.card, threads=threads))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write(graph, path)
        return ExportedModel(Session(path, threads=threads))


def installed(package: str) -> str:
    """Its version; empty if it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def fastest(models: Mapping[str, Callable[[], Any]], rows: int, start: Start, notes: Path) -> str:
    """The name of the model that steps most rows a second.

    The file ``notes`` remembers what was measured, for a power of two of rows and as long as machine and versions stay
    the same; where it cannot be written, nothing is remembered.
    """
    if len(models) == 1:
        return next(iter(models))
    rows = 1 << (rows - 1).bit_length()
    versions = {name: f"{name} {installed(name)}" for name in models}
    machine = f"{rows} envs, {torch.get_num_threads()} threads of {_processor()}"
    known = _read(notes)
    rates = known.get(machine, {})
    if rates.keys() != set(versions.values()):
        rates = {versions[name]: round(_rate(model(), rows, start), 1) for name, model in models.items()}
        with suppress(WorldganError):
            atomic_write(notes, json.dumps({**known, machine: rates}, indent=2).encode())
    return max(models, key=lambda name: rates[versions[name]])


def _rate(model: NextFrameModel | ExportedModel, rows: int, start: Start) -> float:
    """Rows stepped per second; the first step, in which much is compiled, is not counted."""
    stepped: ArrayModel[Any] = model if isinstance(model, ExportedModel) else AsArrays(model)
    chosen = np.arange(rows) % len(start[0])
    state, generator = stepped.start(start[0][chosen], start[1][chosen]), stepped.generator(0)
    action = np.zeros((rows, stepped.spec.actions.size), np.float32)
    stepped.step(state, action, generator)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        _, state = stepped.step(state, action, generator)
        steps += 1
    return rows * steps / (time.perf_counter() - began)


def _read(notes: Path) -> dict[str, dict[str, float]]:
    """What is remembered; nothing if that is damaged."""
    try:
        found = json.loads(notes.read_text())
        return {machine: {name: float(rate) for name, rate in rates.items()} for machine, rates in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _processor() -> str:
    """Its name; where the system does not tell, its kind."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
