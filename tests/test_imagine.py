"""Imagined data sets are what the model says would happen, depend on the seed alone, and go on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import PerfectModel, draw
from torch import Tensor

from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.imagine import imagine
from worldgan.types import WorldModel

MODEL: WorldModel[Any] = PerfectModel()  # type: ignore[assignment]  # all that single rounds need
HORIZON, ENVS = 9, 3


def starts() -> tuple[Tensor, Tensor]:
    """Dots at rest at (1, 1), (2, 2), ..., where no episode ends at once."""
    places = torch.arange(1, 8).repeat_interleave(2).view(-1, 2)
    frames = draw(places, MODEL.spec)[:, None].repeat(1, MODEL.context, 1, 1, 1)
    return frames, torch.zeros(len(places), MODEL.context - 1, MODEL.spec.actions.size)


@pytest.fixture(autouse=True)
def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waiting for the disk nor, as the fake has no ``join``, rows that begin anew within a round."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    for name, method in {"join": lambda self, states: torch.cat(list(states)), "frame": shown}.items():
        monkeypatch.setattr(PerfectModel, name, method, raising=False)


def shown(self: PerfectModel, state: Tensor) -> Tensor:
    from worldgan import pixels

    return pixels.to_float(draw(state, self.spec))


def made(out: Path, steps: int, **options: Any) -> EpisodeStore:
    defaults = {"name": "m", "num_envs": ENVS, "horizon": HORIZON, "seed": 1}
    return imagine(MODEL, starts(), out, steps=steps, **(defaults | options))


def files(store: EpisodeStore) -> dict[int, bytes]:
    return {index: store.file(index).read_bytes() for index in store.indices()}


def test_every_step_is_what_the_model_says(tmp_path: Path) -> None:
    store = made(tmp_path, 60)
    assert 60 <= store.steps < 60 + HORIZON
    assert store.spec == MODEL.spec
    assert store.policy.startswith("imagined by m, random actions")
    for episode in map(store.episode, store.indices()):
        state = torch.from_numpy(np.argwhere(episode.frames[0, ..., 0]))
        for action, reward, frame in zip(episode.actions, episode.rewards, episode.frames[1:], strict=True):
            encoded = torch.from_numpy(MODEL.spec.actions.encode(action[None]))
            prediction, state = MODEL.step(state, encoded, torch.Generator())
            assert reward == prediction.reward
            assert np.argwhere(frame[..., 0]).tolist() == state.tolist()
        assert episode.terminated == bool(prediction.terminated)
        assert episode.truncated == (not episode.terminated)
        assert not episode.truncated or len(episode) == HORIZON


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert files(made(tmp_path / "a", 40)) == files(made(tmp_path / "b", 40))
    assert files(made(tmp_path / "a", 40)) != files(made(tmp_path / "c", 40, seed=2))


def test_rounds_differ(tmp_path: Path) -> None:
    store = made(tmp_path, 4 * ENVS * HORIZON)
    rounds = [range(first, first + ENVS) for first in range(0, 4 * ENVS, ENVS)]
    for part in (lambda i: store.frames(i, 0, 1), lambda i: store.actions(i)[:1]):
        assert len({b"".join(part(i).tobytes() for i in indices) for indices in rounds}) > 1


def test_it_goes_on_after_a_kill_and_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files(made(tmp_path / "whole", 90))
    assert len(whole) > 2 * ENVS
    add = EpisodeStore.add_encoded

    def killed(self: EpisodeStore, index: int, data: bytes) -> None:
        if index == ENVS + 1:
            raise KeyboardInterrupt
        add(self, index, data)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeStore, "add_encoded", killed)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "out", 90)
    assert len(EpisodeStore.open(tmp_path / "out").indices()) == ENVS + 1
    assert files(made(tmp_path / "out", 90)) == whole
    few = files(made(tmp_path / "few", 20))
    assert few.items() < whole.items()
    assert files(made(tmp_path / "few", 90)) == whole


def test_another_model_does_not_add_to_it(tmp_path: Path) -> None:
    before = files(made(tmp_path, 20))
    with pytest.raises(WorldganError, match=r"imagined by m, .* got imagined by other"):
        made(tmp_path, 90, name="other")
    assert files(EpisodeStore.open(tmp_path)) == before


@pytest.mark.parametrize("options", [{"steps": 0}, {"num_envs": 0}, {"horizon": 0}])
def test_counts_are_checked(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="expected steps, num_envs and horizon >= 1"):
        made(tmp_path / "out", **({"steps": 5} | options))


class Once:
    """An agent that remembers the rows it was told to forget, and always goes down."""

    def __init__(self) -> None:
        self.resets: list[list[bool]] = []

    def reset(self, rows: Any) -> None:
        self.resets.append(rows.tolist())

    def act(self, observation: Any) -> Any:
        return np.full(len(observation), 2)


def test_a_policy_acts_and_is_reset_every_round(tmp_path: Path) -> None:
    policy = Once()
    store = made(tmp_path, 2 * ENVS * HORIZON, policy=policy, policy_name="once")
    assert policy.resets == [[True] * ENVS] * 2
    assert all((store.actions(i) == 2).all() for i in store.indices())
    assert "once actions" in store.policy
