"""What searches for a plan share: how they are told what plans are worth, and random plans to begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import ActionSpec

Score = Callable[[Tensor], Tensor]
"""Encoded plans [B, N, H, A] -> what each is worth [B, N]; need not say the same twice."""


class Search(Protocol):
    """Looks for good plans for B rows at once; remembers its last ones to begin the next search with."""

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The best plans found, encoded [B, H, A]; nothing is remembered of the rows (bool [B]) just begun."""


def random_plans(actions: ActionSpec, shape: tuple[int, int, int], *, hold: int, rng: np.random.Generator) -> Tensor:
    """Encoded plans of ``shape`` [B, N, H] + [A]: uniformly random actions, each held 1 to ``hold`` steps.

    Fresh noise at every step averages to standing still, and so no plan would ever reach anything far away.
    """
    rows, count, horizon = shape
    ends = rng.integers(1, hold, shape, endpoint=True).cumsum(-1)
    changes = np.zeros((rows, count, horizon + 1), np.int64)
    np.put_along_axis(changes, np.minimum(ends, horizon), 1, axis=-1)
    which = changes[..., :horizon].cumsum(-1)
    noise = actions.sample(shape, rng)
    return torch.from_numpy(np.take_along_axis(noise, which[..., None], axis=-2))
