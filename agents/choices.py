"""Distributions over single actions, as a network states them: what is drawn, how likely it was, how undecided."""

from __future__ import annotations

from math import e, log, pi
from typing import Protocol, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from worldgan.actions import ActionSpec
from worldgan.agents.beliefs import Categorical

UNIFORM = 0.01
"""Share of uniform probability that every action keeps, so that none is ever given up (Hafner et al. 2023)."""
NARROWEST = 0.1
"""Least standard deviation of an encoded box action, whose range is [-1, 1]."""


class Choice(Protocol):
    """A family of distributions, each stated by P outputs of a network."""

    @property
    def outputs(self) -> int:
        """P."""

    def draw(self, stated: Tensor, noise: Tensor) -> Tensor:
        """[B, P] and standard normal noise [B, A] -> what is drawn [B, A]."""

    def likeliest(self, stated: Tensor) -> Tensor:
        """[B, P] -> what is drawn most often [B, A]."""

    def encoded(self, drawn: Tensor) -> Tensor:
        """What is drawn [..., A] -> the encoded action."""

    def log_prob(self, stated: Tensor, drawn: Tensor) -> Tensor:
        """[..., P] and [..., A] -> nats [...]."""

    def entropy(self, stated: Tensor) -> Tensor:
        """[..., P] -> nats [...]."""


@final
class OneOfEach:
    """One choice for each dimension of a discrete or multidiscrete action. P = A logits."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.outputs = sum(sizes)
        self._sizes, self._belief = list(sizes), Categorical(sizes)

    def draw(self, stated: Tensor, noise: Tensor) -> Tensor:
        """One-hot."""
        return self._belief.sample(self._probabilities(stated), noise[:, None])[:, 0]

    def likeliest(self, stated: Tensor) -> Tensor:
        """One-hot."""
        parts = torch.split(stated, self._sizes, dim=-1)
        return torch.cat([one_hot(part.argmax(-1), part.shape[-1]).float() for part in parts], dim=-1)

    def encoded(self, drawn: Tensor) -> Tensor:
        """The same."""
        return drawn

    def log_prob(self, stated: Tensor, drawn: Tensor) -> Tensor:
        """See ``Choice``."""
        return (self._probabilities(stated).log() * drawn).sum(-1)

    def entropy(self, stated: Tensor) -> Tensor:
        """See ``Choice``."""
        odds = self._probabilities(stated)
        return -(odds * odds.log()).sum(-1)

    def _probabilities(self, stated: Tensor) -> Tensor:
        odds = torch.cat([part.softmax(-1) for part in torch.split(stated, self._sizes, dim=-1)], dim=-1)
        return torch.lerp(odds, self._belief.start(), UNIFORM)


@final
class ClippedNormal:
    """Independent normal numbers for a box action, clipped to [-1, 1] only when taken. P = 2 A."""

    def __init__(self, size: int) -> None:
        self.outputs = 2 * size

    def draw(self, stated: Tensor, noise: Tensor) -> Tensor:
        """Not clipped, so that its likelihood is that of the normal distribution."""
        mean, deviation = self._moments(stated)
        return mean + deviation * noise

    def likeliest(self, stated: Tensor) -> Tensor:
        """The mean."""
        return self._moments(stated)[0]

    def encoded(self, drawn: Tensor) -> Tensor:
        """Clipped."""
        return drawn.clamp(-1, 1)

    def log_prob(self, stated: Tensor, drawn: Tensor) -> Tensor:
        """See ``Choice``."""
        mean, deviation = self._moments(stated)
        return -(((drawn - mean) / deviation).square() / 2 + deviation.log() + log(2 * pi) / 2).sum(-1)

    def entropy(self, stated: Tensor) -> Tensor:
        """See ``Choice``; of what is drawn."""
        _, deviation = self._moments(stated)
        return (deviation.log() + log(2 * pi * e) / 2).sum(-1)

    def _moments(self, stated: Tensor) -> tuple[Tensor, Tensor]:
        """Means within [-1, 1], deviations within [NARROWEST, 1]."""
        mean, width = stated.chunk(2, dim=-1)
        return mean.tanh(), NARROWEST + (1 - NARROWEST) * width.sigmoid()


def choice_of(actions: ActionSpec) -> Choice:
    """The family that fits an action space."""
    return ClippedNormal(actions.size) if actions.kind == "box" else OneOfEach(actions.sizes)
