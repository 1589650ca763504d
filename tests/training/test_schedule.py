"""What changes over the budget of a run: the learning rate, and how long rollouts are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny

from worldgan.models.learning import RolloutLearner
from worldgan.training.trainer import train


def test_the_learning_rate_falls_to_zero_over_the_last_share_of_the_budget(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    monkeypatch.setattr(RolloutLearner, "pace", lambda learner, share: shares.append(round(share, 3)))
    settings = ["training.rollout=[1]", "training.checkpoint_minutes=0"]
    train(data, tiny("mse", *settings, "training.steps=8"), tmp_path / "half")
    assert shares == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    shares.clear()
    train(data, tiny("mse", *settings, "training.steps=4", "training.cooldown=0"), tmp_path / "none")
    assert shares == [1, 1, 1, 1]
    shares.clear()
    train(data, tiny("mse", *settings, "training.steps=8", "training.cooldown=0.25"), tmp_path / "none", resume=True)
    assert shares == [1, 1, 1, 0.5]


def test_the_rollout_grows_in_equal_shares_of_the_budget(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    train(
        data,
        tiny("mse", "training.steps=6", "training.rollout=[1,2,3]"),
        tmp_path / "run",
        report=lambda done, note="": notes.append(note),
    )
    assert [note.split("horizon ")[1] for note in notes] == ["1", "1", "2", "2", "3", "3"]
