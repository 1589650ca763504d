"""MPPI: the mean of many disturbed plans, each with the weight that its return earns it.

Model predictive path integral control (Williams et al. 2017, "Information theoretic MPC", algorithm 2). Plans are
judged by their returns alone: the price that the original puts on moving the plan is left out.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.agents.noise import coloured
from worldgan.agents.plans import Score
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng


@final
class PathIntegral:
    """A ``Search`` by MPPI, for boxes: the mean of several discrete actions is none of them."""

    def __init__(
        self,
        actions: ActionSpec,
        *,
        horizon: int,
        candidates: int,
        iterations: int,
        disturbance: float,
        temperature: float,
        color: float,
        seed: int,
    ) -> None:
        """horizon: H.    candidates: N per iteration.    disturbance: standard deviation of what is added to a plan.

        temperature: of the weights exp(return / temperature), in standard deviations of the candidates' returns.
        color: see ``coloured``. Raises WorldganError for actions that have no mean.
        """
        if actions.kind != "box":
            raise WorldganError(f"expected Box actions for mppi, which averages them, got {actions}: use icem or mcts")
        self._shape, self._iterations = (candidates, horizon, actions.size), iterations
        self._disturbance, self._temperature, self._color = disturbance, temperature, color
        self._generator = torch_rng(seed, "mppi")
        self._plan = torch.zeros(0)

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The mean plans [B, H, A] for B rows; ``begun`` (bool [B]) start from the middle of all actions."""
        plan = self._opening(begun)
        for _ in range(self._iterations):
            noise = coloured((len(plan), *self._shape), self._color, self._generator)
            noise[:, 0] = 0.0  # the plan itself
            plans = (plan[:, None] + self._disturbance * noise).clamp(-1, 1)
            returns = score(plans)
            spread = returns.std(1, keepdim=True, correction=0).clamp(min=1e-8)
            weights = (returns / (self._temperature * spread)).softmax(1)
            plan = (weights[..., None, None] * plans).sum(1)
        self._plan = plan
        return plan

    def _opening(self, begun: NDArray[np.bool_]) -> Tensor:
        """The last plan [B, H, A] one step on, its last action repeated."""
        plan, going = torch.zeros(len(begun), *self._shape[1:]), torch.from_numpy(~begun)
        if going.any():
            plan[going] = torch.cat([self._plan[:, 1:], self._plan[:, -1:]], dim=1)[going]
        return plan
