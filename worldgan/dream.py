"""Train an agent in the imagination of a run's model: budget, logging, checkpoints, resume."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from worldgan.agents import AgentFolder, AgentInfo, DreamConfig, Dreamer, check_match
from worldgan.config import check_unchanged, to_mapping
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import WindowSampler, loader
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.files import sole_writer
from worldgan.progress import Report
from worldgan.seeding import derive
from worldgan.tensorfiles import fitting
from worldgan.training.budget import Budget
from worldgan.training.checkpoint import Run
from worldgan.training.interrupt import deferred
from worldgan.training.logs import Logs
from worldgan.types import Metrics


def dream(
    run: Path,
    config: DreamConfig,
    out: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
    device: Device = "cpu",
) -> AgentFolder:
    """Train an agent in the model of ``run`` into folder ``out``.

    data: whose states to start from, by default those that the model was trained on.
    resume: go on with the agent in ``out``, if there is one, under the options it was begun with.
    report: gets the share of the budget that is spent, 0 to 1.
    device: what the model computes on; the agent's networks, small ones, are on the CPU.
    Raises WorldganError if run, data and agent do not fit together, or ``out`` holds an agent and resume is False.
    """
    budget = Budget(config.steps, config.minutes)
    model, folder = Run(run).model(device=device), AgentFolder(out)
    store = EpisodeStore.open(data or Path(Run(run).info().data))
    check_match(model.spec, store.spec)
    info = AgentInfo(model.spec, model.context, config, str(run), str(store.path))
    if folder.exists():
        if not resume:
            raise WorldganError(
                f"{out} already holds an agent: add --resume to go on with it, or choose another folder"
            )
        info = _begun(folder, info)
    sampler = WindowSampler(
        store, context=model.context, horizon=1, batch=config.batch, seed=derive(config.seed, "starts")
    )
    trainer = DreamTrainer(folder, info, Dreamer(model, info.networks(), config), sampler, budget)
    with sole_writer(out):
        if folder.exists() and folder.info().progress != info.progress:
            raise WorldganError(f"{out} was just trained by another process: add --resume to go on with that agent")
        trainer.resume()
        trainer.fit(report or (lambda done, note="": None))
    return folder


class DreamTrainer:
    """One agent in training: the learner, states to start from, its folder, and how far it has come."""

    def __init__(
        self, folder: AgentFolder, info: AgentInfo, learner: Dreamer, starts: WindowSampler, budget: Budget
    ) -> None:
        self.folder, self.info, self.learner, self.starts, self.budget = folder, info, learner, starts, budget
        self.config, self.step, self.seconds = info.training, 0, 0.0

    @property
    def done(self) -> float:
        """Share of the budget that is spent."""
        return self.budget.done(self.step, self.seconds)

    def fit(self, report: Report) -> None:
        """Train until the budget is spent; saves at intervals, at the end, and when interrupted."""
        saved = self.seconds
        with closing(Logs(self.folder.path)) as logs, closing(loader(self.starts, self.step)) as windows:
            try:
                while self.done < 1:
                    start = next(windows).first(0)
                    with deferred():
                        metrics = self.advance(start.frames, start.actions)
                    report(min(1.0, self.done), f"step {self.step:,}  return {metrics['return']:.3g}")
                    if self.step % self.config.log_steps == 0:
                        logs.scalars("dream", metrics, self.step)
                    if self.seconds - saved > 60 * self.config.checkpoint_minutes:
                        self.save()
                        saved = self.seconds
            except KeyboardInterrupt:
                self.save()
                raise
            self.save()

    def advance(self, frames: Tensor, actions: Tensor) -> Metrics:
        """One update, timed."""
        began = time.monotonic()
        metrics = self.learner.update((frames, actions), self.step)
        self.seconds += time.monotonic() - began
        self.step += 1
        return metrics

    def save(self) -> None:
        """Write a checkpoint."""
        progress = {"step": self.step, "seconds": self.seconds}
        self.info = replace(self.info, progress=progress)
        self.folder.write(self.info, self.learner.networks, {"learner": self.learner.state_dict(), **progress})

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one. Raises WorldganError if it is damaged or another agent's."""
        if not self.info.progress:
            return
        state = self.folder.state()
        with fitting(self.folder.path / "state.pt", "agent.json"):
            self.learner.load_state_dict(state["learner"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])


def _begun(folder: AgentFolder, asked: AgentInfo) -> AgentInfo:
    """What an agent was begun with, and how far it came. Raises WorldganError if more than its budget differs."""
    info = folder.info()
    check_match(info.spec, asked.spec, what="an agent")
    begun = replace(info.training, steps=asked.training.steps, minutes=asked.training.minutes)
    was, now = to_mapping(begun) | {"frames": info.frames}, to_mapping(asked.training) | {"frames": asked.frames}
    check_unchanged(was, now, folder.path)
    return replace(asked, progress=info.progress)
