"""How cost grows with resolution, context, batch and candidates: seconds of the default gan, exponents, a plot.

Simulated steps and updates, of 32 rows at 64x64 with 4 frames of context but for what is varied; and actions planned by
random shooting among plans of 4 steps with one future each. An exponent is a slope on logarithmic axes: over all sizes,
and between the last two, which says what comes next where small ones cost no more than the calls. Run alone on the
machine; it goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from roofline import Act, seconds, update
from simulate import SPEC, build, starts

from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.evaluation.figures import COLOURS, Line, Panel, chart, sheet
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.models.world import NextFrameModel
from worldgan.progress import progress
from worldgan.simulator import SimulatedVectorEnv
from worldgan.types import EnvSpec

Note = Callable[[str], None]
"""Hears how far a long act is."""
Curve = dict[str, float]
"""Size -> seconds."""
Results = dict[str, dict[str, Curve]]
"""Axis -> job -> curve."""


@dataclass(frozen=True)
class Size:
    resolution: int = 64
    context: int = 4
    batch: int = 32
    candidates: int = 0

    @property
    def spec(self) -> EnvSpec:
        return replace(SPEC, frame=(self.resolution, self.resolution, 3))


class Noted:
    """A world model that tells how many frames it has imagined."""

    def __init__(self, model: NextFrameModel, note: Note) -> None:
        self.model, self.note, self.frames = model, note, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def step(self, state: Any, action: torch.Tensor, generator: torch.Generator) -> Any:
        self.frames += len(action)
        self.note(f"{self.frames:,} frames imagined")
        return self.model.step(state, action, generator)


def simulated(size: Size, note: Note) -> Act:
    model = build("gan", size.spec, context=size.context)
    env = SimulatedVectorEnv(model, size.batch, starts=starts(model, 64), horizon=1000)
    env.reset(seed=0)
    actions = np.zeros(size.batch, np.int64)
    return lambda: env.step(actions)


def updated(size: Size, note: Note) -> Act:
    return update("gan", size.spec, batch=size.batch, context=size.context)


def planned(size: Size, note: Note) -> Act:
    config = PlannerConfig(horizon=4, candidates=size.candidates, samples=1)
    agent = PLANNERS["shooting"](Noted(build("gan", size.spec), note), config)
    return lambda: agent.act(np.zeros((1, *size.spec.frame), np.uint8))


JOBS = {"simulated step": simulated, "update": updated, "planned action": planned}
BATCHED = ("simulated step", "update")
AXES = {"resolution": BATCHED, "context": BATCHED, "batch": BATCHED, "candidates": ("planned action",)}


def exponents(curve: Curve) -> list[float]:
    """Over all points, and between the last two; none of a single point."""
    x, y = np.log([int(size) for size in curve]), np.log(list(curve.values()))
    return [float(np.polyfit(x[last:], y[last:], 1)[0]) for last in (0, -2)] if len(x) > 1 else []


def table(results: Results) -> str:
    lines = ["| by | seconds of | | exponent | at last |", "| --- | --- | --- | ---: | ---: |"]
    for axis, jobs in results.items():
        for job, curve in jobs.items():
            told = ", ".join(f"{size}: {took:.3g}" for size, took in curve.items())
            lines.append(" | ".join([f"| {axis}", job, told, *(f"{found:.2f}" for found in exponents(curve))]) + " |")
    return "\n".join(lines)


def panel(axis: str, jobs: dict[str, Curve]) -> Panel:
    lines = []
    for colour, (job, curve) in zip(COLOURS, jobs.items(), strict=False):
        label = ", ".join([job, *(f"{found:.2f}" for found in exponents(curve))])
        lines.append(Line(label, [int(size) for size in curve], list(curve.values()), colour))
    title = f"Seconds by {axis}; exponents over all and at last"
    return Panel(title, axis, lines, logx=True, logy=True)


def measure(results: Results, sizes: Mapping[str, Sequence[int]], path: Path) -> None:
    """Add to the results, and to the file at ``path``, what they do not have yet."""
    todo = [(axis, job, size) for axis, jobs in AXES.items() for job in jobs for size in sizes[axis]]
    with progress("growth", len(todo), unit="measurements") as report:

        def note(done: int, name: str, text: str = "") -> None:
            report(done, f"{name}  {text}")

        for done, (axis, job, size) in enumerate(todo):
            curve = results.setdefault(axis, {}).setdefault(job, {})
            if str(size) not in curve:
                now = partial(note, done, f"{job}, {axis} {size:,}")
                now()
                curve[str(size)] = seconds(JOBS[job](replace(Size(), **{axis: size}), now))
                results[axis][job] = dict(sorted(curve.items(), key=lambda each: int(each[0])))
                atomic_write(path, json.dumps(results, indent=1).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, nargs="*", default=[32, 64, 96, 128])
    parser.add_argument("--context", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4, 16, 64, 256])
    parser.add_argument("--candidates", type=int, nargs="*", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/results/growth"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    path = options.out / "growth.json"
    results: Results = json.loads(path.read_text()) if path.exists() else {}
    measure(results, vars(options), path)
    atomic_write(options.out / "growth.png", sheet([chart(panel(axis, jobs)) for axis, jobs in results.items()]))
    print(table(results))


if __name__ == "__main__":
    main()
