"""A search tree of decisions and chances: which way to go down, and what to write on the way up. Knows no model.

Going down, decisions choose by PUCT with returns scaled to what the tree has seen (MuZero, Schrittwieser et al. 2020,
equations 2 and 5) and chances even out visits against odds (Stochastic MuZero, Antonoglou et al. 2022, section 4.2).
Going up, a chance is worth the mean over all it may lead to, weighted with its odds: no lucky future counts for more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from worldgan.types import ALIKE

LEVELS = int(ALIKE * 127.5)  # the same in levels of a uint8 pixel


@dataclass(eq=False)
class Way:
    """One thing that an action may lead to.

    weight: of its odds, in draws.    frame: uint8 [C, H, W].    terminated: probability.
    value: what is expected from its frame on, until a decision there knows better.
    """

    weight: float
    frame: Tensor
    reward: float
    terminated: float
    value: float
    visits: int = 0
    then: Decision | None = None

    def worth(self, discount: float) -> float:
        """Expected return from the action on."""
        after = self.value if self.then is None else self.then.worth
        return self.reward + discount * (1 - self.terminated) * after


@dataclass(eq=False)
class Chance:
    """What an action may lead to, as far as it was looked at. stated: nothing is left to learn about the odds."""

    ways: list[Way] = field(default_factory=list)
    stated: bool = False
    looks: int = 0
    visits: int = 0
    worth: float = 0.0

    def due(self, widening: float) -> bool:
        """Whether to look for more ways: as often as visits ** widening (Couetoux et al. 2011), or once if stated."""
        return not self.looks or not (self.stated or self.looks >= self.visits**widening)

    def widen(self, ways: list[Way], *, stated: bool) -> None:
        """Add what another look found; what looks alike is the same way."""
        self.looks, self.stated = self.looks + 1, stated
        for new in ways:
            known = next((way for way in self.ways if _alike(way.frame, new.frame)), None)
            if known is None:
                self.ways.append(new)
            else:
                known.weight += new.weight

    def likeliest(self) -> Way | None:
        """The way most probable for its visits, None if all of them end here."""
        ahead = {id(way): way.weight * (1 - way.terminated) / (1 + way.visits) for way in self.ways}
        way = max(self.ways, key=lambda way: ahead[id(way)])
        return way if ahead[id(way)] > 0 else None

    def usual(self) -> Way:
        """The way visited most, of equals the most probable."""
        return max(self.ways, key=lambda way: (way.visits, way.weight))

    def update(self, discount: float) -> None:
        """Write down what it is worth by now."""
        total = sum(way.weight for way in self.ways)
        self.worth = sum(way.weight * way.worth(discount) for way in self.ways) / total


@dataclass(eq=False)
class Decision:
    """A moment to act at. state: a model's, of one row.    depth: steps from the root.

    prior: [A], sums to 1.    value: what was expected here before any action was tried.
    """

    state: Any
    depth: int
    prior: NDArray[np.float64]
    value: float
    chances: list[Chance]

    @property
    def visits(self) -> NDArray[np.int64]:
        """Of each action, [A]."""
        return np.array([chance.visits for chance in self.chances])

    @property
    def worth(self) -> float:
        """Mean of the first expectation and, as often as they were tried, of the actions."""
        total = sum(chance.visits * chance.worth for chance in self.chances)
        return float((self.value + total) / (1 + sum(chance.visits for chance in self.chances)))

    def best(self) -> int:
        """The action visited most, of equals the one worth most."""
        chances = self.chances
        return max(range(len(chances)), key=lambda action: (chances[action].visits, chances[action].worth))


def decision(state: Any, depth: int, prior: NDArray[np.float64], value: float) -> Decision:
    """A new one, of which no action was tried."""
    return Decision(state, depth, prior, value, [Chance() for _ in prior])


class Step(NamedTuple):
    """One step down the tree. way: what was taken to happen, None where the path ends."""

    at: Decision
    action: int
    way: Way | None

    @property
    def chance(self) -> Chance:
        """What the action leads to."""
        return self.at.chances[self.action]


class Tree:
    """One search from ``root``."""

    def __init__(
        self, root: Decision, *, horizon: int, discount: float, puct: float, widening: float, rng: np.random.Generator
    ) -> None:
        """horizon: steps that a path is long at most.    puct: weight of trying what was seldom tried.

        widening: see ``Chance.due``.    rng: breaks ties.
        """
        self.root = root
        self._horizon, self._discount, self._puct, self._widening = horizon, discount, puct, widening
        self._rng, self._low, self._high = rng, np.inf, -np.inf

    def descend(self) -> list[Step]:
        """The next path from the root. It ends with a chance to look at (see ``Chance.due``), with a way that no

        decision follows yet, or at the horizon or the certain end of the episode.
        """
        path, here = list[Step](), self.root
        while True:
            path.append(self.step(here))
            way = path[-1].way
            if way is None or way.then is None or here.depth + 1 == self._horizon:
                return path
            here = way.then

    def step(self, here: Decision) -> Step:
        """One step down from ``here``."""
        action = self._choose(here)
        chance = here.chances[action]
        return Step(here, action, None if chance.due(self._widening) else chance.likeliest())

    def back_up(self, path: list[Step]) -> None:
        """Count the visits of a path, and work out anew what its chances are worth."""
        for step in reversed(path):
            step.chance.visits += 1
            if step.way is not None:
                step.way.visits += 1
            step.chance.update(self._discount)
            self._low, self._high = min(self._low, step.chance.worth), max(self._high, step.chance.worth)

    def best(self) -> int:
        """See ``Decision.best``, of the root."""
        return self.root.best()

    def _choose(self, here: Decision) -> int:
        """PUCT. An action that was never tried is taken to be worth what its decision is."""
        visits = here.visits
        worth = np.array([c.worth if c.visits else here.worth for c in here.chances])
        scaled = (worth - self._low) / (self._high - self._low) if self._high > self._low else np.zeros(len(worth))
        score = scaled + self._puct * here.prior * np.sqrt(max(1, visits.sum())) / (1 + visits)
        return int(self._rng.choice(np.flatnonzero(score == score.max())))


def variation(chance: Chance, seen: Tensor) -> list[int]:
    """The principal variation after a chance that led to ``seen`` (uint8 [C, H, W]), as far as the search went.

    It begins with the way that shows what is seen, if the search went on from there, else as it goes on: with the way
    visited most, and the action visited most after it.
    """
    shown = (way for way in chance.ways if way.then is not None and _alike(way.frame, seen))
    way, actions = next(shown, None) or chance.usual(), list[int]()
    while way.then is not None:
        actions.append(way.then.best())
        way = way.then.chances[actions[-1]].usual()
    return actions


def _alike(one: Tensor, other: Tensor) -> bool:
    return int((one.short() - other.short()).abs().max()) <= LEVELS
