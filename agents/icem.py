"""iCEM: the cross-entropy method made frugal (Pinneri et al. 2020, "Sample-efficient cross-entropy method").

What it adds to ``cem``: coloured noise, fewer candidates from iteration to iteration, the elites of the last step
beside its belief, and the middle of the belief among the last candidates.
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
from worldgan.agents.noise import coloured
from worldgan.agents.plans import Score
from worldgan.seeding import torch_rng


@final
class FrugalCrossEntropy:
    """A ``Search`` by iCEM, for all kinds of actions."""

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
        color: float,
        decay: float,
        seed: int,
    ) -> None:
        """horizon: H.    candidates: N in the first iteration.    elites: share of N that beliefs are fitted to.

        smoothing: share of the old belief in the next.    exploration: see ``Belief.bound``.
        color: see ``coloured``.    decay: each iteration has so many times fewer candidates, though never fewer
        than twice the elites.
        """
        self._actions, self._horizon, self._iterations = actions, horizon, iterations
        self._belief = belief_of(actions)
        self._elites = elite_count(elites, candidates)
        self._counts = [max(round(candidates / decay**i), min(2 * self._elites, candidates)) for i in range(iterations)]
        self._smoothing, self._exploration, self._color = smoothing, exploration, color
        self._generator = torch_rng(seed, "icem")
        self._last, self._kept = torch.zeros(0), torch.zeros(0)

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The best plans [B, H, A] for B rows; ``begun`` (bool [B]) start from knowing nothing."""
        belief = opening(self._belief, self._last, begun, self._horizon)
        pool = nobody(len(begun), self._horizon, self._actions.size)
        for iteration, count in enumerate(self._counts):
            plans = self._draw(belief, count - self._elites) if iteration else self._first(belief, begun)
            if iteration == self._iterations - 1:
                plans[:, -1] = self._belief.mode(belief)
            pool = pool.joined(plans).scored(score).best(self._elites)
            belief = torch.lerp(self._belief.fit(pool.plans), belief, self._smoothing)
            belief = self._belief.bound(belief, self._exploration)
        self._last, self._kept = belief, pool.plans
        return pool.plans[:, 0]

    def _draw(self, belief: Tensor, count: int) -> Tensor:
        shape = (len(belief), count, self._horizon, self._actions.size)
        return self._belief.sample(belief, coloured(shape, self._color, self._generator))

    def _first(self, belief: Tensor, begun: NDArray[np.bool_]) -> Tensor:
        """Where there was a last step, its elites come first, one step on; their new last step is drawn."""
        plans, going = self._draw(belief, self._counts[0]), torch.from_numpy(~begun)
        if going.any():
            plans[going, : self._elites, :-1] = self._kept[going, :, 1:]
        return plans
