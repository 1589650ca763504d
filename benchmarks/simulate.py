"""Frames per second of the simulator at 64x64 RGB by every runtime, beside a real emulator, and what a frame costs.

Untrained weights: speed does not depend on what they are. Run alone on the machine. ``make bench`` prints the figures
of torch as shares of what the machine can do, too (``roofline.py``).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from worldgan import envs
from worldgan.actions import ActionSpec
from worldgan.config import from_mapping
from worldgan.device import Precision, uses_bf16
from worldgan.errors import WorldganError
from worldgan.evaluation.speed import frames_per_second
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.models import FAMILIES
from worldgan.models.world import NextFrameModel
from worldgan.runtime.choice import exported, installed
from worldgan.runtime.model import ExportedModel
from worldgan.seeding import torch_rng
from worldgan.simulator import SimulatedVectorEnv
from worldgan.types import EnvSpec

SPEC = EnvSpec("benchmark", (64, 64, 3), ActionSpec("discrete", (4,)))
BATCHES = (1, 16, 64, 256)
RUNTIMES = ("torch", "torch.compile", "onnxruntime", "openvino")
EMULATED = "ALE/Pong-v5"


def build(family: str, spec: EnvSpec = SPEC, *, precision: Precision = "auto", **backbone: int) -> NextFrameModel:
    """The family's default model but for its backbone's settings, untrained; "auto" is what simulation computes in."""
    config = from_mapping(FAMILIES[family].config, {"backbone": backbone})
    networks = FAMILIES[family].networks(spec, config, 0).requires_grad_(False).eval()
    return NextFrameModel(spec, config.backbone.context, networks.bfloat16() if uses_bf16(precision) else networks)


def on(runtime: str, family: str) -> NextFrameModel | ExportedModel:
    """The family's default model there. Raises WorldganError if it cannot leave torch."""
    if runtime == "torch":
        return build(family)
    if runtime == "torch.compile":  # for this table alone: it compiles for half a minute for every batch
        model = build(family)
        model.predictor.sample_from = torch.compile(model.predictor.sample_from, dynamic=False)
        model.networks.outcome.predict = torch.compile(model.networks.outcome.predict, dynamic=False)
        return model
    return exported(runtime, family, lambda precision: build(family, precision=precision))


def pixels(spec: EnvSpec, rows: int, length: int) -> torch.Tensor:
    """Random frames, uint8 [rows, length, C, H, W]."""
    height, width, channels = spec.frame
    return torch.randint(256, (rows, length, channels, height, width), dtype=torch.uint8, generator=torch_rng(0))


def starts(model: NextFrameModel | ExportedModel, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    actions = torch.zeros(count, model.context - 1, model.spec.actions.size)
    return pixels(model.spec, count, model.context), actions


def step(model: NextFrameModel) -> None:
    """One simulated step of one env: frame, reward and termination."""
    model.step(model.start(*starts(model, 1)), torch.zeros(1, model.spec.actions.size), torch_rng(0))


def gflop(act: Callable[[], object]) -> float:
    """What an act computes in convolutions and matmuls, multiply-adds counted twice."""
    with FlopCounterMode(display=False) as counter:
        act()
    return counter.get_total_flops() / 1e9


def speed(model: NextFrameModel | ExportedModel, batch: int, seconds: float = 3.0) -> float:
    """Through the gymnasium vector env, rewards, terminations and autoreset included."""
    return frames_per_second(SimulatedVectorEnv(model, batch, starts=starts(model, 64), horizon=1000), seconds=seconds)


def emulator(seconds: float = 3.0) -> float:
    """Steps of one real env a second, of four emulated frames each, shown as 64x64 RGB; the median of three."""
    env, rates = envs.make(EMULATED), []
    env.reset(seed=0)
    for _ in range(3):
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            _, _, terminated, truncated, _ = env.step(steps % 6)
            steps += 1
            if terminated or truncated:
                env.reset()
        rates.append(steps / (time.perf_counter() - began))
    return statistics.median(rates)


def measured(family: str, runtimes: list[str], seconds: float) -> dict[str, Any]:
    """Cost of a frame, and frames/s by runtime and batch, printed as they are found."""
    model, rates = build(family), {}
    count = sum(p.numel() for p in [*model.networks.predictor.parameters(), *model.networks.outcome.parameters()])
    cost = round(gflop(partial(step, model)), 3)
    for runtime in runtimes:
        try:
            stepped = on(runtime, family)
        except WorldganError as error:
            print(f"{family}, {runtime}: {error}", flush=True)
            continue
        found = rates[runtime] = {str(batch): round(speed(stepped, batch, seconds)) for batch in BATCHES}
        told = " | ".join(f"{rate}" for rate in found.values())
        print(f"| {family} | {count / 1e6:.2f}M | {cost} | {runtime} | {told} |", flush=True)
    return {"parameters": count, "gflop_per_frame": cost, "frames_per_second": rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--runtimes", nargs="*", choices=RUNTIMES, help="those that are installed")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, which are three")
    parser.add_argument("--out", type=Path, default=Path("docs/results/simulate.json"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    runtimes = options.runtimes or ["torch", *(name for name in ("onnxruntime", "openvino") if installed(name))]
    print("| family | parameters | GFLOP a frame | runtime |", " | ".join(f"batch {batch}" for batch in BATCHES), "|")
    print("| --- | ---: | ---: | --- |" + len(BATCHES) * " ---: |", flush=True)
    results: dict[str, Any] = {family: measured(family, runtimes, options.seconds) for family in options.families}
    if installed("ale-py"):
        results["emulator"] = {"env": EMULATED, "steps_per_second": round(emulator())}
        print(f"one {EMULATED}: {results['emulator']['steps_per_second']} steps/s")
    results["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    results["threads"], results["precision"] = options.threads, "bf16" if uses_bf16("auto") else "fp32"
    print(f"peak memory {results['peak_memory_gb']} GB")
    atomic_write(options.out, json.dumps(results, indent=2).encode())


if __name__ == "__main__":
    main()
