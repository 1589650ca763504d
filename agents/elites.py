"""The best plans so far, and all that was said of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from worldgan.agents.plans import Score


class Elites(NamedTuple):
    """Plans [B, N, H, A], the sum of all that was said of each [B, N], and how often that was, [B, N].

    A plan is judged by the mean over all iterations it took part in: in an uncertain world the best of many
    noisy scores is mostly a lucky one, and luck does not last.
    """

    plans: Tensor
    total: Tensor
    times: Tensor

    def joined(self, plans: Tensor) -> Elites:
        """With more plans, of which nothing has been said yet."""
        nothing = plans.new_zeros(plans.shape[:2])
        new = Elites(plans, nothing, nothing)
        return Elites(*(torch.cat(pair, dim=1) for pair in zip(self, new, strict=True)))

    def scored(self, score: Score) -> Elites:
        """All of them judged once more."""
        return Elites(self.plans, self.total + score(self.plans), self.times + 1)

    def best(self, count: int) -> Elites:
        """The best ``count``, best first."""
        top = (self.total / self.times).topk(count, dim=1).indices
        rows = torch.arange(len(top))[:, None]
        return Elites(*(values[rows, top] for values in self))


def nobody(rows: int, horizon: int, size: int) -> Elites:
    """No plans at all for B rows."""
    return Elites(torch.zeros(rows, 0, horizon, size), *torch.zeros(2, rows, 0))


def elite_count(share: float, candidates: int) -> int:
    """How many of the candidates are elites: at least one, and not all."""
    return min(max(1, round(share * candidates)), candidates - 1)
