"""How training goes from update to update: running numbers of its metrics, and when one of them means trouble."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from worldgan.types import Metrics

LATEST, RECENT, PAST = 5, 25, 300
"""Updates that must be well for a checkpoint, those that count as now, and those they are compared with."""
RISEN, PATIENCE, EXACT = 3.0, 50, 0.1
"""Diverged: an error this many times its own best for so many updates; one below a tenth of copying is no matter.

Nor is a discriminator then that only guesses: where the real frame and the fake are nearly the same, it is right to.
"""
VANISHED, EXPLODED = 0.02, 50.0
"""A gradient's norm over its usual one."""
BLIND, CONTENT = 0.02, 0.01
"""A discriminator: how near to guessing, and how little it has left to learn."""


class Pulse:
    """Fed with the metrics of every update. It is part of a run's state, so that a resumed run decides alike.

    Medians, since single batches of little motion have errors and gradients of any size.
    """

    def __init__(self) -> None:
        self.errors: deque[float] = deque(maxlen=RECENT)
        self.norms: deque[float] = deque(maxlen=PAST)
        self.game: deque[tuple[float, float]] = deque(maxlen=PAST)
        self.best, self.horizon, self.high = math.inf, 0.0, 0

    def beat(self, metrics: Metrics) -> None:
        """One update. Metrics that a family does not have are never missed."""
        horizon = metrics.get("horizon", self.horizon)
        if horizon != self.horizon:  # longer rollouts have larger errors
            self.errors.clear()
            self.best, self.horizon, self.high = math.inf, horizon, 0
        if "reconstruction" in metrics:
            self.errors.append(metrics["reconstruction"])
        if "norm/generator" in metrics:
            self.norms.append(metrics["norm/generator"])
        if "told_apart" in metrics:
            self.game.append((metrics["told_apart"], metrics["eagerness"]))
        if len(self.errors) == RECENT:
            self.best = min(self.best, median(self.errors))
        self.high = self.high + 1 if self.risen > RISEN else 0

    @property
    def risen(self) -> float:
        """The reconstruction error now over its own best at this horizon."""
        return self.error / max(self.best, EXACT) if len(self.errors) == RECENT else 1.0

    @property
    def error(self) -> float:
        """The reconstruction error now, over that of copying the last frame; 0 while there is none."""
        return median(self.errors) if self.errors else 0.0

    @property
    def calm(self) -> bool:
        """Whether no error of the latest updates is far above the best: what the model has become is worth keeping."""
        return max(list(self.errors)[-LATEST:], default=0.0) <= RISEN * max(self.best, EXACT)

    @property
    def rising(self) -> bool:
        """Whether most of them are, so that it is not."""
        return median([0.0, *self.errors][-LATEST:]) > RISEN * max(self.best, EXACT)

    @property
    def diverged(self) -> bool:
        """Whether the error has been far above its best for long."""
        return self.high >= PATIENCE

    def numbers(self) -> Metrics:
        """What can be said by now: error_to_copying, error_to_best, gradient_to_usual, told_apart, eagerness."""
        found = {"error_to_copying": self.error, "error_to_best": self.risen}
        if len(self.norms) == PAST:
            found["gradient_to_usual"] = median(list(self.norms)[-RECENT:]) / max(median(self.norms), 1e-12)
        if len(self.game) == PAST:
            told, eager = zip(*self.game, strict=True)
            found |= {"told_apart": sum(told) / PAST, "eagerness": sum(eager) / PAST}
        return found

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        lists = {name: list(getattr(self, name)) for name in ("errors", "norms", "game")}
        return {**lists, "best": self.best, "horizon": self.horizon, "high": self.high}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        for name in ("errors", "norms", "game"):
            held: deque[Any] = getattr(self, name)
            held.clear()
            held.extend(state[name])
        self.best, self.horizon, self.high = state["best"], state["horizon"], state["high"]


def troubles(found: Metrics) -> dict[str, str]:
    """Kind -> one plain line, for ``Pulse.numbers``. Numbers that are missing mean no trouble."""
    troubles, gradient = {}, found.get("gradient_to_usual", 1.0)
    if found.get("error_to_best", 1.0) > RISEN:
        troubles["divergence"] = (
            f"the reconstruction error is {found['error_to_best']:.1f} times its own best; no checkpoint is written "
            "until it falls"
        )
    if gradient < VANISHED:
        troubles["vanishing gradient"] = (
            f"the generator's gradient is down to {gradient:.1%} of its usual size: it has all but stopped learning"
        )
    if gradient > EXPLODED:
        troubles["exploding gradient"] = (
            f"the generator's gradient is {gradient:.0f} times its usual size: lower optimiser.rate or adversary.weight"
        )
    if found.get("eagerness", 1.0) < CONTENT:
        troubles["saturated discriminator"] = (
            f"the discriminator tells {found['told_apart']:.1%} of frames apart and has nothing left to learn: lower "
            "adversary.optimiser.rate, or raise adversary.penalty"
        )
    if abs(found.get("told_apart", 1.0) - 0.5) < BLIND and found.get("error_to_copying", 0.0) > EXACT:
        troubles["blind discriminator"] = (
            f"the discriminator only guesses (right in {found['told_apart']:.1%}), though frames still err by "
            f"{found['error_to_copying']:.0%} of what copying the last does: raise adversary.optimiser.rate, or lower "
            "adversary.penalty"
        )
    return troubles
