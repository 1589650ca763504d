"""White noise has the same power everywhere, a wave at its own frequency, and blur takes the finest first."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation.spectrum import band_centres, band_count, power_ratio, radial_power
from worldgan.pixels import to_tensor


def noise(count: int = 64, height: int = 32, width: int = 32, spread: int = 40, seed: int = 0) -> Tensor:
    """uint8 [count, 3, height, width], uniform within 128 +- spread."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(128 - spread, 129 + spread, (count, 3, height, width), dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 48), (8, 20)])
def test_white_noise_has_its_variance_in_every_band(height: int, width: int) -> None:
    frames, bands = noise(height=height, width=width), band_count(height, width)
    power = radial_power(frames, bands)
    assert power.shape == (64, bands)
    variance = float(frames.double().var())
    assert power.mean(0).tolist() == pytest.approx([variance] * bands, rel=0.15)


@pytest.mark.parametrize("waves", [1, 5, 16])
def test_a_wave_is_in_its_own_band(waves: int) -> None:
    angle = 2 * math.pi * waves * torch.arange(32) / 32
    frame = (128 + 100 * torch.cos(angle)).round().to(torch.uint8).expand(1, 32, 32)
    for turned in (frame, frame.mT):
        power = radial_power(turned, 16)
        assert power.argmax() == waves - 1  # band i ends with frequency (i + 1) / 32
        assert power[waves - 1] > 0.99 * power.sum()
    assert band_centres(16)[waves - 1] == pytest.approx((waves - 0.5) / 32)


def test_brightness_alone_has_no_power() -> None:
    still = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    assert radial_power(still, 8).max() < 1e-12
    assert power_ratio(still, still, 8).isnan().all()


def test_blur_falls_with_frequency_and_noise_rises() -> None:
    real = noise()
    frames = [cv2.GaussianBlur(frame.numpy().transpose(1, 2, 0), (0, 0), 1.0) for frame in real]
    blurred = power_ratio(to_tensor(np.stack(frames)), real, 16)
    assert 0.5 < blurred[0] <= 1.05
    assert blurred[-1] < 0.02
    assert blurred.diff().lt(0.01).all()
    louder = power_ratio(noise(spread=80, seed=1), real, 16)
    assert louder.tolist() == pytest.approx([4.0] * 16, rel=0.2)
    assert power_ratio(real, real, 16).eq(1).all()


def test_pairing_and_order_do_not_matter() -> None:
    real, other = noise(8), noise(8, seed=2)
    assert power_ratio(other.flip(0), real, 4).allclose(power_ratio(other.view(2, 4, 3, 32, 32), real, 4))


def test_misuse_is_named() -> None:
    with pytest.raises(WorldganError, match="expected uint8 frames"):
        radial_power(torch.zeros(1, 3, 8, 8), 2)
    with pytest.raises(WorldganError, match="half as many bands"):
        radial_power(noise(1, 8, 8), 5)
