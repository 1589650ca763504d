"""Laws of predictors that state no probabilities."""

from __future__ import annotations

import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor

from worldgan.models.backbone import Backbone, Seen
from worldgan.models.unstated import equal_draws, one_draw, only_candidate, only_frame
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng

WINDOW = dot_window(3, 2, horizon=1)
FRAMES = to_float(WINDOW.frames[:, :2])


class Still:
    """Draws the present frame, as bright as chance will have it; counts how many rows the trunk is shown."""

    sample, candidates = one_draw, equal_draws

    def __init__(self) -> None:
        self.backbone = Backbone(dot_spec(), tiny().model_config().backbone)
        self.rows: list[int] = []
        self.backbone.trunk.register_forward_pre_hook(lambda module, inputs: self.rows.append(len(inputs[0])))

    def draw(self, seen: Seen, generator: torch.Generator) -> Tensor:
        return self.backbone.patches.inverse(seen.last) * torch.rand(len(seen.last), 1, 1, 1, generator=generator)


def test_draws_are_equal_and_each_of_its_own_history_which_is_seen_once() -> None:
    still = Still()
    frames, probability = still.candidates(FRAMES, WINDOW.actions, 4, torch_rng(0))
    assert still.rows == [3]
    assert torch.equal(probability, torch.full((3, 4), 0.25))
    bright = frames.flatten(2) / FRAMES[:, -1].flatten(1)[:, None]
    torch.testing.assert_close(bright, bright[..., :1].expand_as(bright))
    assert len(bright[..., 0].unique()) == 12
    assert torch.equal(
        still.sample(FRAMES, WINDOW.actions, torch_rng(0)), still.sample(FRAMES, WINDOW.actions, torch_rng(0))
    )


class Copy:
    """Is certain that nothing changes."""

    sample, candidates = only_frame, only_candidate

    def __call__(self, frames: Tensor, actions: Tensor) -> Tensor:
        return frames[:, -1]


def test_the_certain_have_one_candidate_and_draw_nothing() -> None:
    rng = torch_rng(0)
    before = rng.get_state()
    frames, probability = Copy().candidates(FRAMES, WINDOW.actions, 4, rng)
    assert torch.equal(frames[:, 0], Copy().sample(FRAMES, WINDOW.actions, rng))
    assert torch.equal(probability, torch.ones(3, 1))
    assert torch.equal(rng.get_state(), before)
