"""Clocks that jump while a model is trained for minutes."""

from __future__ import annotations

import math
import time
from pathlib import Path
from random import Random
from unittest import mock

from tally import Tally
from tiny import tiny

from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

JUMPS = {"backwards": (-3600.0, 0.0), "forwards": (0.0, 3600.0), "both": (-3600.0, 3600.0), "stands still": (0.0, 0.0)}


def jump(folder: Path, data: Path, times: int, rng: Random) -> Tally:
    """time.time and time.monotonic jump by up to an hour, at one reading in twenty."""
    tally = Tally(
        "a clock that jumps during train --minutes",
        "training ends, its budget at least spent, with a checkpoint of finite numbers",
        "minutes: a monotonic clock set forwards spends the budget early, and --resume with more minutes goes on",
    )
    for number in range(times):
        kind = list(JUMPS)[number % len(JUMPS)]
        out = folder / f"clock{number}"
        clock = Clock(Random(rng.random()), *JUMPS[kind])
        with tally.case(f"{kind} {number}"), mock.patch("time.time", clock), mock.patch("time.monotonic", clock):
            train(data, tiny("mse", "training.minutes=0.02"), out)
            progress = Run(out).info().progress
            assert math.isfinite(progress["seconds"]), progress
            assert progress["seconds"] >= 1.2, progress
            assert Run(out).state()["step"] >= 1
        tally.count(kind)
    return tally


class Clock:
    """Goes as the real one does where it does not jump, or in steps of 1/64 s where it stands still in between."""

    def __init__(self, rng: Random, low: float, high: float) -> None:
        self.rng, self.low, self.high, self.shift = rng, low, high, 0.0
        self.real = time.perf_counter

    def __call__(self) -> float:
        if self.low == self.high:
            return math.floor(64 * self.real()) / 64  # as some systems' clocks do
        if self.rng.random() < 0.05:
            self.shift += self.rng.uniform(self.low, self.high)
        return self.real() + self.shift
