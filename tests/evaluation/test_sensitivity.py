"""A model that obeys is told from one that does not listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from fakes import PerfectModel, advance, dot_spec, dot_window, draw
from torch import Tensor

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.evaluation.judge import Judge, blind
from worldgan.evaluation.sensitivity import imagine, measure, measure_real, other_actions
from worldgan.types import Prediction, Window


@dataclass(frozen=True)
class Deaf(PerfectModel):
    """Moves as it pleases, whatever it is told."""

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        own = torch.eye(5)[torch.randint(5, (len(state),), generator=generator)]
        return super().step(state, own, generator)


class Seeing(Judge):
    """Names every move of a dot without error, and stays where it sees none."""

    def opinion(self, frames: Tensor) -> Tensor:
        before, after = frames[:, 1], frames[:, 2]
        moved = [advance(places(before), torch.eye(5)[[i] * len(frames)], dot_spec())[0] for i in range(5)]
        return torch.stack([draw(where, dot_spec()).eq(after).flatten(1).all(1) for where in moved], 1).float()


def places(frames: Tensor) -> Tensor:
    return torch.stack(torch.where(frames.amax(1) > 0)[1:], -1)


@pytest.fixture
def judge() -> Judge:
    return Seeing(dot_spec())


def valid(context: int = 2, batch: int = 2000) -> Window:
    """Windows of which all transitions happened."""
    window = dot_window(batch, context=context, horizon=1)
    rows = window.valid.all(1)
    fields: dict[str, Tensor] = {n: getattr(window, n)[rows] for n in ("frames", "actions", "rewards", "terminated")}
    return Window(**fields, valid=window.valid[rows], context=context)


def test_a_perfect_model_is_named_as_real_frames_are(judge: Judge) -> None:
    found, real = measure(PerfectModel(), judge, valid(), seed=0), measure_real(judge, valid())
    assert found["named"] == found["named_anew"] == real["named"] == 1
    assert found["repeated"] == found["resampled"] == 0
    assert found["swapped"] > 30
    assert real["moved"] == 255
    assert real["blind"] == 0.2


def test_a_model_that_does_not_listen_is_at_chance(judge: Judge) -> None:
    found = measure(Deaf(), judge, valid(), seed=0)
    assert found["named"] == pytest.approx(blind(dot_spec().actions), abs=0.03)
    assert found["named_anew"] == pytest.approx(0.2, abs=0.03)
    assert found["swapped"] == found["repeated"] == 0
    assert found["resampled"] > 30


def test_a_model_may_see_less_or_more_than_the_judge(judge: Judge) -> None:
    for context in (1, 2, 4):
        found = measure(PerfectModel(context), judge, valid(max(2, context), 100), seed=0)
        assert found["named"] == found["named_anew"] == 1


def test_the_noise_is_that_of_the_seed_and_the_row() -> None:
    window = valid(batch=150)
    taken = window.actions[:, -1]
    one = imagine(Deaf(), window, taken, 3)
    assert one.equal(imagine(Deaf(), window, taken.roll(1, dims=-1), 3))
    assert not one.equal(imagine(Deaf(), window, taken, 4))


@pytest.mark.parametrize(
    ("spec", "differ"),
    [
        (ActionSpec("discrete", (3,)), lambda a, b: (a != b).any(1)),
        (
            ActionSpec("multidiscrete", (2, 5)),
            lambda a, b: (a[:, :2] != b[:, :2]).any(1) & (a[:, 2:] != b[:, 2:]).any(1),
        ),
        (ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 5.0)), lambda a, b: (a != b).all(1)),
        (ActionSpec("discrete", (1,)), lambda a, b: (a == b).all(1)),
    ],
)
def test_other_actions_are_other_actions(spec: ActionSpec, differ: Callable[[Tensor, Tensor], Tensor]) -> None:
    rng = np.random.default_rng(0)
    taken = torch.from_numpy(spec.sample((200,), rng))
    others = other_actions(taken, spec, rng)
    assert differ(taken, others).all()
    assert others.shape == taken.shape
    assert others.dtype == taken.dtype
    spec.encode(spec.decode(others.numpy()))  # they are of the space


def test_frames_are_those_of_the_model() -> None:
    window = valid(batch=20)
    assert imagine(PerfectModel(), window, window.actions[:, -1], 0).equal(window.frames[:, -1])
    assert pixels.to_float(window.frames).min() == -1
