"""Coloured noise: random numbers that drift over the steps of a plan instead of jumping."""

from __future__ import annotations

import torch
from torch import Tensor


def coloured(shape: tuple[int, int, int, int], color: float, generator: torch.Generator) -> Tensor:
    """Standard normal numbers [B, N, H, A] whose power falls with frequency f as 1 / f ** color along H.

    color: 0 is white, 1 pink, 2 red: the higher, the longer a plan pushes one way, and the farther it comes (Pinneri
    et al. 2020, section 3.1). Drawn frequency by frequency (Timmer & Koenig 1995); the mean counts as the lowest.
    """
    rows, count, horizon, size = shape
    if not color or horizon == 1:
        return torch.randn(shape, generator=generator)
    power = (torch.arange(horizon // 2 + 1).clamp(min=1) / horizon) ** -color
    # Frequency 0 and, for an even H, the highest are real: one number has to do the work of two.
    alone = torch.zeros_like(power, dtype=torch.bool)
    alone[0] = alone[-1] = True
    alone[-1] = horizon % 2 == 0
    scale = power.sqrt() * torch.where(alone, 2**0.5, 1.0)
    parts = torch.randn(2, rows, count, size, len(power), generator=generator) * scale
    parts[1][..., alone] = 0.0
    variance = (torch.where(alone, 2.0, 4.0) * power).sum() / horizon**2
    noise: Tensor = torch.fft.irfft(torch.complex(*parts), n=horizon) / variance.sqrt()
    return noise.transpose(-1, -2)
