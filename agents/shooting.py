"""Random shooting: imagine many random plans, follow the best."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.agents.plans import Score, random_plans
from worldgan.seeding import numpy_rng


@final
class RandomShooting:
    """A ``Search`` among uniformly random plans and the rest of the last plan."""

    def __init__(self, actions: ActionSpec, *, horizon: int, candidates: int, hold: int, seed: int) -> None:
        """horizon: H.    candidates: N.    hold: longest time, in steps, that a random action is held."""
        self._actions, self._shape, self._hold = actions, (candidates, horizon), hold
        self._rng = numpy_rng(seed, "shooting")
        self._plan = torch.zeros(0)

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The best plans [B, H, A] for B rows; ``begun`` (bool [B]) are without a last plan."""
        plans = random_plans(self._actions, (len(begun), *self._shape), hold=self._hold, rng=self._rng)
        going = torch.from_numpy(~begun)
        if going.any():
            plans[going, 0] = torch.cat([self._plan[:, 1:], self._plan[:, -1:]], dim=1)[going]
        self._plan = plans[torch.arange(len(begun)), score(plans).argmax(1)]
        return self._plan
