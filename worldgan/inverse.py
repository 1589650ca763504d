"""The inverse model: what was done, told from the frames before and after."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.actions import ActionSpec
from worldgan.types import EnvSpec

SEEN = 3
"""Frames it sees: two before the action and one after. One before would hide a turn, as it shows no heading."""

FEATURES = 32  # D


class InverseModel(nn.Module):
    """Three successive frames, float [B, 3, C, H, W] in [-1, 1], -> what it says of the action between the last two.

    That is logits of each class, or the numbers themselves of a box, [B, A], in the order of ``ActionSpec.encode``.
    """

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__()
        height, width, channels = spec.frame
        # Small frames keep their resolution: there an object is a pixel.
        first, second = (1 + (min(height, width) >= size) for size in (32, 16))
        self.actions = spec.actions
        self.look = nn.Sequential(
            nn.Conv2d((2 * SEEN - 1) * channels, 32, 5, first, 2), nn.GroupNorm(4, 32), nn.SiLU(),
            nn.Conv2d(32, 64, 3, second, 1), nn.GroupNorm(4, 64), nn.SiLU(),
            nn.Conv2d(64, FEATURES, 3, 1, 1), nn.SiLU(),
        )  # fmt: skip
        self.say = nn.Sequential(nn.Linear(2 * FEATURES, 64), nn.SiLU(), nn.Linear(64, spec.actions.size))

    def maps(self, frames: Tensor) -> Tensor:
        """Features by place, [B, D, h, w]."""
        changes = frames[:, 1:] - frames[:, :-1]
        return self.look(torch.cat([frames.flatten(1, 2), changes.flatten(1, 2)], dim=1))  # type: ignore[no-any-return]

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        maps = self.maps(frames)
        return self.say(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))  # type: ignore[no-any-return]


def triples(before: Tensor, after: Tensor) -> Tensor:
    """Every frame of ``after`` with the two before it, [B, T, 3, C, H, W].

    before: [B, K, C, H, W], K >= 1; a single one is repeated.    after: the T frames that followed.
    """
    before = before[:, -2:] if before.shape[1] > 1 else before.repeat(1, 2, 1, 1, 1)
    frames = torch.cat([before, after], dim=1)
    return frames.unfold(1, SEEN, 1).movedim(-1, 2)


def dimensions(vectors: Tensor, spec: ActionSpec) -> tuple[Tensor, ...]:
    """Encoded discrete actions [B, A] -> of each dimension its n classes, [B, n]."""
    return torch.split(vectors, list(spec.sizes), -1)


def misnaming(opinions: Tensor, actions: Tensor, spec: ActionSpec) -> Tensor:
    """Loss [B] of opinions [B, A] on the actions taken, encoded [B, A].

    Cross-entropy, a mean over dimensions, or the squared error of a box.
    """
    if spec.kind == "box":
        return (opinions - actions).square().mean(1)
    pairs = zip(dimensions(opinions, spec), dimensions(actions, spec), strict=True)
    each = [F.cross_entropy(said, taken.argmax(-1), reduction="none") for said, taken in pairs]
    return torch.stack(each).mean(0)


def expected(opinions: Tensor, spec: ActionSpec) -> Tensor:
    """Opinions [B, A] -> the action that they expect, encoded [B, A]: probabilities of classes, a box within bounds."""
    if spec.kind == "box":
        return opinions.clamp(-1, 1)
    return torch.cat([part.softmax(-1) for part in dimensions(opinions, spec)], dim=-1)
