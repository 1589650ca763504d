"""The ceiling: a planner that imagines with the true dynamics of a built-in env instead of a learned model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, final

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import action_spec
from worldgan.agents.plans import Search
from worldgan.envs import Enumerable, enumerable
from worldgan.errors import WorldganError
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

        Raises WorldganError for an env whose odds are not known.
        """
        self._envs = [_known(env) for env in envs]
        self._search, self._samples, self._discount = search, samples, discount
        self._actions = action_spec(envs[0].action_space)
        self._rng = numpy_rng(seed, "oracle")
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
        return torch.tensor([[self._mean(env, plan) for plan in row] for env, row in zip(self._envs, raw, strict=True)])

    def _mean(self, env: Enumerable[Any], plan: NDArray[Any]) -> float:
        return sum(self._follow(env, plan) for _ in range(self._samples)) / self._samples

    def _follow(self, env: Enumerable[Any], plan: NDArray[Any]) -> float:
        # A shallow copy is independent because states are immutable, and 100 times faster than a deep one.
        future = copy.copy(env)
        future.np_random = self._rng  # with the env's own generator it would foresee the very draws to come
        total = 0.0
        for step, action in enumerate(plan):
            _, reward, terminated, _, _ = future.step(action)
            total += self._discount**step * reward
            if terminated:
                break
        return total


def _known(env: gymnasium.Env[Any, Any]) -> Enumerable[Any]:
    found = enumerable(env)
    if found is None:
        raise WorldganError(f"expected a built-in env, whose odds are known, got {env}")
    return found
