"""Planners by name: the one place where a configuration becomes an agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from worldgan.actions import ActionSpec
from worldgan.agents.cem import CrossEntropy
from worldgan.agents.planner import Planner
from worldgan.agents.plans import Search
from worldgan.agents.shooting import RandomShooting
from worldgan.errors import WorldganError
from worldgan.types import WorldModel


@dataclass(frozen=True)
class PlannerConfig:
    """Of all planners. An action costs horizon * candidates * samples model steps, in cem times iterations.

    horizon: H, steps that a plan is long.    candidates: N, plans imagined per search, or per iteration of cem.
    samples: S, futures imagined per plan, averaged.    discount: per step.
    hold: longest time, in steps, that a random plan holds an action.    chunk: futures imagined at once.

    Of cem alone. iterations: per search.    elites: share of the candidates that the next are drawn like.
    smoothing: share of the old belief kept.    exploration: share of the uniform probability that every action
    keeps, or the least standard deviation of a box action, whose range is [-1, 1].
    """

    horizon: int = 12
    candidates: int = 64
    samples: int = 2
    discount: float = 0.99
    hold: int = 4
    iterations: int = 2
    elites: float = 0.1
    smoothing: float = 0.1
    exploration: float = 0.1
    chunk: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises WorldganError for a value that no planner can work with."""
        for name in ("horizon", "samples", "hold", "iterations", "chunk"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("candidates", self.candidates >= 2, "at least 2")
        self._check("elites", 0 < self.elites < 1, "between 0 and 1")
        for name in ("discount", "smoothing", "exploration"):
            self._check(name, 0 <= getattr(self, name) <= 1, "within 0..1")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise WorldganError(f"expected {name} {expected}, got {getattr(self, name)}")


def shooting(actions: ActionSpec, config: PlannerConfig) -> RandomShooting:
    """A random shooting search."""
    return RandomShooting(
        actions, horizon=config.horizon, candidates=config.candidates, hold=config.hold, seed=config.seed
    )


def cem(actions: ActionSpec, config: PlannerConfig) -> CrossEntropy:
    """A cross-entropy search."""
    return CrossEntropy(
        actions,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
        elites=config.elites,
        smoothing=config.smoothing,
        exploration=config.exploration,
        hold=config.hold,
        seed=config.seed,
    )


SEARCHES: dict[str, Callable[[ActionSpec, PlannerConfig], Search]] = {"shooting": shooting, "cem": cem}
"""Name -> how plans are searched for, whoever judges them: a learned model, or the truth in ``Oracle``."""


def _planner(
    search: Callable[[ActionSpec, PlannerConfig], Search], model: WorldModel[Any], config: PlannerConfig
) -> Planner:
    return Planner(
        model,
        search(model.spec.actions, config),
        samples=config.samples,
        discount=config.discount,
        chunk=config.chunk,
        seed=config.seed,
    )


PLANNERS: dict[str, Callable[[WorldModel[Any], PlannerConfig], Planner]] = {
    name: partial(_planner, search) for name, search in SEARCHES.items()
}
"""Name -> (model, config) -> the agent that plans in the imagination of the model."""
