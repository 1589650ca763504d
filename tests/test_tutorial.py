"""What docs/tutorial.md shows is done, from an empty folder to a plan."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym
import pytest
from pages import forget_modules, perform
from tiny import settings

from worldgan.training.checkpoint import Run

BUDGETS = {
    "--steps 10000": "--steps 1500",
    "--minutes 20": f"--steps 2 --set {' '.join(settings('gan'))}",
    "--horizon 15": "--horizon 2 --windows 2 --samples 1",
    "--horizon 8": "--horizon 2 --candidates 2 --episodes 1 --max-steps 3",
}


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)
    names = perform("tutorial.md", BUDGETS)
    forget_modules(tmp_path)
    del gym.registry["River-v0"]
    assert Run("runs/river").info().spec.id == "river:River-v0"
    assert names["futures"].probability.sum() == pytest.approx(1)
    assert Path("report/strip.png").exists()
    assert Path("plan/plan.webm").exists()
