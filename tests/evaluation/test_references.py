"""Metrics compute what SciPy, scikit-image and torchmetrics do, of whatever comes: odd sizes, ties, flat frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import linalg, ndimage, special, stats
from scipy.spatial import distance
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from worldgan.evaluation import frames
from worldgan.evaluation.distribution import (
    INVALID,
    calibration_error,
    compare_samples,
    expected_variation,
    log_loss_excess,
)
from worldgan.evaluation.frechet import frechet_distance, gaussian
from worldgan.evaluation.spectrum import band_count, radial_power
from worldgan.evaluation.statistics import (
    bootstrap,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    ranks,
    spearman,
)

law = settings(derandomize=True, max_examples=30, deadline=None)
seeds = st.integers(0, 2**16)
levels = st.integers(0, 255)
scores = st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6)
runs = st.lists(scores, min_size=1, max_size=12)


@st.composite
def pairs(draw: Any, least: int, most: int) -> tuple[Tensor, Tensor]:
    """Two of uint8 [2, C, H, W]: noise of any contrast, none included, and what is off it by any amount."""
    shape = (2, draw(st.integers(1, 3)), draw(st.integers(least, most)), draw(st.integers(least, most)))
    rng, low, spread, off = np.random.default_rng(draw(seeds)), draw(levels), draw(levels), draw(levels)
    real = rng.integers(low, min(255, low + spread), shape, endpoint=True)
    other = (real + rng.integers(-off, off, shape, endpoint=True)).clip(0, 255)
    return torch.from_numpy(other.astype(np.uint8)), torch.from_numpy(real.astype(np.uint8))


@law
@given(pairs(1, 16))
def test_psnr(pair: tuple[Tensor, Tensor]) -> None:
    for other, real, found in zip(*pair, frames.psnr(*pair), strict=True):
        with np.errstate(divide="ignore"):
            expected = peak_signal_noise_ratio(real.numpy(), other.numpy(), data_range=255)
        assert float(found) == pytest.approx(min(expected, frames.PSNR_CEILING), abs=1e-4)


@law
@given(pairs(11, 24))  # its Gaussian window does not shrink with smaller frames
def test_ssim(pair: tuple[Tensor, Tensor]) -> None:
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for other, real, found in zip(*pair, frames.ssim(*pair), strict=True):
        expected = structural_similarity(real.numpy(), other.numpy(), channel_axis=0, **wang)
        assert float(found) == pytest.approx(expected, abs=2e-4)  # float32, of squares up to 65025


@law
@given(pairs(1, 12))
def test_laplacian_energy(pair: tuple[Tensor, Tensor]) -> None:
    for frame, found in zip(pair[0], frames.laplacian_energy(pair[0]), strict=True):
        planes = [ndimage.laplace(plane)[1:-1, 1:-1] for plane in frame.double().numpy()]
        assert float(found) == pytest.approx(np.square(planes).sum(), rel=1e-5)


@law
@given(pairs(1, 6), st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_energy_score(pair: tuple[Tensor, Tensor], drawn: list[int]) -> None:
    other, real = pair
    samples = [(other, real, 255 - other)[which] for which in drawn]
    for row, found in enumerate(frames.energy_score(samples, real)):
        points = np.stack([sample[row].flatten().double().numpy() for sample in samples])
        far = distance.cdist(points, real[row].flatten().double().numpy()[None]).mean()
        apart = distance.pdist(points).mean() if len(points) > 1 else 0.0
        assert float(found) == pytest.approx(far - apart / 2, rel=1e-5, abs=1e-2)  # of distances up to 2650


RAMP = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10)


@law
@given(pairs(2, 12), st.integers(1, 6))
@example((RAMP, RAMP), 5)  # 3 waves in 10 pixels are the end of a band, and in floats a hair beyond it
def test_radial_power(pair: tuple[Tensor, Tensor], most: int) -> None:
    height, width = pair[0].shape[-2:]
    bands = min(most, band_count(height, width))
    members: list[list[Any]] = [[] for _ in range(bands)]
    spectra = np.abs(np.fft.fft2(pair[0].numpy())) ** 2 / (height * width)
    for down, right in np.ndindex(height, width):
        waves = Fraction(min(down, height - down), height), Fraction(min(right, width - right), width)
        squared = sum(wave**2 for wave in waves)
        for band in range(bands):
            if Fraction(band, 2 * bands) ** 2 < squared <= Fraction(band + 1, 2 * bands) ** 2:
                members[band].append(spectra[..., down, right].mean(1))
    expected = np.stack([np.mean(member, axis=0) for member in members], axis=1)
    np.testing.assert_allclose(radial_power(pair[0], bands), expected, rtol=1e-9, atol=1e-9)


@law
@given(st.integers(1, 6), seeds, st.floats(0, 50))
def test_frechet_distance(size: int, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs = (rng.normal(size=(30, size)) @ rng.normal(size=(size, size)) for _ in range(2))
    ours += shift
    one, other = (np.atleast_2d(np.cov(features.T)) for features in (ours, theirs))
    spread = np.trace(one + other - 2 * linalg.sqrtm(one @ other).real)
    expected = distance.sqeuclidean(ours.mean(0), theirs.mean(0)) + spread
    found = frechet_distance(gaussian(torch.from_numpy(ours)), gaussian(torch.from_numpy(theirs)))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@st.composite
def truths(draw: Any) -> np.ndarray:
    """Probabilities [M], some of them 0, or one of them 1."""
    weights = np.array(draw(st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any)))
    return weights / weights.sum()


@law
@given(truths(), st.data())
def test_total_variation_and_recall(truth: np.ndarray, data: st.DataObject) -> None:
    classes = data.draw(st.lists(st.integers(INVALID, len(truth) - 1), min_size=1, max_size=40))
    found = compare_samples([torch.tensor(classes)], [torch.from_numpy(truth)], likely=0.02)
    shares = np.histogram(classes, np.arange(-1.5, len(truth)))[0] / len(classes)  # of the invalid, and of each outcome
    likely = truth >= 0.02
    assert found.tv == pytest.approx(distance.cityblock(shares, [0, *truth]) / 2)
    assert found.recall == pytest.approx((shares[1:][likely] > 0).mean())
    assert found.recall_floor == pytest.approx(stats.binom.sf(0, len(classes), truth[likely]).mean())
    assert found.tv_floor == expected_variation(torch.from_numpy(truth), len(classes))
    assert found.invalid == shares[0]


@law
@given(truths(), st.integers(1, 300))
def test_expected_variation(truth: np.ndarray, samples: int) -> None:
    counts = np.arange(samples + 1)[:, None]
    off = stats.binom.pmf(counts, samples, truth) * np.abs(counts / samples - truth)
    assert expected_variation(torch.from_numpy(truth), samples) == pytest.approx(off.sum() / 2, abs=1e-9)


@law
@given(truths(), st.data(), st.sampled_from([1e-3, 1e-6]))
def test_log_loss_excess(truth: np.ndarray, data: st.DataObject, floor: float) -> None:
    stated = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(truth), max_size=len(truth))))
    expected = special.rel_entr(truth, np.maximum(stated, floor)).sum()
    assert log_loss_excess(torch.from_numpy(stated), torch.from_numpy(truth), floor) == pytest.approx(expected)


between = st.integers(0, 63).map(lambda number: (2 * number + 1) / 128)
"""Never on the edge of a bin, where rounding decides."""


@law
@given(st.lists(st.tuples(between | st.sampled_from([0.0, 1.0]), st.floats(0, 1)), min_size=1), st.integers(1, 15))
def test_calibration_error(told: list[tuple[float, float]], bins: int) -> None:
    stated, truth = np.array(told).T
    gaps = stats.binned_statistic(stated, stated - truth, "sum", bins, (0, 1)).statistic
    found = calibration_error(torch.from_numpy(stated), torch.from_numpy(truth), bins)
    assert found == pytest.approx(np.abs(gaps).sum() / len(told))


@law
@given(st.lists(st.tuples(between, st.integers(0, 1)), min_size=1), st.integers(1, 15))
def test_calibration_error_of_what_happened(told: list[tuple[float, int]], bins: int) -> None:
    stated, happened = (torch.tensor(column) for column in zip(*told, strict=True))
    expected = float(binary_calibration_error(stated, happened, n_bins=bins))
    assert calibration_error(stated, happened, bins) == pytest.approx(expected, abs=1e-6)


@law
@given(st.lists(runs, min_size=1, max_size=4))
def test_interquartile_mean(tasks: list[list[float]]) -> None:
    expected = stats.trim_mean(np.concatenate(tasks), 0.25)
    assert interquartile_mean(tasks) == pytest.approx(expected, abs=1e-6)
    curves = [np.stack([task, task[::-1]], axis=1) for task in tasks]  # [R, 2]
    assert interquartile_mean(curves) == pytest.approx(stats.trim_mean(np.concatenate(curves), 0.25, axis=0), abs=1e-6)


@law
@given(st.lists(st.tuples(runs, runs), min_size=1, max_size=4))
def test_probability_of_improvement(tasks: list[tuple[list[float], list[float]]]) -> None:
    expected = [
        stats.mannwhitneyu(one, other, method="asymptotic").statistic / (len(one) * len(other)) for one, other in tasks
    ]
    assert probability_of_improvement(*zip(*tasks, strict=True)) == pytest.approx(np.mean(expected))


@law
@given(st.lists(runs, min_size=1, max_size=4), runs)
def test_performance_profile(tasks: list[list[float]], thresholds: list[float]) -> None:
    expected = np.mean([stats.ecdf(task).sf.evaluate(thresholds) for task in tasks], axis=0)
    assert performance_profile(tasks, thresholds) == pytest.approx(expected)


@law
@given(st.lists(st.tuples(scores, scores), min_size=3, max_size=20))
def test_rank_correlation(points: list[tuple[float, float]]) -> None:
    one, other = np.array(points).T
    assert ranks(one).tolist() == stats.rankdata(one).tolist()
    if min(np.ptp(one), np.ptp(other)) == 0:
        assert spearman(one, other) is None
    else:
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-9)


def test_bootstrap_interval() -> None:
    """Stratified: SciPy redraws each of two samples by itself, too. Luck moves the ends by about 0.04 errors."""
    rng = np.random.default_rng(0)
    tasks = [rng.normal(0, 1, 20), rng.normal(9, 2, 10)]

    def mean(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return (one.sum(axis) + other.sum(axis)) / 30

    expected = stats.bootstrap(tasks, mean, n_resamples=9999, method="percentile", rng=0)
    found = bootstrap(lambda redrawn: np.mean(np.concatenate(redrawn)), tasks, resamples=9999)
    assert found.value == pytest.approx(np.concatenate(tasks).mean())
    for end, reference in (
        (found.low, expected.confidence_interval.low),
        (found.high, expected.confidence_interval.high),
    ):
        assert end == pytest.approx(reference, abs=0.15 * expected.standard_error)
