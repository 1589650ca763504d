"""Laws of the adversarial losses, whichever is chosen."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from worldgan.models.objectives import OBJECTIVES, slope_penalty
from worldgan.seeding import torch_rng

each = pytest.mark.parametrize("name", OBJECTIVES)


def logits() -> tuple[Tensor, Tensor]:
    rng = torch_rng(0)
    real, fake = (torch.randn(50, generator=rng).requires_grad_() for _ in range(2))
    return real, fake


@each
def test_losses_are_one_per_row(name: str) -> None:
    for loss in OBJECTIVES[name]:
        values = loss(*logits())
        assert values.shape == (50,)
        again = [loss(real[None], fake[None]) for real, fake in zip(*logits(), strict=True)]
        torch.testing.assert_close(values, torch.cat(again))


@each
def test_the_discriminator_wants_real_up_and_fake_down_and_the_generator_fake_up(name: str) -> None:
    objective, (real, fake) = OBJECTIVES[name], logits()
    up, down = torch.autograd.grad(objective.discriminator(real, fake).sum(), (real, fake))
    assert (up <= 0).all()
    assert up.any()
    assert (down >= 0).all()
    assert down.any()
    [pull] = torch.autograd.grad(objective.generator(real, fake).sum(), fake)
    assert (pull < 0).all()


def test_the_relativistic_game_is_symmetric() -> None:
    game, (real, fake) = OBJECTIVES["relativistic"], logits()
    assert torch.equal(game.discriminator(real, fake), game.generator(fake, real))
    torch.testing.assert_close(game.discriminator(real + 3, fake + 3), game.discriminator(real, fake))
    assert game.discriminator(real, real).tolist() == pytest.approx([math.log(2)] * 50)


def test_known_values_of_the_hinge() -> None:
    game, zero, one = OBJECTIVES["hinge"], torch.zeros(3), torch.ones(3)
    assert game.discriminator(zero, zero).tolist() == [2.0] * 3
    assert game.discriminator(one, -one).tolist() == [0.0] * 3
    assert game.discriminator(-one, one).tolist() == [4.0] * 3
    assert game.generator(one, 5 * one).tolist() == [-5.0] * 3


def judge(frames: Tensor) -> Tensor:
    """A smooth function of frames [B, C, H, W] -> [B]."""
    weights = torch.linspace(-1, 1, frames[0].numel()).view(frames[0].shape)
    return torch.tanh(frames * weights).sum((1, 2, 3)) + 0.1 * frames.square().sum((1, 2, 3))


def test_the_slope_penalty_is_half_the_squared_gradient_on_average() -> None:
    frame = torch.randn(1, 2, 4, 4, generator=torch_rng(0, "frame")).requires_grad_()
    [gradient] = torch.autograd.grad(judge(frame).sum(), frame)
    many = frame.detach().expand(40_000, -1, -1, -1)
    found = slope_penalty(judge, many, judge(many), torch_rng(0, "noise"), nudge=1e-3)
    assert found.shape == (40_000,)
    # The square of a normal number has standard deviation sqrt(2): 0.7 % of the mean of 40 000.
    assert float(found.mean()) == pytest.approx(float(gradient.square().sum()) / 2, rel=0.03)


def test_a_flat_judge_has_no_slope_and_a_steep_one_learns_to_be_flat() -> None:
    frames, steepness = torch.randn(8, 1, 4, 4, generator=torch_rng(0)), torch.tensor(2.0, requires_grad=True)
    assert not slope_penalty(lambda x: torch.zeros(len(x)), frames, torch.zeros(8), torch_rng(1)).any()
    steep = lambda x: steepness * x.sum((1, 2, 3))  # noqa: E731
    penalty = slope_penalty(steep, frames, steep(frames), torch_rng(1)).mean()
    [gradient] = torch.autograd.grad(penalty, steepness)
    assert gradient > 0
