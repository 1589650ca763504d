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
    """Encoded plans of ``shape`` [B, N, H] + [A]; see ``ActionSpec.sample_held``."""
    return torch.from_numpy(actions.sample_held(shape, hold, rng))
