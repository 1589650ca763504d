from __future__ import annotations

from pathlib import Path

import pytest
from data_fakes import LENGTHS, SPEC, make_episode

from worldgan.data.store import EpisodeStore


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is most of these tests' time; one test checks that it is asked for."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    made = EpisodeStore.create(tmp_path / "set", SPEC, seed=3, policy="random")
    for index, length in enumerate(LENGTHS):
        made.add(index, make_episode(index, length))
    return made
