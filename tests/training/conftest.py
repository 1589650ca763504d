from __future__ import annotations

from pathlib import Path

import pytest
from tiny import dot_store, tiny

from worldgan.models import FAMILIES
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waiting for the disk nor long sample videos: most of these tests' time."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dot_store(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="session", params=FAMILIES)
def finished(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two steps; tests copy it before they harm it."""
    out = tmp_path_factory.mktemp("finished") / request.param
    return train(data, tiny(request.param, "training.steps=2"), out)
