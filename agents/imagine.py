"""What plans are worth: their returns in the futures that a world model imagines."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from worldgan.types import WorldModel

State = TypeVar("State")


@torch.no_grad()
def imagined_returns(
    model: WorldModel[State],
    state: State,
    plans: Tensor,
    *,
    samples: int,
    discount: float,
    generator: torch.Generator,
    chunk: int = 1024,
) -> Tensor:
    """Mean discounted return [B, N] of N plans per row of ``state``, encoded [B, N, H, A].

    samples: S futures per plan. Their mean is taken, never the best: a planner that picks its luck believes
    it controls chance.    discount: per step.
    chunk: futures imagined at once, which bounds memory, and with it what a sampling model draws; if B * N * S
    is not more, every simulated step is one call of the model.
    """
    rows, count = plans.shape[:2]
    sequences = plans.flatten(0, 1)
    futures = torch.arange(rows * count * samples, device=plans.device)
    returns = [
        _follow(model, model.index(state, part // (count * samples)), sequences[part // samples], discount, generator)
        for part in torch.split(futures, chunk)
    ]
    return torch.cat(returns).view(rows, count, samples).mean(-1)


def _follow(
    model: WorldModel[State], state: State, plans: Tensor, discount: float, generator: torch.Generator
) -> Tensor:
    """One sampled return per row [R] of plans [R, H, A].

    Each reward counts as much as it is likely that no earlier step was terminal; a terminal step's own counts.
    """
    total = torch.zeros(len(plans), device=plans.device)
    alive = torch.ones_like(total)
    for step, action in enumerate(plans.unbind(1)):
        prediction, state = model.step(state, action, generator)
        total = total + discount**step * alive * prediction.reward.float()
        alive = alive * (1 - prediction.terminated.float())
    return total
