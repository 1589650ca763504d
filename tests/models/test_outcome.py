"""Rewards and ends: what is learnt can be told again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import dot_spec

from worldgan.config import from_mapping
from worldgan.models import FAMILIES
from worldgan.models.outcome import OutcomeHead, two_hot
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng
from worldgan.types import Rare, Window

SMALL: dict[str, Any] = {
    "backbone": {"context": 2, "width": 16},
    "outcome_width": 16,
    "optimiser": {"warmup": 1, "rate": 3e-3},
}


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


@pytest.mark.parametrize(("reward", "often"), [(1.0, 0.02), (-3.0, 0.05), (0.5, 0.004)])
def test_what_is_oversampled_is_stated_as_often_as_it_happens(reward: float, often: float) -> None:
    """All transitions look alike: then the least loss is at the shares, however much is seen of what is rare."""
    made, weight = head(), 0.25
    oversampled = (1 + weight / often, 1 + weight / often)
    rewards, ends = torch.zeros(50, requires_grad=True), torch.zeros((), requires_grad=True)
    shares, earned = torch.tensor([1 - often, often]), torch.tensor([0.0, reward])
    optimiser = torch.optim.LBFGS([rewards, ends], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = rewards[:49].expand(2, -1), ends.expand(2)
        of_reward, of_end = made.misread(logits, earned, earned != 0, oversampled)
        total = (shares * (of_reward + of_end)).sum() + weight * (of_reward[1] + of_end[1])
        total.backward()
        return total

    optimiser.step(loss)
    assert float(rewards.detach()[:49].softmax(0) @ made.centres) == pytest.approx(reward * often, rel=0.02)
    assert float(ends.detach().sigmoid()) == pytest.approx(often, rel=0.02)


def test_a_rare_reward_and_a_rare_end_are_learnt_in_time() -> None:
    """One transition in 50 earns, another ends; without more windows of them neither is told after as many updates."""
    frames = torch.randint(0, 256, (50, 3, 3, 8, 8), generator=torch_rng(0), dtype=torch.uint8)
    many = Window(
        frames=frames,
        actions=torch.eye(5)[torch.zeros(50, 2, dtype=torch.int64)],
        rewards=torch.zeros(50, 2).index_put((torch.tensor(7), torch.tensor(1)), torch.tensor(1.0)),
        terminated=torch.zeros(50, 2, dtype=torch.bool).index_put(
            (torch.tensor(9), torch.tensor(1)), torch.tensor(True)
        ),
        valid=torch.ones(50, 2, dtype=torch.bool),
        context=2,
    )
    few = rows(many, [7, 7, 9, 9])
    told = {}
    for rare in (None, Rare(few, 2, 0.25, (1 + 0.25 * 50, 1 + 0.25 * 50))):
        made = FAMILIES["mse"].learner(dot_spec(), from_mapping(FAMILIES["mse"].config, SMALL), 0)
        for update in range(50):
            chosen = torch.randint(0, 50, (16,), generator=torch_rng(update))
            made.update(replace(rows(many, chosen.tolist()), rare=rare))
        outcome = made.networks.outcome
        reward, ended = outcome.predict(to_float(frames[:, :2]), many.actions, to_float(frames[:, 2]))
        told[rare is None] = float(reward[7].detach()), float(ended[9].detach())
        if rare is not None:
            assert float(ended.detach().mean()) == pytest.approx(1 / 50, abs=0.005)
    assert told[False] == (pytest.approx(1, abs=0.2), pytest.approx(1, abs=0.2))
    assert abs(told[True][0] - 1) > 0.3
    assert told[True][1] < 0.5


def rows(window: Window, chosen: list[int]) -> Window:
    names = ("frames", "actions", "rewards", "terminated", "valid")
    return replace(window, **{name: getattr(window, name)[chosen] for name in names})
