"""Laws of the adversarial losses, whichever is chosen."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from worldgan.models.objectives import OBJECTIVES, eagerness, feature_matching, told_apart
from worldgan.seeding import torch_rng

each = pytest.mark.parametrize("name", OBJECTIVES)


def logits(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    rng = torch_rng(0)
    real, fake = (torch.randn(50, generator=rng, dtype=dtype).requires_grad_() for _ in range(2))
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
    if name == "least_squares":  # its targets are 0 and 1, and it wants nothing beyond them
        real, fake = (logit.detach().sigmoid().requires_grad_() for logit in (real, fake))
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


def test_known_values_of_the_others() -> None:
    zero, one = torch.zeros(1), torch.ones(1)
    even = math.log(2)
    known = {
        "minimax": (2 * even, -math.log1p(math.exp(1))),
        "nonsaturating": (2 * even, math.log1p(math.exp(-1))),
        "least_squares": (0.5, 0.0),
        "wasserstein": (0.0, -1.0),
    }
    for name, (critic, generator) in known.items():
        assert float(OBJECTIVES[name].discriminator(zero, zero)) == pytest.approx(critic)
        assert float(OBJECTIVES[name].generator(zero, one)) == pytest.approx(generator)


@each
def test_gradients_agree_with_finite_differences(name: str) -> None:
    for loss in OBJECTIVES[name]:
        assert torch.autograd.gradcheck(loss, logits(torch.float64))


def test_a_sure_fake_moves_the_generator_unless_the_game_saturates() -> None:
    def pull(name: str) -> float:
        fake = torch.tensor([-20.0], requires_grad=True)
        [gradient] = torch.autograd.grad(OBJECTIVES[name].generator(torch.zeros(1), fake).sum(), fake)
        return -float(gradient)

    assert pull("minimax") < 1e-6
    assert all(pull(name) > 0.9 for name in OBJECTIVES if name != "minimax")


def test_feature_matching_compares_means_over_rows_that_count() -> None:
    rng, weight = torch_rng(0), torch.tensor([True, True, False, True])
    real, fake = (torch.randn(4, 3, 2, dtype=torch.float64, generator=rng).requires_grad_() for _ in range(2))
    expected = (real[weight].mean(0) - fake[weight].mean(0)).square().mean()
    torch.testing.assert_close(feature_matching(real, fake, weight), expected.float())
    torch.testing.assert_close(feature_matching(real, real[[3, 0, 2, 1]], weight), torch.zeros(()))
    assert float(feature_matching(real, fake, ~weight & weight).detach()) == 0


def test_the_gradient_of_feature_matching_agrees_with_finite_differences() -> None:
    rng, weight = torch_rng(1), torch.ones(4)
    real, fake = (torch.randn(4, 3, generator=rng).requires_grad_() for _ in range(2))
    [found] = torch.autograd.grad(feature_matching(real, fake, weight), fake)
    for row, column in ((0, 0), (3, 2)):
        nudge = torch.zeros(4, 3)
        nudge[row, column] = 1e-2
        rise = feature_matching(real, fake + nudge, weight) - feature_matching(real, fake - nudge, weight)
        assert float(rise.detach() / 2e-2) == pytest.approx(float(found[row, column]), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_discriminator_that_knows_nothing_is_eager_and_one_that_knows_all_is_not(name: str) -> None:
    loss, nothing, ones = OBJECTIVES[name].discriminator, torch.zeros(4), torch.ones(4)
    assert torch.equal(eagerness(loss, nothing, nothing), ones)
    real, fake = (ones, nothing) if name == "least_squares" else (20 * ones, -20 * ones)
    expected = ones if name == "wasserstein" else nothing  # which never has enough
    torch.testing.assert_close(eagerness(loss, real, fake), expected)


def test_pairs_are_told_apart_by_the_order_of_their_logits() -> None:
    found = told_apart(torch.tensor([1.0, -3.0, 2.0, 0.0]), torch.tensor([0.5, -4.0, 3.0, 0.0]))
    assert found.tolist() == [1, 1, 0, 0.5]
