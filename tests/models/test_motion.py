"""Laws of moving pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.motion import MotionConfig, moved
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng

FRAMES = torch.randn(3, 2, 7, 5, generator=torch_rng(0))


def pulling(down: int, right: int, side: int = 5) -> Tensor:
    """The kernel [side, side] that moves everything by so many pixels."""
    kernel = torch.zeros(side, side)
    kernel[side // 2 - down, side // 2 - right] = 1
    return kernel


def test_a_kernel_moves_everything_by_its_place() -> None:
    kernels = torch.stack([pulling(0, 0), pulling(1, 0), pulling(0, -2)]).expand(3, -1, -1, -1)
    stayed, down, left = moved(FRAMES, kernels).unbind(1)
    assert torch.equal(stayed, FRAMES)
    assert torch.equal(down[:, :, 1:], FRAMES[:, :, :-1])
    assert torch.equal(left[..., :-2], FRAMES[..., 2:])


def test_what_lies_beyond_the_edge_looks_like_the_edge() -> None:
    [down] = moved(FRAMES, pulling(2, 0).expand(3, 1, -1, -1)).unbind(1)
    assert torch.equal(down[:, :, :2], FRAMES[:, :, :1].expand(-1, -1, 2, -1))


def test_each_frame_is_moved_by_its_own_kernels() -> None:
    kernels = torch.randn(3, 4, 5, 5, generator=torch_rng(1)).flatten(2).softmax(-1).view(3, 4, 5, 5)
    together = moved(FRAMES, kernels)
    assert together.shape == (3, 4, 2, 7, 5)
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], moved(FRAMES[row : row + 1], kernels[row : row + 1]))
    assert together.amax() <= FRAMES.amax()
    assert together.amin() >= FRAMES.amin()


def predictor(*settings: str) -> Any:
    config = tiny("motion", *settings).model_config()
    return FAMILIES["motion"].networks(dot_spec(), config, 0).predictor


def test_still_pixels_can_stay_exactly_as_they_are_even_at_half_precision() -> None:
    model, window = predictor(), dot_window(4, 2, horizon=1)
    for weight in (model.backbone.canvas.out.weight, model.masks.weight):
        torch.nn.init.zeros_(weight)
    with torch.no_grad():  # the first of the masks beyond the painter's is that of the last frame
        model.masks.bias.copy_(torch.cat([torch.full((1,), 1e9), torch.full((8,), -1e9)]))
    frames = to_float(window.frames[:, :2])
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        found = model(frames, window.actions)
    assert found.dtype == torch.float32
    assert torch.equal(found, frames[:, -1])  # what comes out close to it settles on it


def test_motion_needs_kernels_that_reach() -> None:
    for wrong in ({"motions": 0}, {"reach": 0}):
        with pytest.raises(WorldganError, match=r"expected model.motions and model.reach of at least 1"):
            MotionConfig(**wrong)
