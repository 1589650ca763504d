"""Frames per second of the simulator at 64x64 RGB, and what a frame costs: parameters, GFLOP, memory.

Untrained weights: speed does not depend on what they are. Run alone on the machine: ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

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


def build(family: str) -> NextFrameModel:
    """The family's default model with untrained weights, in the precision that simulation uses."""
    config = from_mapping(FAMILIES[family].config, {})
    networks = FAMILIES[family].networks(SPEC, config, 0).requires_grad_(False).eval()
    return NextFrameModel(SPEC, config.backbone.context, networks.bfloat16() if uses_bf16("auto") else networks)


def starts(model: NextFrameModel, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.randint(256, (count, model.context, 3, 64, 64), dtype=torch.uint8, generator=torch_rng(0))
    return frames, torch.zeros(count, model.context - 1, SPEC.actions.size)


def gflop(model: NextFrameModel) -> float:
    """Multiply-adds counted twice, of one simulated step of one env: frame, reward and termination."""
    with FlopCounterMode(display=False) as counter:
        model.step(model.start(*starts(model, 1)), torch.zeros(1, SPEC.actions.size), torch_rng(0))
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
    results = {}
    for family in FAMILIES:
        model = build(family)
        count = sum(p.numel() for p in [*model.networks.predictor.parameters(), *model.networks.outcome.parameters()])
        rates = {str(batch): round(speed(model, batch)) for batch in (1, 16, 64)}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        results[family] = {"parameters": count, "gflop_per_frame": round(gflop(model), 3), "frames_per_second": rates}
        print(
            f"{family}: {count / 1e6:.2f}M parameters, {results[family]['gflop_per_frame']} GFLOP a frame; frames/s "
            + ", ".join(f"batch {batch}: {rate}" for batch, rate in rates.items())
            + f"; peak memory so far {memory:.2f} GB"
        )
    results["peak_memory_gb"] = round(memory, 2)
    results["threads"], results["precision"] = options.threads, "bf16" if uses_bf16("auto") else "fp32"
    if options.out:
        atomic_write(options.out, json.dumps(results, indent=2).encode())


if __name__ == "__main__":
    main()
