"""The distance of Gaussians that can be written down."""

from __future__ import annotations

import pytest
import torch

from worldgan.errors import WorldganError
from worldgan.evaluation.frechet import Gaussian, feature_distance, frechet_distance, gaussian


def features(count: int = 50, size: int = 6, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=rng)
    return torch.randn(count, size, generator=rng) @ mix


def test_a_set_is_at_no_distance_from_itself() -> None:
    one = gaussian(features())
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    few = gaussian(features(count=3))  # fewer than dimensions: the covariance has no inverse
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_shifted_gaussians_are_at_the_squared_shift() -> None:
    shift = torch.tensor([3.0, -4.0, 0, 0, 0, 0])
    assert frechet_distance(gaussian(features()), gaussian(features() + shift)) == pytest.approx(25, rel=1e-4)


def test_scaled_and_commuting_covariances() -> None:
    spread = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
    a, b = (Gaussian(torch.zeros(3, dtype=torch.float64), torch.diag(values)) for values in (spread, spread.flip(0)))
    expected = float((spread.sqrt() - spread.flip(0).sqrt()).square().sum())
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_feature_distance_is_in_units_of_the_real_spread() -> None:
    real, spread = gaussian(features()), float(features().double().var(0).sum())
    nothing = features().mean(0).expand(9, -1)  # a model that always shows the average
    assert feature_distance(nothing, real) == pytest.approx(1, rel=1e-4)
    far = features() + torch.tensor([spread**0.5, 0, 0, 0, 0, 0])
    assert feature_distance(far, real) == pytest.approx(1, rel=1e-4)
    assert feature_distance(features() * 100, gaussian(features() * 100)) == pytest.approx(0, abs=1e-6)
    assert feature_distance(features(1), real) is None
    assert feature_distance(features(), gaussian(torch.ones(5, 6))) is None


def test_misuse_is_named() -> None:
    for bad in (features(1), torch.full((4, 2), torch.nan), torch.ones(4)):
        with pytest.raises(WorldganError, match="at least two finite feature vectors"):
            gaussian(bad)
