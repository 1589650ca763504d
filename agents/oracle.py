"""The ceiling: a planner that looks ahead in clones of the real env instead of a learned model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import action_spec
from worldgan.agents.futures import futures, real_return
from worldgan.agents.plans import Search
from worldgan.seeding import numpy_rng


@final
class Oracle:
    """An ``Agent`` for exactly the given envs, row i playing env i; knows their states, but not their luck.

    Time limits are outside its dynamics, as they are outside a learned model's.
    """

    def __init__(
        self,
        envs: Sequence[gymnasium.Env[Any, Any]],
        search: Search,
        *,
        samples: int,
        discount: float,
        seed: int,
    ) -> None:
        """samples: futures per plan, averaged.    discount: per step.

        Raises WorldganError for an env whose state cannot be cloned.
        """
        rng = numpy_rng(seed, "oracle")
        self._branches = [futures(env, rng) for env in envs]
        self._search, self._samples, self._discount = search, samples, discount
        self._actions = action_spec(envs[0].action_space)
        self._begun = np.ones(len(envs), np.bool_)

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Plan anew in the rows (bool [B]) whose episode begins."""
        self._begun = self._begun | rows

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Raw actions [B, *ActionSpec.shape]; the observations [B, H, W, C] are not looked at."""
        del observation
        plans = self._search(self._returns, self._begun)
        self._begun = np.zeros_like(self._begun)
        return self._actions.decode(plans[:, 0].numpy())

    def _returns(self, plans: Tensor) -> Tensor:
        raw = self._actions.decode(plans.numpy())
        rows = zip(self._branches, raw, strict=True)
        return torch.tensor(
            [
                [real_return(branch, plan, samples=self._samples, discount=self._discount) for plan in row]
                for branch, row in rows
            ]
        )
