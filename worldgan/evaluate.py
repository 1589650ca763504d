"""Put trained runs beside each other: each run's curves, and each policy that is ranked in it, is a job of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from worldgan import envs
from worldgan.agents import AgentFolder, check_match
from worldgan.data.collect import MakeEnv
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import sequences
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.evaluation import held_out, ranking, report
from worldgan.evaluation.held_out import Measured
from worldgan.evaluation.ranking import Earned
from worldgan.executor import Executor, Failed, threads
from worldgan.machine import keep_memory
from worldgan.progress import Report, say
from worldgan.saved import saved
from worldgan.types import EnvSpec, WorldModel


@dataclass(frozen=True)
class Subject:
    """What is measured.    name: in tables.    path: of a run or an exported file.    device: it computes on."""

    name: str
    path: Path
    device: Device

    @cached_property
    def model(self) -> WorldModel[Any]:
        """Loaded once. Raises as ``Run.model``."""
        return saved(self.path).model(device=self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: another process loads it from the same disk, and some cannot be pickled."""
        return {"name": self.name, "path": self.path, "device": self.device}


@dataclass(frozen=True)
class Measurement:
    """How: see ``worldgan.cli.evaluate``.    data, agent: folders of a data set and of an agent."""

    data: Path
    horizon: int = 50
    windows: int = 64
    samples: int = 4
    policies: int = 10
    seed: int = 0
    agent: Path | None = None

    def chosen(self, model: WorldModel[Any]) -> ranking.Policies:
        """The policies to rank. Raises WorldganError for an agent that is damaged or another env's."""
        actor = None if self.agent is None else AgentFolder(self.agent).networks()
        if actor is not None:
            check_match(actor.spec, model.spec, what="an agent")
        return ranking.policies(model, self.policies, seed=self.seed, actor=actor)


@dataclass(frozen=True)
class Job:
    """The curves of a run, or what policy number ``policy`` earns in it.

    spec: of the real env.    threads: of torch, in a process for such jobs; None leaves them as they are.
    """

    subject: Subject
    how: Measurement
    spec: EnvSpec
    policy: int | None
    threads: int | None


def evaluate(
    subjects: Sequence[Subject], how: Measurement, out: Path, *, executor: Executor, report_progress: Report
) -> str:
    """Measure them and write it into ``out``: curves, then ranks, if the real env is installed; returns both as tables.

    executor: all numbers are the same on any, but for the rounding of sums in as many threads as a job has.
    report_progress: gets the share done, 0 to 1.
    Raises WorldganError for what cannot be measured, most of it before anything is done.
    """
    models = {each.name: each.model for each in subjects}
    if how.policies:
        for model in models.values():
            how.chosen(model)
    store, sizes = EpisodeStore.open(how.data), {"horizon": how.horizon, "windows": how.windows}
    windows = held_out.shared(models, store, **sizes, samples=how.samples, seed=how.seed)
    policies = how.policies if how.policies and _installed(store.spec, models) else 0
    parts: list[int | None] = [None, *range(policies)]
    shares = None if executor == Executor() else threads(executor.workers)
    jobs = [Job(each, how, store.spec, part, shares) for part in parts for each in subjects]
    found: dict[int | None, dict[str, Any]] = {part: {} for part in parts}
    tables = []
    with closing(executor.stream(perform, jobs)) as endings:
        for done, (number, ending) in enumerate(endings, start=1):
            name, part = jobs[number].subject.name, jobs[number].policy
            if isinstance(ending, Failed):
                raise WorldganError(f"{name} could not be measured: {ending.reason}")
            found[part][name] = ending
            report_progress(done / len(jobs), name)
            if part is None and found[None].keys() == models.keys():
                ordered = {name: found[None][name] for name in models}
                tables.append(report.table(held_out.write(out, windows, ordered)))
    if policies:
        tables.append(_ranked(models, how, out, [found[part] for part in parts[1:]]))
    return "\n".join(tables)


def perform(job: Job) -> Measured | Earned:
    """Do it, here."""
    if job.threads is not None:
        keep_memory()
        torch.set_num_threads(job.threads)
    model, how = job.subject.model, job.how
    if job.policy is None:
        store = EpisodeStore.open(how.data)
        windows = sequences(store, context=model.context, horizon=how.horizon, count=how.windows, seed=how.seed)
        return held_out.measured(model, job.subject.name, windows, samples=how.samples, seed=how.seed)
    return ranking.earn(model, _maker(job.spec), how.chosen(model), job.policy, horizon=how.horizon, seed=how.seed)


def _maker(spec: EnvSpec) -> MakeEnv:
    return partial(envs.make, spec.id, **spec.options)


def _installed(spec: EnvSpec, models: dict[str, WorldModel[Any]]) -> bool:
    """Whether policies can play in the real env. Raises WorldganError if a model is not for it."""
    make_env = _maker(spec)
    try:
        make_env().close()
    except WorldganError as error:
        say(f"policies are not ranked, since the real env is missing: {error}")
        return False
    for model in models.values():
        ranking.check_env(model, make_env)
    return True


def _ranked(
    models: dict[str, WorldModel[Any]], how: Measurement, out: Path, earned: Sequence[dict[str, Earned]]
) -> str:
    """Write up the ranks.    earned: model -> what each policy earned in it."""
    found = {name: ranking.ranked(how.chosen(model), [each[name] for each in earned]) for name, model in models.items()}
    ranking.write_rankings(out, found)
    return ranking.table(found)
