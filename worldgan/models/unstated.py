"""The methods of predictors that state no probabilities: of those that draw nothing, and of those that only draw.

A class takes them as its own: ``sample, candidates = one_draw, equal_draws``.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from worldgan.models.backbone import Seen
from worldgan.models.backbones import Painter


class Certain(Protocol):
    """A predictor that draws nothing."""

    def __call__(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A] -> the next frame [B, C, H, W]."""


def only_frame(self: Certain, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
    """``Predictor.sample``; nothing is drawn."""
    del generator
    return self(frames, actions)


def frame_of_noise(self: Certain, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
    """``NoisePredictor.sample_from``; the noise is empty."""
    del noise
    return self(frames, actions)


def only_candidate(
    self: Certain, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``Predictor.candidates``: the one candidate."""
    del count, generator
    return self(frames, actions)[:, None], torch.ones(len(frames), 1, device=frames.device)


class Drawing(Protocol):
    """A predictor that only draws."""

    backbone: Painter

    def draw(self, seen: Seen, generator: torch.Generator) -> Tensor:
        """What the trunk saw of B histories -> one next frame a row, [B, C, H, W]."""


def one_draw(self: Drawing, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
    """``Predictor.sample``."""
    return self.draw(self.backbone.see(frames, actions), generator)


class DrawingFromNoise(Drawing, Protocol):
    """A predictor that only draws, and all that it draws with is uniform noise."""

    def draw_from(self, seen: Seen, noise: Tensor) -> Tensor:
        """``draw`` with noise [B, Z] in [0, 1)."""


def draw_of_noise(self: DrawingFromNoise, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
    """``NoisePredictor.sample_from``."""
    return self.draw_from(self.backbone.see(frames, actions), noise)


def equal_draws(
    self: Drawing, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``Predictor.candidates``: ``count`` draws of each history, which is seen once, 1 / ``count`` each."""
    rows = torch.arange(len(frames), device=frames.device).repeat_interleave(count)
    drawn = self.draw(self.backbone.see(frames, actions).index(rows), generator)
    odds = torch.full((len(frames), count), 1 / count, device=frames.device)
    return drawn.unflatten(0, (len(frames), count)), odds
