"""What searches believe of good actions: distributions that plans are drawn from and fitted to."""

from __future__ import annotations

from math import sqrt
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from worldgan.actions import ActionSpec


class Belief(Protocol):
    """A family of distributions over encoded actions, in plain tensors of P numbers per step."""

    def start(self) -> Tensor:
        """Knowing nothing, [P]."""

    def sample(self, belief: Tensor, noise: Tensor) -> Tensor:
        """[B, H, P] and standard normal noise [B, N, H, A] -> plans [B, N, H, A]. Like noise gives like plans."""

    def mode(self, belief: Tensor) -> Tensor:
        """[B, H, P] -> the one plan [B, H, A] that it is centred on."""

    def fit(self, plans: Tensor) -> Tensor:
        """Plans [B, E, H, A] -> the distribution that they came from [B, H, P]."""

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """The same [..., P], kept from certainty by ``exploration`` in 0..1."""


@final
class Categorical:
    """P = A probabilities, which sum to 1 over each dimension of a discrete or multidiscrete action."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._sizes = list(sizes)

    def start(self) -> Tensor:
        """Uniform [A]."""
        return torch.cat([torch.full((size,), 1 / size) for size in self._sizes])

    def sample(self, belief: Tensor, noise: Tensor) -> Tensor:
        """One-hot plans, by the Gumbel trick on noise turned uniform, so that noise over time may be correlated."""
        uniform = (0.5 + 0.5 * torch.erf(noise / sqrt(2))).clamp(1e-6, 1 - 1e-6)
        return self._hardest(belief[:, None].log() - (-uniform.log()).log())

    def mode(self, belief: Tensor) -> Tensor:
        """The most probable action of each step."""
        return self._hardest(belief)

    def fit(self, plans: Tensor) -> Tensor:
        """Relative frequencies."""
        return plans.mean(1)

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """Every action keeps the share ``exploration`` of its uniform probability."""
        return torch.lerp(belief, self.start(), exploration)

    def _hardest(self, scores: Tensor) -> Tensor:
        parts = torch.split(scores, self._sizes, dim=-1)
        return torch.cat([one_hot(part.argmax(-1), part.shape[-1]) for part in parts], dim=-1).float()


@final
class Gaussian:
    """P = 2 A: means and standard deviations of an encoded box action; samples are clipped to [-1, 1]."""

    def __init__(self, size: int) -> None:
        self._size = size

    def start(self) -> Tensor:
        """Mean 0, deviation 1: a third of the samples is clipped, for the best action is often an extreme one."""
        return torch.cat([torch.zeros(self._size), torch.ones(self._size)])

    def sample(self, belief: Tensor, noise: Tensor) -> Tensor:
        """See ``Belief``."""
        mean, deviation = belief[:, None].chunk(2, dim=-1)
        return (mean + deviation * noise).clamp(-1, 1)

    def mode(self, belief: Tensor) -> Tensor:
        """The means."""
        return belief[..., : self._size]

    def fit(self, plans: Tensor) -> Tensor:
        """Moments."""
        return torch.cat([plans.mean(1), plans.std(1, correction=0)], dim=-1)

    def bound(self, belief: Tensor, exploration: float) -> Tensor:
        """Deviations of at least ``exploration``."""
        mean, deviation = belief.chunk(2, dim=-1)
        return torch.cat([mean, deviation.clamp(min=exploration)], dim=-1)


def belief_of(actions: ActionSpec) -> Belief:
    """The family that fits an action space."""
    return Gaussian(actions.size) if actions.kind == "box" else Categorical(actions.sizes)


def opening(family: Belief, last: Tensor, begun: NDArray[np.bool_], horizon: int) -> Tensor:
    """The last belief [B, H, P] one step on, half open again since what happened may not be what was planned.

    Rows just begun (bool [B]) know nothing, and so does the last step of all.
    """
    belief = family.start().expand(len(begun), horizon, -1).clone()
    going = torch.from_numpy(~begun)
    if going.any():
        belief[going, :-1] = family.bound(last, 0.5)[going, 1:]
    return belief
