"""The only training loop: steps, budget, logging, checkpoints, resume. It never sees a loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from worldgan import parallel
from worldgan.config import UnknownKey, check_fields, check_unchanged, from_mapping, to_mapping
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import Unlabelled, WindowSampler, loader, longest, sequences, starts
from worldgan.device import Device, chosen
from worldgan.errors import WorldganError, unknown
from worldgan.files import sole_writer
from worldgan.models import FAMILIES
from worldgan.models.recover import RecoveringLearner
from worldgan.pixels import Frames, to_array
from worldgan.progress import Report
from worldgan.rollout import copy_last, rollout
from worldgan.seeding import derive, torch_rng
from worldgan.tensorfiles import fitting
from worldgan.training.alarm import Alarm
from worldgan.training.budget import Budget
from worldgan.training.charts import CHARTS
from worldgan.training.checkpoint import Run, RunInfo
from worldgan.training.checkup import Checkup
from worldgan.training.interrupt import deferred
from worldgan.training.logs import Logs
from worldgan.training.pulse import Pulse, troubles
from worldgan.training.setbacks import PATIENCE, Setbacks
from worldgan.types import Learner, Metrics, Window
from worldgan.version import VERSION

SHOWN_STEPS = 30
"""Length of the rollouts that are logged as videos."""
GROWN = 300
"""Updates before which no trouble is named: a model that has learnt nothing yet has all of them."""


class Diverged(Exception):
    """An update of no use, and why."""


@dataclass(frozen=True)
class TrainingConfig:
    """steps or minutes: the budget; exactly one of them.    batch: B, of all processes together.
    rollout: numbers of self-predicted steps T, each for an equal share of the budget. Longer ones cost updates: in
    minutes on a CPU they bring more drift, not less (docs/results, drift).
    checkpoint_minutes, log_steps, sample_minutes: how often to save, to log scalars, to log sample videos.
    starts: simulator start states of either kind kept with the run.
    labels: share of actions and rewards that are not hidden, for experiments; see ``worldgan.data.labels``.
    unlabelled: what to do where labels are missing, hidden or never there: "recover" learns from all frames, with
    actions told by an inverse model and rewards where they are known, half of each batch from windows that lack no
    label; "drop" draws those alone.
    cooldown: last share of the budget, over which the learning rate falls to zero in a straight line (Haegele et al.
    2024): how sharp and how right frames become is decided there. A run that goes on with a larger budget rises again.
    recent, newest: share of each batch from the last episodes alone, as few as have ``newest`` steps.
    device: to compute on; "auto" is "cuda" where torch finds it.
    """

    steps: int | None = None
    minutes: float | None = None
    batch: int = 32
    rollout: tuple[int, ...] = (1,)
    seed: int = 0
    checkpoint_minutes: float = 2.0
    log_steps: int = 50
    sample_minutes: float = 2.0
    starts: int = 64
    labels: float = 1.0
    unlabelled: Unlabelled = "recover"
    cooldown: float = 0.5
    recent: float = 0.0
    newest: int = 2000
    device: Device = "cpu"

    def __post_init__(self) -> None:
        """Raises WorldganError for a value that training cannot work with."""
        check = partial(check_fields, self, where="training.")
        check(lambda x: x >= 1, "of at least 1", "steps", "batch", "log_steps", "starts", "newest")
        check(lambda x: x > 0, "of above 0", "minutes")
        check(lambda x: 0 < x <= 1, "of a share above 0 and at most 1", "labels")
        check(lambda x: 0 <= x <= 1, "of a share of at most 1", "recent", "cooldown")
        check(lambda x: bool(x) and min(x) >= 1, "of a list of numbers of at least 1", "rollout")
        check(lambda x: x >= 0, "of at least 0", "checkpoint_minutes", "sample_minutes")


@dataclass(frozen=True)
class Experiment:
    """What a preset in ``configs/`` holds. model: the config of the family, as plain values."""

    family: str = "gan"
    model: dict[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def model_config(self) -> Any:
        """The family's config. Raises WorldganError for an unknown family or key."""
        if self.family not in FAMILIES:
            raise unknown("family", self.family, FAMILIES)
        return from_mapping(FAMILIES[self.family].config, self.model, where="model.")


class Trainer:
    """One run: a learner, its data, its folder, and how far and how well it has come."""

    def __init__(self, run: Run, info: RunInfo, store: EpisodeStore, learner: Learner, budget: Budget) -> None:
        self.run, self.info, self.learner, self.budget = run, info, learner, budget
        self.config = from_mapping(TrainingConfig, info.training)
        self.step, self.seconds, self.store = 0, 0.0, store
        self.context = learner.world_model().context
        self.pulse, self.setbacks, self.alarm = Pulse(), Setbacks(), Alarm(run)
        self.interrupts: list[int] = []
        if not self.sampler().complete:  # too little data is an error before anything is written
            self.learner = RecoveringLearner(learner, store.spec, self.config.seed)
        self.device = chosen(self.config.device)
        self.learner.to(self.device)

    @cached_property
    def checkup(self) -> Checkup:
        """Of held-out windows, if any has all labels."""
        return Checkup(self.store, self.context, self.config.seed)

    @property
    def done(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        return self.budget.done(self.step, self.seconds)

    @property
    def horizon(self) -> int:
        """T at this point of the budget."""
        stages = self.config.rollout
        return stages[min(len(stages) - 1, int(self.done * len(stages)))]

    @property
    def pace(self) -> float:
        """Share of the learning rate at this point of the budget, after so many setbacks."""
        left = max(0.0, 1 - self.done)
        return self.setbacks.rate * (min(1.0, left / self.config.cooldown) if self.config.cooldown else 1.0)

    def sampler(self) -> WindowSampler:
        """The training data, in another order after every setback: what diverged is not replayed."""
        again = (self.setbacks.total,) if self.setbacks.total else ()
        return WindowSampler(
            self.store,
            context=self.context,
            horizon=max(self.config.rollout),
            batch=self.config.batch,
            seed=derive(self.config.seed, "data", *again),
            labels=self.config.labels,
            unlabelled=self.config.unlabelled,
            part=(parallel.rank(), parallel.size()),
            recent=self.config.recent,
            newest=self.config.newest,
            rare=True,
        )

    def fit(self, report: Report) -> None:
        """Train until the budget is spent; saves at intervals, at the end, and when interrupted.

        report: called with the share done, 0 to 1.
        When training diverges it goes back to the last checkpoint, and on from there more slowly. Time lost so is lost
        to a budget of minutes. Raises WorldganError where that is of no use; the last checkpoint then stays as it was.
        """
        if self.step == 0:
            self.begin()
        interruptible: AbstractContextManager[list[int]] = nullcontext([])
        if parallel.size() > 1:  # all are to stop after the same update
            interruptible = deferred()
        with closing(Logs(self.run.path)) as logs, interruptible as self.interrupts:
            try:
                logs.charts(CHARTS)
                while self.done < 1:
                    self.train(report, logs)
            except KeyboardInterrupt:
                self.save()
                parallel.meet()  # or torchrun, as the first ends, stops the one that still writes
                raise
            self.save()
            self.show(logs)

    def train(self, report: Report, logs: Logs) -> None:
        """Updates until the budget is spent, or training had to go back."""
        saved = sampled = self.seconds
        with closing(loader(self.sampler(), self.step)) as windows:
            while self.done < 1:
                window = next(windows)
                with deferred():
                    try:
                        metrics = self.advance(window)
                    except Diverged as failure:
                        return self.go_back(str(failure))
                report(min(1.0, self.done), f"step {self.step:,}  {self.speed:,.0f} frames/s  {describe(metrics)}")
                if self.step % self.config.log_steps == 0:
                    logs.scalars("train", metrics | {"frames_per_second": self.speed}, self.step)
                    self.log_health(logs, self.pulse.numbers(), troubles)
                if self.seconds - saved > 60 * self.config.checkpoint_minutes and self.pulse.calm:
                    self.save()
                    saved = self.seconds
                if self.seconds - sampled > 60 * self.config.sample_minutes:
                    self.show(logs)
                    sampled = self.seconds

    def advance(self, window: Window) -> Metrics:
        """One update, timed. Raises Diverged if it did not stay finite, or errors have been far too large for long.

        All that is decided by its numbers is decided alike in processes that train together: they get the same ones.
        """
        began, horizon = time.monotonic(), self.horizon
        window = window.first(horizon).to(self.device)
        self.learner.pace(self.pace)
        metrics = parallel.means(self.learner.update(window)) | {"horizon": float(horizon)}
        elapsed = max(time.monotonic() - began, 1e-6)  # some clocks tick every 15 ms, and emulated ones step back
        took = parallel.means({"seconds": elapsed, "interrupts": float(len(self.interrupts))})
        self.seconds += took["seconds"]
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise Diverged(f"{', '.join(bad)} not finite")
        self.step += 1
        self.speed = self.config.batch * horizon / took["seconds"]
        self.pulse.beat(metrics)
        if self.pulse.diverged:
            raise Diverged(f"the reconstruction error stays at {self.pulse.risen:.1f} times its own best")
        if took["interrupts"]:  # of any process
            raise KeyboardInterrupt
        return metrics

    def go_back(self, why: str) -> None:
        """To the last checkpoint, and from there on at half the learning rate, over other data.

        Raises WorldganError if there is no checkpoint yet, or going back has been of no use.
        """
        kept, failed = int(self.info.progress.get("step", 0)), f"training diverged at step {self.step}: {why}"
        if not self.info.progress or self.setbacks.hopeless(kept):
            left = "there is no checkpoint yet"
            if self.info.progress:
                left = f"going back {PATIENCE} times was of no use; the checkpoint of step {kept} is kept"
            raise WorldganError(f"{failed}; {left}: lower optimiser.rate, or train with precision=fp32")
        spent = self.seconds
        self.resume()
        self.seconds, self.setbacks = spent, self.setbacks.to(self.step)
        self.write()
        self.alarm.say(f"{failed}: back to step {kept}, from there at {self.setbacks.rate:g} of the learning rate")

    @parallel.led
    def begin(self) -> None:
        """Write what a run has before its first checkpoint: what it is, and states to start from."""
        found: dict[str, Tensor] = {}
        for kind in ("beginnings", "anywhere"):
            frames, actions = starts(
                self.store,
                context=self.context,
                count=self.config.starts,
                seed=self.config.seed,
                beginnings=kind == "beginnings",
            )
            found |= {f"{kind}.frames": frames, f"{kind}.actions": actions}
        self.run.write_tensors("starts", found)
        self.run.write_info(self.info)

    def save(self) -> None:
        """Write a checkpoint, if the model is well: what was saved before is better than one about to diverge."""
        if not self.pulse.rising or not self.info.progress:
            self.write()

    def write(self) -> None:
        """Write a checkpoint."""
        progress = {"step": self.step, "seconds": self.seconds}
        health = {"pulse": self.pulse.state_dict(), "setbacks": asdict(self.setbacks)}
        self.run.write_state({"learner": self.learner.state_dict(), **progress, **health})
        self.run.write_tensors("weights", self.learner.weights())
        progress |= {"setbacks": self.setbacks.total, "rate": self.setbacks.rate}
        self.info = replace(self.info, progress=progress)
        self.run.write_info(self.info)

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one. Raises WorldganError if it is damaged or another run's."""
        if not self.info.progress:
            return
        state = self.run.state()
        with fitting(self.run.path / "state.pt", "run.json"):
            self.learner.load_state_dict(state["learner"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.pulse = Pulse()
            if "pulse" in state:  # older runs have none
                self.pulse.load_state_dict(state["pulse"])
                self.setbacks = Setbacks(**state["setbacks"])
        parallel.meet()  # before one writes what others still read

    @parallel.led
    def show(self, logs: Logs) -> None:
        """Log rollouts from held-out contexts: error against copying the last frame, by horizon, and a video. Look at
        their health, too.
        """
        steps = min(SHOWN_STEPS, longest(self.store, "val"))
        if not steps:
            return  # no held-out transition has all labels
        held_out = sequences(self.store, context=self.context, horizon=steps, count=8, seed=0)
        imagined = rollout(self.learner.world_model(), held_out, torch_rng(self.config.seed, "show", self.step))
        real, still = held_out.frames[:, self.context :], copy_last(held_out).frames
        for h in (1, 5, 15):
            if h <= steps:
                ratio = _error(imagined.frames, real, h) / max(_error(still, real, h), 1e-3)
                logs.scalars("val/error_to_copy_last", {f"h{h}": ratio}, self.step)
        rows = np.concatenate([_side_by_side(real[:4]), _side_by_side(imagined.frames[:4])], axis=1)
        logs.video("rollout/video", {f"real above {self.info.family}": rows}, self.step)
        found = self.checkup.numbers(self.learner.world_model(), imagined.frames, real)
        self.log_health(logs, found, self.checkup.troubles)

    def log_health(self, logs: Logs, found: Metrics, troubles: Callable[[Metrics], dict[str, str]]) -> None:
        """Log numbers, and warn of the troubles they mean once the model has had time to learn something."""
        logs.scalars("health", found, self.step)
        if self.step >= GROWN:
            self.alarm(troubles(found), self.step, self.seconds)


def _error(frames: Tensor, real: Tensor, horizon: int) -> float:
    difference = frames[:, horizon - 1].float() - real[:, horizon - 1].float()
    return float(difference.square().mean())


def _side_by_side(frames: Tensor) -> Frames:
    """uint8 [N, T, C, H, W] -> [T, H, N W, C]."""
    return np.concatenate(list(to_array(frames)), axis=2)


def describe(metrics: Metrics) -> str:
    """The few numbers that a progress display has room for."""
    shown = ("reconstruction", "discriminator", "outcome", "horizon")
    return "  ".join(f"{name} {metrics[name]:.3g}" for name in shown if name in metrics)


def train(data: Path, experiment: Experiment, out: Path, *, resume: bool = False, report: Report | None = None) -> Run:
    """Train on the data set in folder ``data`` into folder ``out``.

    resume: go on with the run in ``out``, if there is one, under the options it was begun with.
    Processes inside ``parallel.group`` call it alike and train together.
    Raises WorldganError for a bad data set, if ``out`` holds a run and resume is False, or if training diverges.
    """
    config, model = experiment.training, experiment.model_config()
    budget = Budget(config.steps, config.minutes)
    store, run = EpisodeStore.open(data), Run(out)
    begun = parallel.agreed(run.exists())
    if begun and not resume:
        raise WorldganError(f"{out} already holds a run: add --resume to go on with it, or choose another folder")
    info = RunInfo(experiment.family, store.spec, to_mapping(model), to_mapping(config), str(data), version=VERSION)
    if begun:
        info = _begun(run, info)
    learner = FAMILIES[info.family].learner(store.spec, model, config.seed)
    trainer = Trainer(run, info, store, learner, budget)
    with sole_writer(out) if parallel.leads() else nullcontext():
        if run.exists() and run.info().progress != info.progress:
            raise WorldganError(f"{out} was just trained into by another process: add --resume to go on with that run")
        trainer.resume()
        trainer.fit(report or (lambda done, note="": None))
    return run


def _begun(run: Run, asked: RunInfo) -> RunInfo:
    """What a run was begun with. Raises WorldganError if more than its budget, its cooldown and its device differs."""
    info = run.info()
    try:
        begun_with = from_mapping(TrainingConfig, info.training, where="training.")
        Experiment(info.family, info.model, begun_with).model_config()
    except UnknownKey as error:
        raise run.foreign(error, info.version) from None
    free = {key: asked.training[key] for key in ("steps", "minutes", "cooldown", "device")}
    training = to_mapping(replace(begun_with, **free))  # fields it did not have yet, too
    begun, now = (to_mapping(each) for each in (replace(info, training=training), asked))
    recipe = ("spec", "family", "model", "training")
    check_unchanged({key: begun[key] for key in recipe}, {key: now[key] for key in recipe}, run.path)
    return replace(info, training=asked.training, data=asked.data, version=asked.version)
