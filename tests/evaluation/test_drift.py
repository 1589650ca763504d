"""A perfect fake drifts no more than real episodes do; blur, noise, speed and frost are each told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from fakes import PerfectModel, dot_window
from torch import Tensor

from worldgan import pixels
from worldgan.errors import WorldganError
from worldgan.evaluation.drift import SPAN, Usual, drift, horizons, measure, measure_real, usual
from worldgan.inverse import triples
from worldgan.types import Prediction


def features(frames: Tensor) -> Tensor:
    """uint8 [N, 3, C, H, W] -> where things are in the last frame, [N, H + W]."""
    last = frames[:, 2].float().mean(1)
    return torch.cat([last.mean(1), last.mean(2)], 1)


def play(batch: int, steps: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Frames uint8 [B, 2 + steps, ...] and actions [B, 1 + steps, A] of the dot world, going on after an end."""
    window, model, frames = dot_window(batch, context=2, horizon=1, seed=seed), PerfectModel(), list[Tensor]()
    rng = np.random.default_rng(seed)
    actions = torch.cat([window.actions[:, :1], torch.from_numpy(model.spec.actions.sample((batch, steps), rng))], 1)
    state = model.start(window.frames[:, :2], actions[:, :1])
    for action in actions[:, 1:].unbind(1):
        prediction, state = model.step(state, action, torch.Generator())
        frames.append(pixels.to_uint8(prediction.frame))
    return torch.cat([window.frames[:, :2], torch.stack(frames, 1)], 1), actions


@pytest.fixture
def real() -> Usual:
    frames, _ = play(40, 30, seed=1)
    return usual(triples(frames[:, :2], frames[:, 2:]).flatten(0, 1), features)


def imagined(model: PerfectModel, real: Usual, steps: int = 40, batch: int = 16) -> dict[str, list[float | None]]:
    frames, actions = play(batch, steps)
    start, known, taken = frames[:, :2], actions[:, :1], actions[:, 1:]
    return measure(model, start, known, taken, torch.Generator().manual_seed(0), features, real)


def test_horizons_reach_to_the_last_step() -> None:
    assert horizons(1000) == [1, 3, 10, 30, 100, 300, 1000]
    assert horizons(40) == [1, 3, 10, 30, 40]
    assert horizons(30) == [1, 3, 10, 30]
    assert horizons(1) == [1]


def test_what_a_perfect_fake_shows_is_what_really_happens(real: Usual) -> None:
    frames, _ = play(16, 40)
    found = imagined(PerfectModel(), real)
    for place, h in enumerate(horizons(40)):
        really = drift(frames[:, max(0, h - SPAN) : h + 2], features, real)
        assert {name: values[place] for name, values in found.items()} == really
    assert found["sharpness"] == pytest.approx([1.0] * 5, abs=0.1)
    assert found["motion"] == pytest.approx([1.0] * 5, abs=0.3)
    assert found["frozen"] == [None, None, None, 0.0, 0.0]


def test_the_reference_is_real_frames_as_many_as_of_the_rollouts(real: Usual) -> None:
    frames, _ = play(16, SPAN)
    found = measure_real(frames, 40, features, real)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(found, 5)
    for place, h in enumerate(horizons(40)):
        rollout = drift(frames[:, : min(h, SPAN) + 2], features, real)
        assert {name: values[place] for name, values in found.items()} == rollout
    distances = [value for value in found["feature_distance"] if value is not None]
    assert distances == sorted(distances, reverse=True)  # the fewer frames, the further off by luck
    with pytest.raises(WorldganError, match="expected real sequences of 22 frames"):
        measure_real(frames[:, 1:], 40, features, real)


@dataclass(frozen=True)
class Freezing(PerfectModel):
    """Half of the dots never move."""

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        free = torch.arange(len(state)) % 2 == 0
        still = torch.eye(5)[[0] * len(state)]
        return super().step(state, torch.where(free[:, None], action, still), generator)


@dataclass(frozen=True)
class Blurring(PerfectModel):
    """Shows everything at half its brightness."""

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        prediction, state = super().step(state, action, generator)
        return Prediction(prediction.frame / 2 - 0.5, prediction.reward, prediction.terminated), state


def test_frozen_rollouts_are_counted(real: Usual) -> None:
    found = imagined(Freezing(), real)
    assert found["frozen"] == [None, None, None, 0.5, 0.5]
    assert found["motion"] == pytest.approx([0.5] * 5, abs=0.25)


def test_blur_lowers_sharpness_and_is_far_from_real(real: Usual) -> None:
    sharp, dim = imagined(PerfectModel(), real), imagined(Blurring(), real)
    for one, other in zip(dim["sharpness"], sharp["sharpness"], strict=True):
        assert one == pytest.approx(0.25 * (other or 0), rel=0.02)
    assert (dim["feature_distance"][-1] or 0) > 3 * (sharp["feature_distance"][-1] or 0)


def test_steps_are_reported_and_a_model_may_see_one_frame(real: Usual) -> None:
    seen: list[float] = []
    frames, actions = play(4, 5)
    found = measure(
        PerfectModel(1), frames[:, 1:2], actions[:, :0], actions[:, 1:], torch.Generator(), features, real, span=3,
        report=lambda done, note="": seen.append(done),
    )  # fmt: skip
    assert seen == [1, 2, 3, 4, 5]
    assert found["frozen"][0] is None
    assert None not in found["frozen"][1:]
