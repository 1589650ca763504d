"""How good frames are, one by one: pure functions of uint8 frames [..., C, H, W], any number of channels.

Every function takes any leading dimensions and gives one value per frame; averages are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from worldgan.errors import WorldganError

PEAK = 255.0
# 60 dB is a squared error of 1/15 grey level, finer than 8-bit rounding (1/12) can mean anything. Without a
# ceiling one exact frame makes every average infinite, and in small worlds many frames are exact.
PSNR_CEILING = 60.0


def psnr(predicted: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, [...], higher is better, at most ``PSNR_CEILING`` (identical frames).

    predicted, real: uint8 [..., C, H, W]. Defined as 10 log10(255^2 / mean squared error).
    """
    error = (_levels(predicted, like=real) - _levels(real)).square().mean((-3, -2, -1))
    return (10 * torch.log10(PEAK**2 / error)).clamp(max=PSNR_CEILING)


def ssim(predicted: Tensor, real: Tensor) -> Tensor:
    """Structural similarity, [...], in [-1, 1], 1 for identical frames; channels are averaged.

    predicted, real: uint8 [..., C, H, W]. Wang et al. 2004 (eq. 13): Gaussian window 11x11 with sigma 1.5,
    K1 = 0.01, K2 = 0.03, windows wholly inside the frame; frames smaller than 11 get the largest odd window.
    """
    x, y = _levels(predicted, like=real), _levels(real)
    moments = torch.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, square_x, square_y, product = _gaussian(moments).unbind(0)
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean((-3, -2, -1))


def gradient_energy(frames: Tensor) -> Tensor:
    """Sum of squared differences between neighbouring pixels, [...], in squared grey levels.

    frames: uint8 [..., C, H, W].
    """
    x = _levels(frames)
    return _energy(x.diff(dim=-1)) + _energy(x.diff(dim=-2))


def laplacian_energy(frames: Tensor) -> Tensor:
    """Sum of squared 5-point Laplacians over inner pixels, [...], in squared grey levels.

    frames: uint8 [..., C, H, W]. Finer detail weighs more than in ``gradient_energy``; a usual focus measure
    (Pertuz et al. 2013, "Analysis of focus measure operators", LAP1).
    """
    x = _levels(frames)
    across = x[..., 1:-1, 2:] + x[..., 1:-1, :-2]
    along = x[..., 2:, 1:-1] + x[..., :-2, 1:-1]
    return _energy(across + along - 4 * x[..., 1:-1, 1:-1])


def sharpness(generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Energy of generated over energy of real frames, of gradients and of Laplacians: two scalars.

    generated, real: uint8 [..., C, H, W], not necessarily paired. Ratios of sums over all leading dimensions.
    1 is as sharp as real, below is blur, above is noise or invented edges; NaN or inf if real has no edges.
    """
    gradients = gradient_energy(generated).sum() / gradient_energy(real).sum()
    return gradients, laplacian_energy(generated).sum() / laplacian_energy(real).sum()


def changed_pixel_error(predicted: Tensor, real: Tensor, previous_real: Tensor, threshold: int = 0) -> Tensor:
    """Mean absolute error, [...], in 0..255, over the pixels that really changed; NaN where none did.

    predicted, real, previous_real: uint8 [..., C, H, W]; previous_real is the real frame one step earlier.
    A pixel changed if any of its channels moved by more than ``threshold`` grey levels; the error is averaged
    over its channels. A one-pixel ball, which a mean over all pixels hides, weighs fully here; what is
    invented on still pixels does not count here but in ``psnr``.
    """
    return error_within(changed_pixels(real, previous_real, threshold), predicted, real)


def changed_pixels(real: Tensor, previous_real: Tensor, threshold: int = 0) -> Tensor:
    """bool [..., H, W]: the pixels of which any channel moved by more than ``threshold`` grey levels.

    real, previous_real: uint8 [..., C, H, W].
    """
    return ((_levels(real) - _levels(previous_real, like=real)).abs() > threshold).any(-3)


def error_within(mask: Tensor, frames: Tensor, others: Tensor) -> Tensor:
    """Mean absolute difference of frames, [...], in 0..255, over the pixels of a mask; NaN where it has none.

    mask: bool [..., H, W].    frames, others: uint8 [..., C, H, W].
    """
    error = (_levels(frames, like=others) - _levels(others)).abs().mean(-3)
    return (error * mask).sum((-2, -1)) / mask.sum((-2, -1))


def energy_score(samples: Sequence[Tensor], real: Tensor) -> Tensor:
    """Energy score of N samples of a predicted distribution, [...], in grey levels, lower is better.

    samples: N of uint8 [..., C, H, W], independent.    real: uint8 [..., C, H, W].
    Mean Euclidean distance from sample to real, less half the mean distance between two samples (Gneiting & Raftery
    2007, eq. 22 with beta = 1 and the sign turned). Strictly proper: in expectation samples of the true distribution
    are best, better than its mean or its mode. Unbiased for N >= 2, so unequal N compare, and a value may be below 0.
    One sample, or equal ones, score their distance: fair to a model that draws one frame alone, not to a sampler.
    Over all pixels, not the changed ones alone: a region chosen by the outcome makes a score improper.
    """
    error = torch.stack([_distance(sample, real) for sample in samples]).mean(0)
    apart = [_distance(*pair) for pair in combinations(samples, 2)]  # floats of one pair at a time, never of all
    return error - torch.stack(apart).mean(0) / 2 if apart else error


def _levels(frames: Tensor, like: Tensor | None = None) -> Tensor:
    # Frames in [-1, 1] or a broadcast would give plausible numbers, so both are refused.
    if frames.dtype != torch.uint8 or (like is not None and frames.shape != like.shape):
        expected = "[..., C, H, W]" if like is None else str(list(like.shape))
        raise WorldganError(f"expected uint8 frames {expected}, got {frames.dtype} {list(frames.shape)}")
    return frames.float()


def _energy(values: Tensor) -> Tensor:
    return values.square().sum((-3, -2, -1))


def _distance(frames: Tensor, others: Tensor) -> Tensor:
    return _energy(_levels(frames, like=others) - _levels(others)).sqrt()


def _gaussian(images: Tensor) -> Tensor:
    """[..., H, W] -> Gaussian-weighted local means [..., H - size + 1, W - size + 1]."""
    height, width = images.shape[-2:]
    size = min(11, height, width)
    size -= 1 - size % 2
    # Two products with banded matrices: 5 times faster on a CPU than convolutions of one channel.
    return _band(height, size, images) @ images @ _band(width, size, images).mT


def _band(length: int, size: int, like: Tensor) -> Tensor:
    """[length - size + 1, length]: row i holds the window that begins at pixel i, adding up to 1."""
    starts = torch.arange(length - size + 1, device=like.device)[:, None]
    offsets = torch.arange(length, device=like.device) - starts - size // 2
    weights = torch.exp(-(offsets**2) / (2 * 1.5**2)).where(offsets.abs() <= size // 2, 0.0)
    return weights / weights.sum(1, keepdim=True)
