"""A model that knows the truth scores as well as can be, and those that do not score what they must."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldgan import envs, pixels
from worldgan.envs import Enumerable
from worldgan.envs.climber import CLIMBS, Climber, State
from worldgan.envs.head import ANGLES, Head
from worldgan.errors import WorldganError
from worldgan.evaluation.known import BLANK, gallery, measure, moments
from worldgan.pictures import strip
from worldgan.training.checkpoint import Run
from worldgan.types import Outcomes, Prediction

CLIMBER, HEAD = "worldgan/Climber-v0", "worldgan/Head-v0"
SIZES = {"contexts": 30, "samples": 100}
GAMES: dict[str, tuple[type[Enumerable[Any]], list[Any]]] = {
    CLIMBER: (Climber, [State(x, y) for x in range(0, 32, 4) for y in range(0, 32, 4)]),
    HEAD: (Head, list(range(ANGLES))),
}


class Knowing:
    """A ``WorldModel`` of a game of which one frame tells the state; that is the state, uint8 [B, C, H, W].

    how: "truth" samples it and states its odds, "samples" samples it and states none, "likeliest" and "mean" return
    that of the truth.
    """

    def __init__(self, env_id: str, how: str = "truth", context: int = 2) -> None:
        self.spec, self.context, self.how = envs.spec(env_id), context, how
        kind, states = GAMES[env_id]
        self.game = kind()
        self.states = {self.game.draw(state).tobytes(): state for state in states}

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        assert frames.dtype == torch.uint8
        assert frames.shape[1] == actions.shape[1] + 1 == self.context
        return frames[:, -1]

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        frames = torch.stack([self.guess(*row, generator) for row in zip(state, action, strict=True)])
        nothing = torch.zeros(len(frames))
        return Prediction(pixels.to_float(frames), nothing, nothing), frames

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        if self.how == "truth":
            frames, odds = self.truth(state[0], action[0])
        else:
            number = count if self.how == "samples" else 1
            frames = torch.stack([self.guess(state[0], action[0], generator) for _ in range(number)])
            odds = torch.full((number,), 1 / number)
        nothing = torch.zeros(1, len(odds))
        return Outcomes(pixels.to_float(frames)[None], odds[None], nothing, nothing)

    def index(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))

    def frame(self, state: Tensor) -> Tensor:
        return pixels.to_float(state)

    def truth(self, frame: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        branches = self.game.branches(self.states[pixels.to_array(frame).tobytes()], int(action.argmax()))
        frames = pixels.to_tensor(np.stack([self.game.draw(branch.state) for branch in branches]))
        return frames, torch.tensor([branch.probability for branch in branches])

    def guess(self, frame: Tensor, action: Tensor, generator: torch.Generator) -> Tensor:
        frames, odds = self.truth(frame, action)
        if self.how == "mean":
            return (frames * odds[:, None, None, None]).sum(0).round().to(torch.uint8)
        return frames[odds.argmax() if self.how == "likeliest" else torch.multinomial(odds, 1, generator=generator)[0]]


@pytest.mark.parametrize("env_id", GAMES)
def test_the_truth_scores_as_well_as_can_be(env_id: str) -> None:
    found = measure(Knowing(env_id), envs.make(env_id), **SIZES)
    assert found["invalid"] == 0.0
    assert found["tv_excess"] == pytest.approx(0, abs=0.02)
    assert found["tv_excess"] == found["tv"] - found["tv_floor"]
    assert found["recall"] == pytest.approx(found["recall_floor"], abs=0.02)
    assert found["sharpness_gradient"] == pytest.approx(1, abs=0.02)
    assert found["ece"] == pytest.approx(0, abs=1e-6)
    assert found["log_loss_excess"] == pytest.approx(0, abs=1e-6)
    assert all(type(value) is float for value in found.values())


def test_means_are_invalid_and_blurred() -> None:
    found = measure(Knowing(HEAD, "mean"), envs.make(HEAD), **SIZES)
    assert (found["invalid"], found["tv"], found["recall"]) == (1.0, 1.0, 0.0)
    assert found["sharpness_gradient"] < 0.8
    assert found["log_loss_excess"] > 5  # nats: all it states is floor
    assert found["ece"] == pytest.approx((1 + 1) / 5)  # 1 of the invalid frame, and 0 of four that share 1


@pytest.mark.parametrize("env_id", GAMES)
def test_the_likeliest_alone_misses_the_rest(env_id: str) -> None:
    model, env = Knowing(env_id, "likeliest"), envs.make(env_id)
    found = measure(model, env, **SIZES)
    chosen = moments(env, model.spec.actions, context=2, count=SIZES["contexts"], seed=0)
    missed = float(np.mean([1 - float(moment.probability.max()) for moment in chosen]))
    assert found["tv"] == pytest.approx(missed)
    assert found["invalid"] == 0.0
    assert found["recall"] == {CLIMBER: 0.5, HEAD: 0.25}[env_id]
    assert found["log_loss_excess"] > 0.5


def test_a_model_that_only_samples_states_nothing() -> None:
    found = measure(Knowing(CLIMBER, "samples"), envs.make(CLIMBER), contexts=3, samples=20)
    assert found.keys().isdisjoint({"ece", "log_loss_excess"})
    assert {"tv", "tv_floor", "tv_excess", "recall", "recall_floor", "invalid", "sharpness_gradient"} == found.keys()


def test_same_seed_same_numbers() -> None:
    one, same, other = (measure(Knowing(HEAD), envs.make(HEAD), contexts=4, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("knob", [{"contexts": 5}, {"samples": 20}, {"tolerance": 1}, {"likely": 0.3}])
def test_every_knob_is_heard(knob: dict[str, Any]) -> None:
    class Rough(Knowing):
        def guess(self, *row: Any) -> Tensor:
            return super().guess(*row).clamp(min=20)

    usual = {"contexts": 4, "samples": 10}
    one, other = (measure(Rough(HEAD), envs.make(HEAD), **(usual | more)) for more in ({}, knob))
    assert one != other


@pytest.mark.parametrize("context", [1, 4])
@pytest.mark.parametrize("env_id", ["worldgan/Paddle-v0", "worldgan/Climber-v0", "worldgan/Turners-v0"])
def test_moments_are_what_happened(env_id: str, context: int) -> None:
    env, spec = envs.make(env_id), envs.spec(env_id)
    chosen = moments(env, spec.actions, context=context, count=40, seed=3)
    assert len(chosen) == 40
    for moment in chosen:
        assert moment.frames.shape == (context, 3, 32, 32)
        assert moment.actions.shape == (context - 1, spec.actions.size)
        assert moment.actions.sum(1).eq(1).all()
        assert moment.probability.sum() == pytest.approx(1)
        assert moment.probability.diff().le(0).all()
        assert len(moment.outcomes.flatten(1).unique(dim=0)) == len(moment.outcomes)
    again = moments(envs.make(env_id), spec.actions, context=context, count=40, seed=3)
    assert all(
        one.frames.equal(two.frames) and one.action.equal(two.action) for one, two in zip(chosen, again, strict=True)
    )


def test_context_frames_and_actions_belong_together() -> None:
    game = Knowing(CLIMBER)
    climbs: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for moment in moments(envs.make(CLIMBER), game.spec.actions, context=4, count=300, seed=0):
        for before, action, after in zip(moment.frames[:-1], moment.actions, moment.frames[1:], strict=True):
            frames, _ = game.truth(before, action)
            assert (frames == after).flatten(1).all(1).any()
            climbs[int(action.argmax())].append(bool(frames[0].equal(after)))
        frames, _ = game.truth(moment.frames[-1], moment.action)
        assert {frame.numpy().tobytes() for frame in frames} == {o.numpy().tobytes() for o in moment.outcomes}
    assert [np.mean(climbs[action]) for action in range(3)] == pytest.approx(CLIMBS, abs=0.08)


def test_moments_are_spread_over_the_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    env, times = envs.make(CLIMBER), list[int]()
    inner = envs.enumerable(env)
    assert inner is not None
    listed = inner.outcomes
    clock = lambda: env.get_wrapper_attr("_elapsed_steps")  # noqa: E731
    monkeypatch.setattr(inner, "outcomes", lambda action: (times.append(clock()), listed(action))[1])
    moments(env, Knowing(CLIMBER).spec.actions, context=4, count=200, seed=0)
    assert min(times) >= 3
    assert np.histogram(times, bins=4, range=(0, 100))[0].min() > 25


def test_a_trained_model_is_measured(paddle_run: Run) -> None:
    model, env = paddle_run.model(), envs.make("worldgan/Paddle-v0")
    found = measure(model, env, contexts=3, samples=6)
    assert {"tv_excess", "ece", "log_loss_excess"} <= found.keys()
    assert np.isfinite(list(found.values())).all()
    assert gallery(model, env, contexts=2, samples=3).shape == (2, 8, 32, 32, 3)


def test_the_gallery_shows_context_truth_and_samples(tmp_path: Path) -> None:
    model, env = Knowing(HEAD), envs.make(HEAD)
    rows = gallery(model, env, contexts=3, outcomes=6, samples=5)
    assert rows.shape == (3, 1 + 6 + 5, 32, 32, 3)
    assert rows.dtype == np.uint8
    chosen = moments(env, model.spec.actions, context=2, count=3, seed=0)
    for row, moment in zip(rows, chosen, strict=True):
        assert (row[0] == pixels.to_array(moment.frames[-1])).all()
        assert (row[1:5] == pixels.to_array(moment.outcomes)).all()
        assert (row[5:7] == BLANK).all()
        assert {frame.tobytes() for frame in row[7:]} <= {frame.tobytes() for frame in row[1:5]}
    assert gallery(model, env, contexts=1, outcomes=2, samples=1).shape[:2] == (1, 4)
    strip(tmp_path / "gallery.png", {"Head": rows}, horizons=range(1, 13))


def test_misfits_are_named() -> None:
    model = Knowing(HEAD)
    with pytest.raises(WorldganError, match="expected a model for worldgan/Climber-v0"):
        measure(model, envs.make(CLIMBER))
    with pytest.raises(WorldganError, match="whose odds are known"):
        moments(envs.make("CartPole-v1"), model.spec.actions, context=2, count=1, seed=0)
    with pytest.raises(WorldganError, match="episodes of 200 steps or more, got 0"):
        measure(Knowing(HEAD, context=200), envs.make(HEAD), contexts=1)
    for sizes in ({"contexts": 0}, {"samples": 0}):
        with pytest.raises(WorldganError, match="at least one"):
            measure(model, envs.make(HEAD), **sizes)
