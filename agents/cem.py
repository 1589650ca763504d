"""The cross-entropy method: draw plans, move the odds towards the best of them, repeat.

Rubinstein and Kroese 2004, "The Cross-Entropy Method"; as a planner PETS (Chua et al. 2018, algorithm 1); elites
kept from one iteration to the next and beliefs shifted from one step to the next as in iCEM (Pinneri et al. 2020).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from worldgan.actions import ActionSpec
from worldgan.agents.plans import Score, random_plans
from worldgan.seeding import numpy_rng, torch_rng


class Belief(Protocol):
    """A family of distributions over encoded actions, in plain tensors of P numbers per step."""

    def start(self) -> Tensor:
        """Knowing nothing, [P]."""

    def sample(self, belief: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """[B, H, P] -> plans [B, N, H, A]."""

    def fit(self, plans: Tensor) -> Tensor:
        """Plans [B, E, H, A] -> the distribution that they came from [B, H, P]."""

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """The same [..., P], kept from certainty by ``exploration`` in 0..1."""


@final
class Categorical:
    """P = A probabilities, which sum to 1 over each dimension of a discrete or multidiscrete action."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes

    def start(self) -> Tensor:
        """Uniform [A]."""
        return torch.cat([torch.full((size,), 1 / size) for size in self._sizes])

    def sample(self, belief: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """[B, H, A] -> one-hot plans [B, N, H, A]."""
        parts = []
        for odds in torch.split(belief, list(self._sizes), dim=-1):
            rows, horizon, size = odds.shape
            drawn = torch.multinomial(odds.reshape(-1, size), count, replacement=True, generator=generator)
            parts.append(one_hot(drawn.view(rows, horizon, count), size).transpose(1, 2))
        return torch.cat(parts, dim=-1).float()

    def fit(self, plans: Tensor) -> Tensor:
        """Relative frequencies."""
        return plans.mean(1)

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """Every action keeps the share ``exploration`` of its uniform probability."""
        return torch.lerp(belief, self.start(), exploration)


@final
class Gaussian:
    """P = 2 A: means and standard deviations of an encoded box action; samples are clipped to [-1, 1]."""

    def __init__(self, size: int) -> None:
        self._size = size

    def start(self) -> Tensor:
        """Mean 0, deviation 1: a third of the samples is clipped, for the best action is often an extreme one."""
        return torch.cat([torch.zeros(self._size), torch.ones(self._size)])

    def sample(self, belief: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """[B, H, 2 A] -> plans [B, N, H, A]."""
        mean, deviation = belief[:, None].chunk(2, dim=-1)
        rows, _, horizon, size = mean.shape
        noise = torch.randn(rows, count, horizon, size, generator=generator)
        return (mean + deviation * noise).clamp(-1, 1)

    def fit(self, plans: Tensor) -> Tensor:
        """Moments."""
        return torch.cat([plans.mean(1), plans.std(1, correction=0)], dim=-1)

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """Deviations of at least ``exploration``."""
        mean, deviation = belief.chunk(2, dim=-1)
        return torch.cat([mean, deviation.clamp(min=exploration)], dim=-1)


class _Pool(NamedTuple):
    """Plans [B, N, H, A], the sum of all that was said of each [B, N], and how often that was, [B, N].

    A plan is judged by the mean over all iterations it took part in: in an uncertain world the best of many
    noisy scores is mostly a lucky one, and luck does not last.
    """

    plans: Tensor
    total: Tensor
    times: Tensor

    def joined(self, plans: Tensor) -> _Pool:
        nothing = plans.new_zeros(plans.shape[:2])
        new = _Pool(plans, nothing, nothing)
        return _Pool(*(torch.cat(pair, dim=1) for pair in zip(self, new, strict=True)))

    def scored(self, score: Score) -> _Pool:
        return _Pool(self.plans, self.total + score(self.plans), self.times + 1)

    def best(self, count: int) -> _Pool:
        top = (self.total / self.times).topk(count, dim=1).indices
        rows = torch.arange(len(top))[:, None]
        return _Pool(*(values[rows, top] for values in self))


@final
class CrossEntropy:
    """A ``Search`` by the cross-entropy method: Categorical for discrete actions, Gaussian for boxes."""

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
        self._belief: Belief = Gaussian(actions.size) if actions.kind == "box" else Categorical(actions.sizes)
        self._candidates, self._iterations = candidates, iterations
        self._elites = min(max(1, round(elites * candidates)), candidates - 1)
        self._smoothing, self._exploration = smoothing, exploration
        self._generator, self._rng = torch_rng(seed, "cem"), numpy_rng(seed, "cem")
        self._last = torch.zeros(0)

    def __call__(self, score: Score, begun: NDArray[np.bool_]) -> Tensor:
        """The best plans [B, H, A] for B rows; ``begun`` (bool [B]) start from knowing nothing."""
        belief = self._opening(begun)
        pool = _Pool(torch.zeros(len(begun), 0, self._horizon, self._actions.size), *torch.zeros(2, len(begun), 0))
        for iteration in range(self._iterations):
            plans = self._draw(belief, self._elites) if iteration else self._first(belief)
            pool = pool.joined(plans).scored(score).best(self._elites)
            belief = torch.lerp(self._belief.fit(pool.plans), belief, self._smoothing)
            belief = self._belief.bound(belief, self._exploration)
        self._last = belief
        return pool.plans[:, 0]

    def _opening(self, begun: NDArray[np.bool_]) -> Tensor:
        """The last belief [B, H, P] one step on, half open again since what happened may not be what was planned."""
        nothing = self._belief.start().expand(len(begun), self._horizon, -1).clone()
        going = torch.from_numpy(~begun)
        if going.any():
            nothing[going, :-1] = self._belief.bound(self._last, 0.5)[going, 1:]
        return nothing

    def _draw(self, belief: Tensor, kept: int) -> Tensor:
        return self._belief.sample(belief, self._candidates - kept, self._generator)

    def _first(self, belief: Tensor) -> Tensor:
        shape = (len(belief), self._candidates // 4, self._horizon)
        held = random_plans(self._actions, shape, hold=self._hold, rng=self._rng)
        return torch.cat([held, self._draw(belief, held.shape[1])], dim=1)
