"""What plans are worth: their returns in the futures that a world model imagines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from worldgan.types import WorldModel

State = TypeVar("State")
Value = Callable[[Any], Tensor]
"""A model's state of B rows -> the return to be expected from there on [B]."""


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
    value: Value | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Mean discounted return [B, N] of N plans per row of ``state``, encoded [B, N, H, A].

    samples: S futures per plan. Their mean is taken, never the best: a planner that picks its luck believes
    it controls chance.    discount: per step.
    chunk: futures imagined at once, which bounds memory, and with it what a sampling model draws; if B * N * S
    is not more, every simulated step is one call of the model.
    value: what the state after the last step is worth, without one nothing.
    lengths: int64 [B], how many steps of its plans each row goes, which then ends without a value; without it, H.
    """
    rows, count, horizon = plans.shape[:3]
    sequences = plans.flatten(0, 1)
    counted = torch.full((rows,), horizon + 1) if lengths is None else lengths
    futures = torch.arange(rows * count * samples, device=plans.device)
    returns = []
    for part in torch.split(futures, chunk):
        row, plan = part // (count * samples), part // samples
        follow = _follow(
            model, model.index(state, row), sequences[plan], counted[row], discount, generator, value
        )  # fmt: skip
        returns.append(follow)
    return torch.cat(returns).view(rows, count, samples).mean(-1)


def _follow(
    model: WorldModel[State],
    state: State,
    plans: Tensor,
    lengths: Tensor,
    discount: float,
    generator: torch.Generator,
    value: Value | None,
) -> Tensor:
    """One sampled return per row [R] of plans [R, H, A].

    Each reward counts as much as it is likely that no earlier step was terminal; a terminal step's own counts.
    """
    total = torch.zeros(len(plans), device=plans.device)
    alive = (lengths > 0).float()
    for step, action in enumerate(plans.unbind(1)):
        prediction, state = model.step(state, action, generator)
        total = total + discount**step * alive * prediction.reward.float()
        alive = alive * (1 - prediction.terminated.float()) * (step + 1 < lengths)
    if value is not None:
        total = total + discount ** plans.shape[1] * alive * value(state)
    return total
