"""What a benchmark consists of: envs x competitors x seeds x budgets of real steps, one ``Job`` for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import gymnasium
from gymnasium.wrappers import TimeLimit

from worldgan import envs
from worldgan.config import from_mapping
from worldgan.errors import WorldganError, unknown
from worldgan.evaluation.held_out import check_counts
from worldgan.types import Agent, EnvSpec

MOST = 100_000
"""Runs of a benchmark, and points of its curves: far beyond use, so that a wrong file cannot ask for all memory."""


class Learnt(NamedTuple):
    """agent: plays as well as it learnt to.    steps: real ones that it took.

    curve: (real steps, return) while it learnt, rising steps; empty if it did not play by then what it learnt.
    resumed: whether it would go on from what an interrupted attempt had learnt, and not begin anew.
    """

    agent: Agent
    steps: int
    curve: list[tuple[int, float]]
    resumed: bool = False


class Competitor(Protocol):
    """A frozen dataclass whose fields are the settings."""

    def check(self, job: Job) -> None:
        """Raises WorldganError for what would fail only after a while."""

    def learn(self, job: Job) -> Learnt:
        """Learn from at most ``job.budget`` real steps, or as few more as finish an episode or an update."""


@dataclass(frozen=True)
class Job:
    """One run.    name: of the competitor.    options: of the env.    root: folder of the benchmark.

    threads: of torch; None leaves them as they are.
    """

    env: str
    options: dict[str, Any]
    name: str
    competitor: Competitor
    seed: int
    budget: int
    episodes: int
    max_steps: int
    root: str
    threads: int | None = None

    def make_env(self) -> gymnasium.Env[Any, Any]:
        """A new env, as all that learn and are scored play it: longer episodes than ``max_steps`` are truncated."""
        return TimeLimit(envs.make(self.env, **self.options), self.max_steps)

    def spec(self) -> EnvSpec:
        """Of that env. Raises WorldganError if there is none."""
        return envs.spec(self.env, self.options)

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.name} on {self.env}, {self.budget:,} steps, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """For the result and what the competitor keeps."""
        env = self.env.replace("/", "-").replace(":", "-")
        return Path(self.root) / "runs" / f"{env}-{self.name}-{self.budget}-{self.seed}"


@dataclass(frozen=True)
class Suite:
    """What a YAML file of ``worldgan bench`` holds.

    envs: id -> options of the env.    seeds: runs of each, seeds 0, 1, ...
    competitors: name -> its settings, among which ``budgets`` may stand in for those of all.
    budgets: real steps to learn from.    episodes: played after learning, whose mean return is the final score.
    max_steps: longer ones are truncated, while learning too.    points: of learning curves.
    scales: id -> the two fixed returns that become 0 and 1 in aggregates, instead of random play and the best of all.
    """

    envs: dict[str, Any] = field(default_factory=dict)
    competitors: dict[str, Any] = field(default_factory=dict)
    seeds: int = 5
    budgets: tuple[int, ...] = (100_000,)
    episodes: int = 30
    max_steps: int = 1000
    points: int = 10
    scales: dict[str, Any] = field(default_factory=dict)


def jobs(suite: Suite, known: Mapping[str, type[Any]], root: str, *, threads: int | None = None) -> list[Job]:
    """All runs of a suite, seeds last, so that an early report has all competitors.    known: name -> class.

    threads: see ``Job``.
    Raises WorldganError for whatever would otherwise be found only hours later.
    """
    if not suite.envs or not suite.competitors or not suite.budgets:
        raise WorldganError("expected envs, competitors and budgets of one or more in a benchmark, got none")
    counts = {"seeds": suite.seeds, "episodes": suite.episodes, "max_steps": suite.max_steps}
    check_counts(**counts, points=suite.points, budgets=min(suite.budgets))
    runs = suite.seeds * len(suite.envs) * sum(len(_budgets(suite, name)) for name in suite.competitors)
    if runs > MOST or suite.points > MOST:
        raise WorldganError(f"expected at most {MOST:,} runs in a benchmark, and points of its curves, got more")
    for where, named in (("envs", suite.envs), ("competitors", suite.competitors)):
        for name, options in named.items():
            if not (
                isinstance(options or {}, Mapping) and all(isinstance(key, str) for key in (name, *(options or {})))
            ):
                raise WorldganError(f"expected {where} and options of theirs by name, got {name!r}: {options!r}")
    for env, scale in suite.scales.items():
        _check_scale(env, scale, suite.envs)
    lengths = (suite.episodes, suite.max_steps)
    found = [
        Job(env, dict(suite.envs[env] or {}), name, competitor, seed, budget, *lengths, root, threads)
        for seed, budget, env, (name, competitor) in product(
            range(suite.seeds), _all_budgets(suite), suite.envs, _made(suite, known)
        )
        if budget in _budgets(suite, name)
    ]
    for env in suite.envs:
        envs.spec(env, suite.envs[env])
    for job in found:
        if job.seed == 0:
            job.competitor.check(job)
    return found


def _made(suite: Suite, known: Mapping[str, type[Any]]) -> Iterator[tuple[str, Competitor]]:
    for name, settings in suite.competitors.items():
        if name not in known:
            raise unknown("competitor", name, known)
        own = {key: value for key, value in (settings or {}).items() if key != "budgets"}
        yield name, from_mapping(known[name], own, where=f"competitors.{name}.")


def _budgets(suite: Suite, name: str) -> tuple[int, ...]:
    """Of one competitor. Raises WorldganError for anything but whole numbers of 1 or more."""
    settings = suite.competitors[name]
    found = settings.get("budgets", suite.budgets) if isinstance(settings, Mapping) else suite.budgets
    if not isinstance(found, list | tuple) or not all(type(each) is int and each >= 1 for each in found):
        raise WorldganError(f"expected competitors.{name}.budgets like [100000, 500000], got {found!r}")
    return tuple(found)


def _all_budgets(suite: Suite) -> list[int]:
    """Those of all, then others."""
    return list(dict.fromkeys(each for name in suite.competitors for each in (*suite.budgets, *_budgets(suite, name))))


def _check_scale(env: str, scale: Any, known: Mapping[str, Any]) -> None:
    """Raises WorldganError unless it is two rising numbers for a known env."""
    if env not in known:
        raise unknown("game of scales", str(env), known)
    numbers = isinstance(scale, list | tuple) and all(type(each) in {int, float} for each in scale)
    if not numbers or len(scale) != 2 or not scale[0] < scale[1]:
        raise WorldganError(f"expected scales.{env} of two rising numbers, got {scale!r}")
