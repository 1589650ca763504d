"""Who competes. A competitor is one frozen dataclass, whose fields are its settings, and one line in COMPETITORS."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from worldgan.agents import Actor, AgentFolder, PlannerConfig, check_planner, planner_named
from worldgan.benchmark.suite import Competitor, Job, Learnt
from worldgan.config import from_mapping
from worldgan.data.collect import RandomPolicy, collect
from worldgan.data.windows import needed_steps
from worldgan.errors import WorldganError, extra
from worldgan.evaluation.held_out import check_counts
from worldgan.learn import LearnConfig, check_first_round, learn
from worldgan.models import FAMILIES
from worldgan.seeding import derive
from worldgan.training.trainer import Experiment, train

ALGORITHMS = {"ppo": "PPO", "dqn": "DQN"}
"""Competitor -> its class in Stable-Baselines3."""
PLANS = {f"plan-{family}": family for family in FAMILIES}
LOOPS = {f"learn-{family}": family for family in FAMILIES}
"""Competitor -> the family of its model."""

RECENT = 10
"""Finished episodes whose mean return is a point of a model-free agent's learning curve."""


@final
@dataclass(frozen=True)
class Random:
    """Plays at random and learns nothing. repeat: longest time, in steps, that it holds an action."""

    repeat: int = 4

    def check(self, job: Job) -> None:
        """See ``Competitor``."""

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``."""
        return Learnt(RandomPolicy(job.spec().actions, repeat=self.repeat, seed=job.seed), 0, [])


@final
@dataclass(frozen=True)
class ModelFree:
    """Stable-Baselines3's algorithm of the competitor's name, on real steps alone.

    envs: played at once.    frames: how many of the last it sees; models and actors see as many as their context.
    settings: of the algorithm, in SB3's own words; without policy_kwargs, the network is ``worldgan.agents.sb3.SMALL``.
    source: where they are from.
    deterministic: plays its likeliest action when it is scored, and otherwise as it did while it learnt.
    """

    envs: int = 8
    frames: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    source: str = "Stable-Baselines3's defaults"
    deterministic: bool = False

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        with extra("sb3"):
            importlib.import_module("stable_baselines3")
        check_counts(envs=self.envs, frames=self.frames)
        _refuse(f"competitors.{job.name}.settings", self.settings, "policy", "env", "seed")

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``."""
        import stable_baselines3

        from worldgan.agents.sb3 import SMALL, Returns, Trained, real

        make, returns = getattr(stable_baselines3, ALGORITHMS[job.name]), Returns()
        envs, settings = real(job.make_env, self.envs, frames=self.frames), {"policy_kwargs": SMALL, **self.settings}
        # SB3 seeds env i with seed + i: those of neighbouring runs must not meet
        algorithm = make("CnnPolicy", envs, seed=derive(job.seed, "sb3") % 2**31, **settings)
        algorithm.learn(job.budget, callback=returns)
        envs.close()
        agent = Trained(algorithm, seed=job.seed, deterministic=self.deterministic, frames=self.frames)
        return Learnt(agent, int(algorithm.num_timesteps), recent(returns.found))


@final
@dataclass(frozen=True)
class Plan:
    """Spends its real steps on random play, trains the family of its name on them, and plans in it.

    model, training: as in a preset of ``worldgan train``.    planner: its name.    search: fields of PlannerConfig.
    Neither has a seed.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    planner: str = "shooting"
    search: dict[str, Any] = field(default_factory=dict)

    def experiment(self, job: Job) -> Experiment:
        """What is trained. Raises WorldganError for what cannot be."""
        training = {**self.training, "seed": job.seed}
        return from_mapping(Experiment, {"family": PLANS[job.name], "model": self.model, "training": training})

    def config(self, job: Job) -> PlannerConfig:
        """How it plans."""
        return from_mapping(PlannerConfig, {**self.search, "seed": job.seed}, where="search.")

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        _refuse(f"competitors.{job.name}.training", self.training, "seed")
        _refuse(f"competitors.{job.name}.search", self.search, "seed")
        experiment = self.experiment(job)
        training, context = experiment.training, experiment.model_config().backbone.context
        needed = needed_steps(context, max(training.rollout))
        if job.budget < needed:
            raise WorldganError(
                f"expected a budget of one window or more, {needed} steps for {job.name}, got {job.budget}"
            )
        if (training.steps is None) == (training.minutes is None):
            raise WorldganError(f"expected either training.steps or training.minutes for {job.name}, got both or none")
        check_planner(self.planner, job.spec(), self.config(job))

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``. Goes on where it was interrupted."""
        data, run = job.folder / "data", job.folder / "run"
        store = collect(
            job.make_env, job.spec(), data, steps=job.budget, max_episode_steps=job.max_steps, seed=job.seed
        )
        experiment = self.experiment(job)
        model = train(data, experiment, run, resume=True).model(device=experiment.training.device)
        return Learnt(planner_named(self.planner)(model, self.config(job)), store.steps, [], resumed=True)


@final
@dataclass(frozen=True)
class Learn:
    """``worldgan learn`` with a model of the family of its name: an agent trained in imagination, round after round.

    loop: fields of LearnConfig, without budget, family and seeds.
    deterministic: plays its likeliest action when it is scored.
    """

    loop: dict[str, Any] = field(default_factory=dict)
    deterministic: bool = False

    def config(self, job: Job) -> LearnConfig:
        """How it learns. Raises WorldganError for an unknown field."""
        seeded = {name: {**(self.loop.get(name) or {}), "seed": job.seed} for name in ("training", "dream")}
        own = {"budget": job.budget, "family": LOOPS[job.name], "seed": job.seed}
        return from_mapping(LearnConfig, {**self.loop, **seeded, **own}, where="loop.")

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        where = f"competitors.{job.name}.loop"
        _refuse(where, self.loop, "budget", "family", "seed")
        for name in ("training", "dream"):
            _refuse(f"{where}.{name}", self.loop.get(name) or {}, "seed")
        check_first_round(self.config(job))

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``. Goes on where it was interrupted."""
        out = job.folder / "learnt"
        learn(job.make_env, job.spec(), self.config(job), out, resume=True)
        episodes = [json.loads(line) for line in (out / "returns.jsonl").read_text().splitlines()]
        networks = AgentFolder(out / "agent").networks()
        agent = Actor(networks, seed=derive(job.seed, "benchmark"), deterministic=self.deterministic)
        curve = recent([(each["steps"], each["return"]) for each in episodes])
        return Learnt(agent, episodes[-1]["steps"], curve, resumed=True)


def recent(episodes: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """(step at which it ended, return) of episodes, in order -> (step, mean return of the RECENT last)."""
    returns = [value for _, value in episodes]
    means = [float(np.mean(returns[max(0, end - RECENT) : end])) for end in range(1, len(returns) + 1)]
    return [(step, mean) for (step, _), mean in zip(episodes, means, strict=True)]


def _refuse(where: str, settings: Mapping[str, Any], *names: str) -> None:
    """Raises WorldganError for a setting that the benchmark makes itself.    where: dotted path of ``settings``."""
    for name in names:
        if name in settings:
            raise WorldganError(f"expected no {where}.{name}, which the benchmark sets, got {settings[name]!r}")


COMPETITORS: dict[str, type[Competitor]] = {
    "random": Random,
    **dict.fromkeys(ALGORITHMS, ModelFree),
    **dict.fromkeys(PLANS, Plan),
    **dict.fromkeys(LOOPS, Learn),
}
"""Name -> the class whose fields are its settings."""
