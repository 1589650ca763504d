"""What diverges goes back to the last good checkpoint and on more slowly, or ends with that checkpoint kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from run_states import differing, flat, stop_at
from tiny import tiny
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.learning import RolloutLearner
from worldgan.training import pulse
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train
from worldgan.types import Metrics, Window

each = pytest.mark.parametrize("family", FAMILIES)


@each
def test_numbers_that_are_not_finite_stop_it_and_leave_the_last_checkpoint(
    family: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(family, "training.steps=6", "training.checkpoint_minutes=0")
    real = RolloutLearner.update

    def poisoned(self: RolloutLearner, window: Window) -> Metrics:
        if next(iter(self.state_dict()["optimisers"].values()))["steps"] == 3:
            next(self.networks.predictor.parameters()).data.fill_(torch.nan)
        return dict(real(self, window))

    monkeypatch.setattr(RolloutLearner, "update", poisoned)
    with pytest.raises(WorldganError, match=r"diverged at step 3: .* checkpoint of step 3 is kept") as caught:
        train(data, experiment, tmp_path / "run")
    assert "\n" not in str(caught.value)
    run = Run(tmp_path / "run")
    assert run.state()["step"] == 3
    assert all(leaf.isfinite().all() for leaf in flat(run.state()).values() if isinstance(leaf, Tensor))
    assert all(weight.isfinite().all() for weight in run.model().networks.state_dict().values())
    monkeypatch.undo()
    train(data, experiment, tmp_path / "run", resume=True)
    assert run.state()["step"] == 6


@dataclass
class Ill:
    """Stands in for ``RolloutLearner.update``: not finite when an optimiser is to make the given step, some times."""

    step: int
    times: int
    windows: list[Window] = field(default_factory=list)
    real: Callable[..., Metrics] = RolloutLearner.update

    def __call__(self, learner: RolloutLearner, window: Window) -> Metrics:
        made, found = learner.updates, self.real(learner, window)
        if made != self.step or len(self.windows) == self.times:
            return found
        self.windows.append(window)
        return found | {"reconstruction": math.nan}


def sickened(monkeypatch: pytest.MonkeyPatch, step: int, times: int) -> Ill:
    ill = Ill(step, times)
    monkeypatch.setattr(RolloutLearner, "update", lambda learner, window: ill(learner, window))
    return ill


def test_training_that_diverges_goes_back_and_on_more_slowly(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["training.steps=6", "training.checkpoint_minutes=0", "training.cooldown=0", "model.optimiser.warmup=0"]
    experiment = tiny("gan", *settings)
    ill = sickened(monkeypatch, 3, 2)
    run = train(data, experiment, tmp_path / "run")
    assert not torch.equal(ill.windows[0].frames, ill.windows[1].frames)  # the same would happen again
    progress, optimiser = run.info().progress, run.state()["learner"]["optimisers"]["generator"]
    assert (progress["step"], progress["setbacks"], progress["rate"]) == (6, 2, 0.25)
    assert optimiser["adam"]["param_groups"][0]["lr"] == pytest.approx(0.25 * 1e-3)
    lines = (run.path / "warnings.txt").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("training diverged at step 3: reconstruction not finite: back to step 3, ")
    assert lines[1].endswith("at 0.25 of the learning rate")
    assert f"worldgan: {lines[0]}\n" in capsys.readouterr().err


def test_a_run_that_went_back_and_was_stopped_goes_on_as_if_it_had_not_been(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny("gan", "training.steps=6", "training.checkpoint_minutes=0")
    sickened(monkeypatch, 3, 1)
    whole = train(data, experiment, tmp_path / "whole")
    sickened(monkeypatch, 3, 1)
    with pytest.raises(KeyboardInterrupt):
        train(data, experiment, tmp_path / "stopped", report=stop_at(0.8))
    stopped = train(data, experiment, tmp_path / "stopped", resume=True)
    assert differing(whole, stopped) == []
    assert stopped.info().progress["setbacks"] == 1


def test_going_back_in_vain_ends_and_without_a_checkpoint_cannot_be(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = ["training.steps=6", "training.checkpoint_minutes=0"]
    ill = sickened(monkeypatch, 3, 99)
    with pytest.raises(WorldganError, match=r"diverged at step 3: .* checkpoint of step 3 is kept: lower optimiser"):
        train(data, tiny("mse", *often), tmp_path / "vain")
    assert len(ill.windows) == 4
    assert Run(tmp_path / "vain").info().progress["rate"] == 0.125
    sickened(monkeypatch, 3, 99)
    with pytest.raises(WorldganError, match=r"diverged at step 3: .* there is no checkpoint yet"):
        train(data, tiny("mse", "training.steps=6"), tmp_path / "none")


def test_what_is_about_to_diverge_is_no_checkpoint(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error rises at step 10, training goes back as soon as that is sure, and then it does not."""
    real, went = RolloutLearner.update, []

    def rising(learner: RolloutLearner, window: Window) -> Metrics:
        if learner.optimisers["generator"].share < 1 and not went:
            went.append(learner.updates)
        return real(learner, window) | {"reconstruction": 9.0 if learner.updates >= 10 and not went else 1.0}

    monkeypatch.setattr(RolloutLearner, "update", rising)
    monkeypatch.setattr(pulse, "RECENT", 5)
    monkeypatch.setattr(pulse, "PATIENCE", 3)
    settings = ["training.steps=24", "training.checkpoint_minutes=0", "training.rollout=[1]", "training.cooldown=0"]
    run = train(data, tiny("mse", *settings), tmp_path / "run")
    assert went == [9]
    assert run.info().progress["step"] == 24
    assert "the reconstruction error stays at 9.0 times its own best" in (run.path / "warnings.txt").read_text()
