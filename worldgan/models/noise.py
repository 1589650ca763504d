"""All chance of a simulated step is uniform noise in [0, 1); here it becomes what predictors draw with it.

Only with operations that every runtime of exported graphs has, so that the same noise gives the same step anywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def index(logits: Tensor, noise: Tensor) -> Tensor:
    """One index per row [B], int64, from logits [B, N] and noise [B]: the inverse of their cumulative distribution."""
    # NaN must not raise here: it has to reach the metrics, where the trainer stops and keeps the last checkpoint.
    below = logits.softmax(-1).cumsum(-1)[:, :-1]
    return (noise[:, None] >= below).long().sum(-1)


def even(count: int) -> int:
    """The least even number from ``count`` up: normal numbers come in pairs."""
    return count + count % 2


def normal(noise: Tensor) -> Tensor:
    """Noise [B, Z], Z even -> standard normal numbers [B, Z] (Box & Muller 1958)."""
    lengths, turns = noise.chunk(2, dim=1)
    # 2^-24: the step between uniform float32 numbers; noise that some language has rounded up to 1 is still finite.
    radius = (-2 * (1 - lengths).clamp(min=2**-24).log()).sqrt()
    angle = 2 * math.pi * turns
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
