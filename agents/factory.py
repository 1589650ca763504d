"""Planners by name: the one place where a configuration becomes an agent."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

from worldgan.actions import ActionSpec
from worldgan.agents.cem import CrossEntropy
from worldgan.agents.foresight import Foresees
from worldgan.agents.icem import FrugalCrossEntropy
from worldgan.agents.imagine import Value
from worldgan.agents.mcts import TreeSearch
from worldgan.agents.mppi import PathIntegral
from worldgan.agents.planner import Planner
from worldgan.agents.plans import Search
from worldgan.agents.shooting import RandomShooting
from worldgan.config import check_fields
from worldgan.errors import WorldganError, unknown
from worldgan.types import EnvSpec, WorldModel


@dataclass(frozen=True)
class PlannerConfig:
    """Of all planners. An action costs horizon * candidates * samples model steps, times iterations where there are.

    horizon: H, steps that a plan is long.    candidates: N, plans imagined per search, or per iteration.
    samples: S, futures imagined per plan, averaged.    discount: per step.
    hold: longest time, in steps, that a random plan holds an action.    chunk: futures imagined at once.

    Of cem, icem and mppi. iterations: per search.
    Of cem and icem. elites: share of the candidates that the next are drawn like.
    smoothing: share of the old belief kept.    exploration: share of the uniform probability that every action
    keeps, or the least standard deviation of a box action, whose range is [-1, 1].
    Of icem and mppi. color: how noise drifts over the steps of a plan, from 0, not at all; see ``coloured``.
    Of icem. decay: by how much the candidates get fewer from iteration to iteration, at least 1.
    Of mppi. disturbance: standard deviation of the noise.    temperature: in standard deviations of the returns;
    the lower, the more the best plan counts.

    Of mcts, which costs horizon * outcomes * samples model steps per simulation. simulations: per action.
    outcomes: that may follow an action, listed at one look.    widening: such chances are looked at again as often
    as visits ** widening, where the model counts samples.    puct: weight of trying what was seldom tried.
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
    color: float = 2.0
    decay: float = 1.25
    disturbance: float = 0.5
    temperature: float = 0.5
    simulations: int = 32
    outcomes: int = 4
    widening: float = 0.5
    puct: float = 1.25
    chunk: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises WorldganError for a value that no planner can work with."""
        check = partial(check_fields, self)
        check(lambda x: x >= 1, "at least 1", "horizon", "samples", "hold", "iterations", "chunk", "decay")
        check(lambda x: x >= 1, "at least 1", "simulations", "outcomes")
        check(lambda x: x >= 2, "at least 2", "candidates")
        check(lambda x: 0 < x < 1, "between 0 and 1", "elites")
        check(lambda x: x > 0, "above 0", "disturbance", "temperature")
        check(lambda x: x >= 0, "at least 0", "color", "puct")
        check(lambda x: 0 <= x <= 1, "within 0..1", "discount", "smoothing", "exploration", "widening")


class MakeSearch(Protocol):
    """Makes a ``Search``."""

    def __call__(self, actions: ActionSpec, config: PlannerConfig) -> Search:
        """For an action space. Raises WorldganError if it is of a kind that the search cannot work with."""


class MakePlanner(Protocol):
    """Makes an agent that plans."""

    def __call__(self, model: WorldModel[Any], config: PlannerConfig, *, value: Value | None = None) -> Foresees:
        """In the imagination of a model, with the ``value`` of what lies behind the horizon. Raises as MakeSearch."""


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


def icem(actions: ActionSpec, config: PlannerConfig) -> FrugalCrossEntropy:
    """A frugal cross-entropy search."""
    return FrugalCrossEntropy(
        actions,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
        elites=config.elites,
        smoothing=config.smoothing,
        exploration=config.exploration,
        color=config.color,
        decay=config.decay,
        seed=config.seed,
    )


def mppi(actions: ActionSpec, config: PlannerConfig) -> PathIntegral:
    """A path integral search."""
    return PathIntegral(
        actions,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
        disturbance=config.disturbance,
        temperature=config.temperature,
        color=config.color,
        seed=config.seed,
    )


SEARCHES: dict[str, MakeSearch] = {"shooting": shooting, "cem": cem, "icem": icem, "mppi": mppi}
"""Name -> how plans are searched for, whoever judges them: a learned model, or the truth in ``Oracle``."""


def planner(
    search: MakeSearch, model: WorldModel[Any], config: PlannerConfig, *, value: Value | None = None
) -> Planner:
    """An agent that carries out the best plan that a search finds, a step at a time."""
    return Planner(
        model,
        search(model.spec.actions, config),
        samples=config.samples,
        discount=config.discount,
        chunk=config.chunk,
        seed=config.seed,
        value=value,
    )


def mcts(model: WorldModel[Any], config: PlannerConfig, *, value: Value | None = None) -> TreeSearch:
    """A tree search."""
    return TreeSearch(
        model,
        horizon=config.horizon,
        simulations=config.simulations,
        outcomes=config.outcomes,
        samples=config.samples,
        discount=config.discount,
        hold=config.hold,
        chunk=config.chunk,
        puct=config.puct,
        widening=config.widening,
        seed=config.seed,
        value=value,
    )


PLANNERS: dict[str, MakePlanner] = {
    **{name: partial(planner, search) for name, search in SEARCHES.items()},
    "mcts": mcts,
}
"""Name -> (model, config) -> the agent that plans in the imagination of the model."""


def planner_named(name: str, others: Iterable[str] = ()) -> MakePlanner:
    """The planner of that name. Raises WorldganError for an unknown one; others: what it might have been as well."""
    if name not in PLANNERS:
        raise unknown("planner", name[:80], [*others, *PLANNERS])
    return PLANNERS[name]


def check_planner(name: str, spec: EnvSpec, config: PlannerConfig) -> None:
    """Raises WorldganError for an unknown planner, or one that cannot plan such actions, before there is a model."""
    untrained: Any = SimpleNamespace(spec=spec, context=1)  # no planner looks at more of a model before it acts
    planner_named(name)(untrained, config)


def planners_for(spec: EnvSpec) -> list[str]:
    """Names of the planners that can plan such actions."""
    found = []
    for name in PLANNERS:
        with suppress(WorldganError):
            check_planner(name, spec, PlannerConfig())
            found.append(name)
    return found
