"""What an actor and a critic are trained to do, as pure functions of what was imagined.

Dreamer: Hafner et al. 2020, "Dream to Control", equation 6; 2021, "Mastering Atari with Discrete World Models",
equations 4 to 6; 2023, "Mastering Diverse Domains through World Models", equations 11 and 12. Step t of T leads from
state t to state t + 1 and earns reward t.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 1e-3
"""Advantages of this size are noise; rewards are commonly of size 1."""


def lambda_returns(rewards: Tensor, continues: Tensor, values: Tensor, *, discount: float, trace: float) -> Tensor:
    """What states 0..T - 1 turned out to be worth [B, T].

    rewards [B, T].    continues: probability that a step did not end the episode, [B, T].    values: of all states,
    [B, T + 1].    trace: lambda, the share of what was imagined beyond a step against the value after it: 0 looks one
    step ahead, 1 to the horizon.
    """
    worth, found = values[:, -1], []
    for step in reversed(range(rewards.shape[1])):
        after = torch.lerp(values[:, step + 1], worth, trace)
        worth = rewards[:, step] + discount * continues[:, step] * after
        found.append(worth)
    return torch.stack(found[::-1], dim=1)


def reached(continues: Tensor) -> Tensor:
    """How likely it is that the episode is still going on at states 0..T - 1, [B, T]: what they count."""
    ones = torch.ones_like(continues[:, :1])
    return torch.cat([ones, continues[:, :-1]], dim=1).cumprod(1)


def normalised(advantages: Tensor, weights: Tensor) -> Tensor:
    """Of mean square 1 over [B, T], each step with its weight, so that one entropy bonus suits games of all scales.

    Where nothing is to be gained they are not blown up: below ``SMALL`` they are divided by that.
    """
    size = ((weights * advantages.square()).sum() / weights.sum()).sqrt()
    return advantages / size.clamp(min=SMALL)


def actor_loss(
    log_probs: Tensor,
    before: Tensor,
    entropies: Tensor,
    advantages: Tensor,
    weights: Tensor,
    *,
    entropy: float,
    trust: float,
) -> Tensor:
    """The clipped surrogate with a bonus for staying undecided: the mean over [B, T], each step with its weight.

    Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equation 7; REINFORCE while the actor is as it was.
    log_probs: of the actions, in nats.    before: what they were when the actions were drawn.    advantages: what these
    earned beyond what was expected. No gradient goes through the last two.    entropy: weight of the bonus.
    trust: share by which an action may become more probable, or less, before its advantage counts no more.
    """
    ratio, gains = (log_probs - before.detach()).exp(), advantages.detach()
    gained = torch.minimum(ratio * gains, ratio.clamp(1 - trust, 1 + trust) * gains)
    return -(weights * (gained + entropy * entropies)).mean()


def critic_loss(values: Tensor, returns: Tensor, weights: Tensor) -> Tensor:
    """Half the squared error, whose minimum is the mean: a lucky return counts as often as it happens."""
    return (weights * (values - returns.detach()).square()).mean() / 2
