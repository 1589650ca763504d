"""Coloured noise has unit variance and the spectrum it is named after."""

import pytest
import torch

from worldgan.agents.beliefs import Categorical, Gaussian
from worldgan.agents.noise import coloured
from worldgan.seeding import torch_rng


@pytest.mark.parametrize("horizon", [1, 2, 7, 12])
@pytest.mark.parametrize("color", [0.0, 1.0, 3.0])
def test_every_step_has_unit_variance(horizon, color):
    noise = coloured((1, 20_000, horizon, 1), color, torch_rng(0))
    assert noise.shape == (1, 20_000, horizon, 1)
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std(1).flatten().tolist() == pytest.approx([1.0] * horizon, abs=0.05)


@pytest.mark.parametrize("color", [0.0, 1.0, 2.0])
def test_power_falls_with_frequency(color):
    noise = coloured((1, 20_000, 16, 1), color, torch_rng(0))[0, :, :, 0]
    power = torch.fft.rfft(noise).abs().square().mean(0)[1:]
    expected = torch.arange(1, 9).float() ** -color
    assert (power / power[0]).tolist() == pytest.approx(expected.tolist(), rel=0.1)


def test_dimensions_and_plans_are_independent():
    noise = coloured((2, 5000, 4, 2), 2.0, torch_rng(0))
    assert torch.corrcoef(noise[:, :, 1].flatten(0, 1).T)[0, 1].abs() < 0.05
    assert torch.corrcoef(torch.stack([noise[0, :, 1, 0], noise[1, :, 1, 0]]))[0, 1].abs() < 0.05


def test_discrete_plans_keep_their_odds_and_hold_their_actions():
    """Whatever the colour, each step is drawn with the odds believed in; only how steps go together changes."""
    belief, family = torch.tensor([0.5, 0.3, 0.2]).expand(1, 8, 3), Categorical((3,))
    held = {}
    for color in (0.0, 3.0):
        plans = family.sample(belief, coloured((1, 20_000, 8, 3), color, torch_rng(0)))[0]
        assert plans.mean(0)[3].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.02)
        held[color] = (plans[:, 1:] * plans[:, :-1]).sum(-1).mean().item()
    assert held[0.0] == pytest.approx(0.5**2 + 0.3**2 + 0.2**2, abs=0.02)
    assert held[3.0] > 0.6


def test_parts_of_a_multidiscrete_action_keep_theirs():
    family = Categorical((2, 3))
    belief = torch.tensor([0.9, 0.1, 0.2, 0.2, 0.6]).expand(1, 2, 5)
    plans = family.sample(belief, coloured((1, 20_000, 2, 5), 0.0, torch_rng(1)))[0]
    assert plans.mean((0, 1)).tolist() == pytest.approx([0.9, 0.1, 0.2, 0.2, 0.6], abs=0.02)
    assert family.mode(belief)[0, 0].tolist() == [1, 0, 0, 0, 1]


def test_boxes_are_clipped():
    plans = Gaussian(1).sample(torch.tensor([0.5, 2.0]).expand(1, 3, 2), torch.tensor([[[[-9.0], [0.0], [9.0]]]]))
    assert plans.flatten().tolist() == [-1.0, 0.5, 1.0]
