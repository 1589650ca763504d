"""How much detail frames have at each scale: power by spatial frequency, pure functions of uint8 frames."""

from __future__ import annotations

import torch
from torch import Tensor

from worldgan.errors import WorldganError

MOST_BANDS = 16


def band_count(height: int, width: int) -> int:
    """Bands that frames of this size have frequencies for, at most ``MOST_BANDS``."""
    return max(1, min(MOST_BANDS, min(height, width) // 2))


def band_centres(bands: int) -> list[float]:
    """Middle of each band, in cycles per pixel; 0.5 is the finest, a line black and the next white."""
    return [(band + 0.5) / (2 * bands) for band in range(bands)]


def radial_power(frames: Tensor, bands: int) -> Tensor:
    """Mean power of the frequencies in each band, float64 [..., bands], in squared grey levels.

    frames: uint8 [..., C, H, W]; channels are averaged. The ``bands`` are equal parts of 0..0.5 cycles per pixel, in
    any direction; the mean brightness (0) and the corners beyond 0.5 are left out. Scaled such that white noise has
    its variance in every band. Raises WorldganError for other frames, or more bands than ``band_count`` allows.
    """
    if frames.dtype != torch.uint8 or frames.ndim < 3 or not 1 <= bands <= band_count(*frames.shape[-2:]):
        got = f"{frames.dtype} {list(frames.shape)} and {bands}"
        raise WorldganError(f"expected uint8 frames [..., C, H, W] and at most half as many bands as pixels, got {got}")
    height, width = frames.shape[-2:]
    power: Tensor = torch.fft.fft2(frames.double()).abs().square().mean(-3).flatten(-2) / (height * width)
    member = _members(height, width, bands)
    return power @ member / member.sum(0)


def power_ratio(generated: Tensor, real: Tensor, bands: int) -> Tensor:
    """Power of generated over power of real frames, float64 [bands].

    generated, real: uint8 [..., C, H, W], not necessarily paired. Ratios of means over all leading dimensions.
    1 is as much detail of that scale as real, below is blur, above is noise; NaN or inf where real has no power.
    """
    means = [radial_power(frames, bands).flatten(0, -2).mean(0) for frames in (generated, real)]
    # Rounding leaves about 1e-26 of a power that should be none.
    return torch.where(means[1] > 1e-12, means[0] / means[1], torch.nan)


def _members(height: int, width: int, bands: int) -> Tensor:
    """float64 [H * W, bands]: 1 where a frequency lies in a band, which its upper end belongs to."""
    down, right = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.fftfreq(width, dtype=torch.float64)
    radius = torch.hypot(down[:, None], right[None, :]).flatten()
    band = torch.ceil(radius * 2 * bands - 1e-9).long() - 1  # 1e-9: 3 / 32 * 32 may come out a hair above 3
    inside = (band >= 0) & (band < bands)
    member = torch.zeros(len(radius), bands, dtype=torch.float64)
    member[inside, band[inside]] = 1.0
    return member
