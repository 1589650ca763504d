"""Policies that need no training, of different strength in any game: mixtures with chance, and fixed habits."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from worldgan.actions import ActionSpec
from worldgan.seeding import numpy_rng
from worldgan.types import Agent, Remembers

SPREAD = 0.3
"""Standard deviation of a habit in a box, whose range is [-1, 1]."""


@final
class EpsilonGreedy:
    """An Agent that, with probability ``epsilon`` at each step and in each row, does what another one would."""

    def __init__(self, agent: Agent, other: Agent, *, epsilon: float, seed: int = 0) -> None:
        self._agent, self._other, self._epsilon = agent, other, epsilon
        self._rng = numpy_rng(seed, "epsilon")

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """See ``Agent``."""
        self._agent.reset(rows)
        self._other.reset(rows)

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """See ``Agent``. Both are asked at every step, so that they remember what was seen, and told what was done."""
        own, others = self._agent.act(observation), self._other.act(observation)
        coins = self._rng.random(len(own)) < self._epsilon
        played = np.where(coins.reshape(-1, *[1] * (own.ndim - 1)), others, own)
        self.took(played)
        return played

    def took(self, actions: NDArray[Any]) -> None:
        """See ``Remembers``."""
        for agent in (self._agent, self._other):
            if isinstance(agent, Remembers):
                agent.took(actions)


@final
class Habit:
    """An Agent that looks at nothing and prefers some actions to others, in proportions that the seed decides."""

    def __init__(self, actions: ActionSpec, *, seed: int = 0) -> None:
        """Proportions of discrete actions are uniform over all that there are; in a box, it is a point."""
        taste = numpy_rng(seed, "habit")
        self._actions, self._rng = actions, numpy_rng(seed, "habit", "play")
        box = actions.kind == "box"
        self._centre = taste.uniform(-1, 1, actions.size) if box else np.zeros(0)
        self._odds = [] if box else [taste.dirichlet(np.ones(size)) for size in actions.sizes]

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Nothing is remembered."""

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Observations [B, ...] -> raw actions [B, *ActionSpec.shape]; only B is looked at."""
        count = len(observation)
        if self._actions.kind == "box":
            noise = SPREAD * self._rng.standard_normal((count, self._actions.size))
            return self._actions.decode((self._centre + noise).astype(np.float32))
        digits = np.stack([self._rng.choice(len(odds), count, p=odds) for odds in self._odds], axis=-1)
        return digits[:, 0] if self._actions.kind == "discrete" else digits
