"""How far two sets of feature vectors are from each other as wholes: the Fréchet distance of their Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldgan.errors import WorldganError


@dataclass(frozen=True)
class Gaussian:
    """mean: float64 [D].    covariance: float64 [D, D]."""

    mean: Tensor
    covariance: Tensor


def gaussian(features: Tensor) -> Gaussian:
    """Mean and unbiased covariance of features [N, D]. Raises WorldganError for fewer than 2 of them, or NaN."""
    if features.ndim != 2 or len(features) < 2 or not bool(features.isfinite().all()):
        raise WorldganError(f"expected at least two finite feature vectors [N, D], got {list(features.shape)}")
    values = features.double()
    return Gaussian(values.mean(0), torch.cov(values.T).reshape(values.shape[1], values.shape[1]))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance, >= 0, in squared units of the features (Heusel et al. 2017, eq. 6; Dowson 1982).

    |mean_a - mean_b|^2 + trace(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)); the trace of the root is taken of the
    symmetric root_a cov_b root_a, whose eigenvalues are the same, and not negative but for rounding.
    """
    root = _root(a.covariance)
    values = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0)
    spread = a.covariance.trace() + b.covariance.trace() - 2 * values.sqrt().sum()
    return max(0.0, float((a.mean - b.mean).square().sum() + spread))


def feature_distance(features: Tensor, real: Gaussian) -> float | None:
    """``frechet_distance`` of features [N, D] to real ones, over the real variance: 1 is as far as real ones spread.

    None if the real ones do not spread, or with fewer than 2 features. Sampling noise makes it positive even for real
    ones, the more the fewer they are: compare only at equal N, and with real ones.
    """
    variance = float(real.covariance.trace())
    if len(features) < 2 or variance <= 0:
        return None
    return frechet_distance(gaussian(features), real) / variance


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a symmetric positive semi-definite matrix [D, D]."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
