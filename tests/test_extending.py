"""What the pages of docs/extending show is done, and changes nothing for others."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import gymnasium as gym
import pytest
from pages import DOCS, perform
from tiny import settings

from worldgan.agents import PLANNERS, SEARCHES
from worldgan.envs.factory import ADAPTERS
from worldgan.models import FAMILIES
from worldgan.models.objectives import OBJECTIVES
from worldgan.training.checkpoint import Run

REGISTRIES = (FAMILIES, OBJECTIVES, ADAPTERS, SEARCHES, PLANNERS, gym.registry)
SMALL = " ".join(settings("gan"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, and what pages register is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)
    with patch.dict(sys.modules):
        before = [dict(registry) for registry in REGISTRIES]
        yield
        for registry, entries in zip(REGISTRIES, before, strict=True):
            registry.clear()
            registry.update(entries)


def test_every_page_is_done_here() -> None:
    assert {page.stem for page in (DOCS / "extending").iterdir()} == {"family", "objective", "env", "planner"}


def test_family(paddle_data: Path) -> None:
    shutil.copytree(paddle_data, "data/paddle")
    small = "--steps 2 --set model.backbone.width=16 model.outcome_width=16 training.batch=4 training.starts=8"
    names = perform("extending/family.md", {"--steps 2000": small})
    assert Run("runs/speckle").info().family == "speckle"
    assert names["frame"].shape == (32, 32, 3)


def test_objective(paddle_data: Path) -> None:
    shutil.copytree(paddle_data, "data/paddle")
    small = {"--steps 2000": "--steps 2", "model.adversary.warmup=300": f"model.adversary.warmup=1 {SMALL}"}
    perform("extending/objective.md", small)
    assert Run("runs/variation").info().model["adversary"]["objective"] == "variation"


def test_env() -> None:
    small = {"--steps 5000": "--steps 300", "--steps 1000": f"--steps 2 --set {SMALL}"}
    names = perform("extending/env.md", small | {"contexts=32, samples=64": "contexts=2, samples=4"})
    assert names["found"].keys() >= {"tv_excess", "invalid", "log_loss_excess"}


def test_planner(paddle_run: Run) -> None:
    shutil.copytree(paddle_run.path, "runs/paddle-gan")
    names = perform("extending/planner.md")
    assert names["rewards"].shape == (2,)
