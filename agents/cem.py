"""The cross-entropy method: draw plans, move the odds towards the best of them, repeat.

Rubinstein and Kroese 2004, "The Cross-Entropy Method"; as a planner PETS (Chua et al. 2018, algorithm 1); elites
kept from one iteration to the next and beliefs shifted from one step to the next as in iCEM (Pinneri et al. 2020).
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.agents.beliefs import belief_of, opening
from worldgan.agents.elites import elite_count, nobody
from worldgan.agents.plans import Score, random_plans
from worldgan.seeding import numpy_rng, torch_rng


@final
class CrossEntropy:
    """A ``Search`` by the cross-entropy method: categorical for discrete actions, Gaussian for boxes."""

    def __init__(
        self,
        actions: ActionSpec,
        *,
        horizon: int,
        candidates: int,
        iterations: int,
        elites: float,
        smoothing: float,
        exploration: float,
        hold: int,
        seed: int,
    ) -> None:
        """horizon: H.    candidates: N per iteration.    elites: share of N that the next belief is fitted to.

        smoothing: share of the old belief in the next.    exploration: see ``Belief.bound``.
        hold: see ``random_plans``, which are a quarter of the first candidates.
        """
        self._actions, self._horizon, self._hold = actions, horizon, hold
        self._belief = belief_of(actions)
        self._candidates, self._iterations = candidates, iterations
        self._elites = elite_count(elites, candidates)
        self._smoothing, self._exploration = smoothing, exploration
        self._generator, self._rng = torch_rng(seed, "cem"), numpy_rng(seed, "cem")
        self._last = torch.zeros(0)

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The best plans [B, H, A] for B rows; ``begun`` (bool [B]) start from knowing nothing."""
        belief = opening(self._belief, self._last, begun, self._horizon)
        pool = nobody(len(begun), self._horizon, self._actions.size)
        for iteration in range(self._iterations):
            plans = self._draw(belief, self._candidates - self._elites) if iteration else self._first(belief)
            pool = pool.joined(plans).scored(score).best(self._elites)
            belief = torch.lerp(self._belief.fit(pool.plans), belief, self._smoothing)
            belief = self._belief.bound(belief, self._exploration)
        self._last = belief
        return pool.plans[:, 0]

    def _draw(self, belief: Tensor, count: int) -> Tensor:
        shape = (len(belief), count, self._horizon, self._actions.size)
        return self._belief.sample(belief, torch.randn(shape, generator=self._generator))

    def _first(self, belief: Tensor) -> Tensor:
        shape = (len(belief), self._candidates // 4, self._horizon)
        held = random_plans(self._actions, shape, hold=self._hold, rng=self._rng)
        return torch.cat([held, self._draw(belief, self._candidates - held.shape[1])], dim=1)
