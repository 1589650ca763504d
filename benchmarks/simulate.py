"""Frames per second of the simulator at 64x64 RGB, and what a frame costs: parameters, GFLOP, memory.

Untrained weights: speed does not depend on what they are. Run alone on the machine. ``make bench`` prints the same
figures as shares of what the machine can do (``roofline.py``).
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from worldgan.actions import ActionSpec
from worldgan.config import from_mapping
from worldgan.evaluation.speed import frames_per_second
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.models import FAMILIES
from worldgan.models.learning import uses_bf16
from worldgan.models.world import NextFrameModel
from worldgan.seeding import torch_rng
from worldgan.simulator import SimulatedVectorEnv
from worldgan.types import EnvSpec

SPEC = EnvSpec("benchmark", (64, 64, 3), ActionSpec("discrete", (4,)))
BATCHES = (1, 16, 64, 256)


def build(family: str, spec: EnvSpec = SPEC, **backbone: int) -> NextFrameModel:
    """The family's default model but for its backbone's settings, untrained, in the precision that simulation uses."""
    config = from_mapping(FAMILIES[family].config, {"backbone": backbone})
    networks = FAMILIES[family].networks(spec, config, 0).requires_grad_(False).eval()
    return NextFrameModel(spec, config.backbone.context, networks.bfloat16() if uses_bf16("auto") else networks)


def pixels(spec: EnvSpec, rows: int, length: int) -> torch.Tensor:
    """Random frames, uint8 [rows, length, C, H, W]."""
    height, width, channels = spec.frame
    return torch.randint(256, (rows, length, channels, height, width), dtype=torch.uint8, generator=torch_rng(0))


def starts(model: NextFrameModel, count: int) -> tuple[torch.Tensor, torch.Tensor]:
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


def speed(model: NextFrameModel, batch: int) -> float:
    """Through the gymnasium vector env, rewards, terminations and autoreset included."""
    return frames_per_second(SimulatedVectorEnv(model, batch, starts=starts(model, 64), horizon=1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {}
    for family in FAMILIES:
        model = build(family)
        count = sum(p.numel() for p in [*model.networks.predictor.parameters(), *model.networks.outcome.parameters()])
        rates = {str(batch): round(speed(model, batch)) for batch in BATCHES}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cost = round(gflop(partial(step, model)), 3)
        results[family] = {"parameters": count, "gflop_per_frame": cost, "frames_per_second": rates}
        print(
            f"{family}: {count / 1e6:.2f}M parameters, {cost} GFLOP a frame; frames/s "
            + ", ".join(f"batch {batch}: {rate}" for batch, rate in rates.items())
            + f"; peak memory so far {memory:.2f} GB",
            flush=True,
        )
    results["peak_memory_gb"] = round(memory, 2)
    results["threads"], results["precision"] = options.threads, "bf16" if uses_bf16("auto") else "fp32"
    if options.out:
        atomic_write(options.out, json.dumps(results, indent=2).encode())


if __name__ == "__main__":
    main()
