"""Rewards and ends: what is learnt can be told again."""

from __future__ import annotations

import pytest
import torch
from fakes import dot_spec

from worldgan.models.outcome import OutcomeHead, two_hot
from worldgan.seeding import torch_rng


def head() -> OutcomeHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OutcomeHead(dot_spec(), 2, 16)


def test_two_hot_weights_have_the_value_as_mean() -> None:
    centres = head().centres
    values = torch.cat([torch.linspace(-20, 20, 401), centres, torch.tensor([0.0, 1e-4, -1.0, 300.0])])
    weights = two_hot(values, centres)
    assert weights.shape == (len(values), len(centres))
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(values)))
    torch.testing.assert_close(weights @ centres, values, rtol=1e-4, atol=1e-4)
    assert (weights > 0).sum(1).max() <= 2


def test_two_hot_weights_are_on_neighbours_and_clip() -> None:
    centres = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert two_hot(torch.tensor([0.25]), centres).tolist() == [[0, 0, 0.75, 0.25, 0]]
    assert two_hot(torch.tensor([-9.0, 2.0, -2.0]), centres).argmax(1).tolist() == [0, 4, 0]
    assert two_hot(torch.tensor([7.0]), centres).tolist() == [[0, 0, 0, 0, 1]]


def test_zero_and_small_integers_are_met_well() -> None:
    centres = head().centres
    assert torch.equal(centres, -centres.flip(0))
    assert 0.0 in centres.tolist()
    assert centres.max() > 100


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_learns_rewards_and_ends(precision: torch.dtype) -> None:
    network, rng = head(), torch_rng(0)
    frames = torch.randn(4, 2, 3, 8, 8, generator=rng).clamp(-1, 1)
    actions, nexts = torch.eye(5)[torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4]])], frames.roll(1, 0)[:, 0]
    reward, ended = torch.tensor([0.0, 1.0, -1.0, 7.5]), torch.tensor([False, True, False, True])
    adam = torch.optim.Adam(network.parameters(), 1e-2)
    first = last = 0.0
    for _ in range(60):
        loss = network.losses(frames, actions, (nexts, nexts), reward, ended)
        assert loss.shape == (4,)
        adam.zero_grad()
        loss.mean().backward()
        adam.step()
        first, last = first or float(loss.mean().detach()), float(loss.mean().detach())
    assert last < 0.2 * first
    guess, probability = network.to(precision).predict(frames, actions, nexts)
    torch.testing.assert_close(guess, reward, atol=0.4, rtol=0.05)
    assert (probability > 0.5).tolist() == ended.tolist()
