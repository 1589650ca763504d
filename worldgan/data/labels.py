"""Which actions and rewards of a data set are labelled: as its files say, or a share of that for an experiment."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.seeding import numpy_rng

Known = NDArray[np.bool_]

STRETCH = 32
"""Steps that are labelled or hidden together, as a recording with a log of what was done, or without one.

Of labels hidden one by one, hardly any window would keep all of its own: dropping the rest would leave nothing.
"""


@final
class Labels:
    """Of each episode of a store, which transitions are labelled, bool [L], or None if all are."""

    def __init__(self, store: EpisodeStore, *, share: float = 1.0, seed: int = 0) -> None:
        """share: chance of each stretch of STRETCH steps to keep its labels, decided by seed, episode and place.

        Raises WorldganError for a share outside 0..1.
        """
        if not 0 <= share <= 1:
            raise WorldganError(f"expected a share of labels within 0..1, got {share}")
        self.store, self._share, self._seed = store, share, seed
        self._kept: dict[int, Known] = {}

    def actions(self, index: int) -> Known | None:
        """Actions of the episode of that index."""
        return _both(self.store.action_known(index), self._keep(index))

    def rewards(self, index: int) -> Known | None:
        """Rewards."""
        return _both(self.store.reward_known(index), self._keep(index))

    def whole(self, index: int) -> Known | None:
        """Transitions with both; with an action, if no reward of the whole data set is known: then none is missed."""
        return _both(self.actions(index), self.rewards(index)) if self._rewarded else self.actions(index)

    @cached_property
    def _rewarded(self) -> bool:
        """Whether the store knows any reward."""
        masks = (self.store.reward_known(index) for index in self.store.indices())
        return any(known is None or bool(known.any()) for known in masks)

    def _keep(self, index: int) -> Known | None:
        if self._share == 1:
            return None
        if index not in self._kept:
            length, rng = self.store.length(index), numpy_rng(self._seed, "labels", index)
            kept = rng.random(-(-length // STRETCH)) < self._share
            self._kept[index] = kept.repeat(STRETCH)[:length]
        return self._kept[index]


def _both(one: Known | None, other: Known | None) -> Known | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
