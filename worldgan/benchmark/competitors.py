"""Who competes. A competitor is one frozen dataclass, whose fields are its settings, and one line in COMPETITORS."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from worldgan.agents import PLANNERS, Actor, AgentFolder, PlannerConfig
from worldgan.benchmark.suite import Competitor, Job, Learnt
from worldgan.config import from_mapping
from worldgan.data.collect import RandomPolicy, collect
from worldgan.errors import WorldganError, extra, unknown
from worldgan.learn import LearnConfig, check_first_round, learn
from worldgan.models import FAMILIES
from worldgan.training.trainer import Experiment, train

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

    envs: played at once.    settings: of the algorithm, in SB3's own words.    source: where they are from.
    deterministic: plays its likeliest action when it is scored, and otherwise as it did while it learnt.
    """

    envs: int = 8
    settings: dict[str, Any] = field(default_factory=dict)
    source: str = "Stable-Baselines3's defaults"
    deterministic: bool = False

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        with extra("sb3"):
            importlib.import_module("stable_baselines3")

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``."""
        import stable_baselines3

        from worldgan.agents.sb3 import SMALL, Returns, Trained, real

        make, returns = getattr(stable_baselines3, job.name.upper()), Returns()
        envs = real(job.env, self.envs, job.options)
        algorithm = make("CnnPolicy", envs, policy_kwargs=SMALL, seed=job.seed, **self.settings)
        algorithm.learn(job.budget, callback=returns)
        envs.close()
        agent = Trained(algorithm, seed=job.seed, deterministic=self.deterministic)
        return Learnt(agent, int(algorithm.num_timesteps), recent(returns.found))


@final
@dataclass(frozen=True)
class Plan:
    """Spends its real steps on random play, trains the family of its name on them, and plans in it.

    model, training: as in a preset of ``worldgan train``.    planner: its name.    search: fields of PlannerConfig.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    planner: str = "shooting"
    search: dict[str, Any] = field(default_factory=dict)

    def experiment(self, job: Job) -> Experiment:
        """What is trained. Raises WorldganError for what cannot be."""
        family = job.name.removeprefix("plan-")
        training = {**self.training, "seed": job.seed}
        return from_mapping(Experiment, {"family": family, "model": self.model, "training": training})

    def config(self, job: Job) -> PlannerConfig:
        """How it plans."""
        return from_mapping(PlannerConfig, {**self.search, "seed": job.seed}, where="search.")

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        experiment = self.experiment(job)
        training, window = experiment.training, experiment.model_config().backbone.context
        window += max(training.rollout)
        if job.budget < window:
            raise WorldganError(
                f"expected a budget of one window or more, {window} steps for {job.name}, got {job.budget}"
            )
        if (training.steps is None) == (training.minutes is None):
            raise WorldganError(f"expected either training.steps or training.minutes for {job.name}, got both or none")
        if self.planner not in PLANNERS:
            raise unknown("planner", self.planner, PLANNERS)
        self.config(job)

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``. Goes on where it was interrupted."""
        data, run = job.folder / "data", job.folder / "run"
        store = collect(
            job.make_env, job.spec(), data, steps=job.budget, max_episode_steps=job.max_steps, seed=job.seed
        )
        model = train(data, self.experiment(job), run, resume=True).model()
        return Learnt(PLANNERS[self.planner](model, self.config(job)), store.steps, [])


@final
@dataclass(frozen=True)
class Learn:
    """``worldgan learn`` with a model of the family of its name: an agent trained in imagination, round after round.

    loop: fields of LearnConfig, without budget, family and seeds.
    """

    loop: dict[str, Any] = field(default_factory=dict)

    def config(self, job: Job) -> LearnConfig:
        """How it learns. Raises WorldganError for an unknown field."""
        seeded = {name: {**self.loop.get(name, {}), "seed": job.seed} for name in ("training", "dream")}
        own = {"budget": job.budget, "family": job.name.removeprefix("learn-"), "seed": job.seed}
        return from_mapping(LearnConfig, {**self.loop, **seeded, **own}, where="loop.")

    def check(self, job: Job) -> None:
        """See ``Competitor``."""
        check_first_round(self.config(job))

    def learn(self, job: Job) -> Learnt:
        """See ``Competitor``. Goes on where it was interrupted."""
        out = job.folder / "learnt"
        learn(job.make_env, job.spec(), self.config(job), out, resume=True)
        episodes = [json.loads(line) for line in (out / "returns.jsonl").read_text().splitlines()]
        agent = Actor(AgentFolder(out / "agent").networks(), seed=job.seed)
        return Learnt(agent, episodes[-1]["steps"], recent([(each["steps"], each["return"]) for each in episodes]))


def recent(episodes: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """(step at which it ended, return) of episodes, in order -> (step, mean return of the RECENT last)."""
    returns = [value for _, value in episodes]
    means = [float(np.mean(returns[max(0, end - RECENT) : end])) for end in range(1, len(returns) + 1)]
    return [(step, mean) for (step, _), mean in zip(episodes, means, strict=True)]


COMPETITORS: dict[str, type[Competitor]] = {
    "random": Random,
    "ppo": ModelFree,
    "dqn": ModelFree,
    **{f"plan-{family}": Plan for family in FAMILIES},
    **{f"learn-{family}": Learn for family in FAMILIES},
}
"""Name -> the class whose fields are its settings."""
