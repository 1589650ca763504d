"""How near a predicted distribution of the next frame is to the true one: pure functions of frames and odds.

M true outcomes, all that can follow a context and an action, each with its frame and its probability; N frames
that a model predicts for the same context. A frame is put down to the outcome it shows, or is invalid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldgan.errors import WorldganError

INVALID = -1
"""The class of a frame that shows no true outcome: a ghost, a blend, a vanished object."""


@dataclass(frozen=True)
class SampleScores:
    """What samples of a model say of its distribution: means over contexts, all in 0..1.

    tv: total variation distance between the frequencies of the samples and the truth; invalid samples are
    mass on no true outcome.    tv_floor: what as many samples of the truth itself score on average.
    recall: share of the likely true outcomes that were sampled at least once.    recall_floor: the same of
    as many samples of the truth itself; a model can be above it, by sampling rare outcomes too often.
    invalid: share of samples that show no true outcome.
    """

    tv: float
    tv_floor: float
    recall: float
    recall_floor: float
    invalid: float

    @property
    def tv_excess(self) -> float:
        """tv - tv_floor: what the model, and not the number of samples, is to blame for. 0 is perfect."""
        return self.tv - self.tv_floor


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities that a model states are from the true ones. 0 is perfect.

    log_loss_excess: mean over contexts of its expected log-loss less the truth's own, in nats.
    ece: expected calibration error, 0..1.
    """

    log_loss_excess: float
    ece: float


def classify(frames: Tensor, outcomes: Tensor, tolerance: int = 64) -> Tensor:
    """The outcome that each frame shows, int64 [N]: an index of ``outcomes``, or ``INVALID``.

    frames: uint8 [N, C, H, W].    outcomes: uint8 [M, C, H, W].    tolerance: in grey levels, 0..255.
    It is the nearest by mean absolute error, the first of equals. A frame that is off it by ``tolerance`` or more
    in any channel of any pixel is invalid: also the mean of two outcomes D levels apart, if its distance from
    the likelier one, of probability p, is (1 - p) D >= tolerance; a nearer one passes for that outcome.
    Raises WorldganError for floats, shapes that differ, or no outcomes.
    """
    if frames.dtype != torch.uint8 or outcomes.dtype != torch.uint8 or frames.shape[1:] != outcomes.shape[1:]:
        got = f"{frames.dtype} {list(frames.shape)} and {outcomes.dtype} {list(outcomes.shape)}"
        raise WorldganError(f"expected uint8 frames [N, C, H, W] and outcomes [M, C, H, W], got {got}")
    if not len(outcomes):
        raise WorldganError("expected at least one true outcome, got none")
    errors, worst = [], []
    for gap in _gaps(frames, outcomes):
        errors.append(gap.sum(1))
        worst.append(gap.amax(1))
    nearest = torch.stack(errors).argmin(0)
    return nearest.masked_fill(torch.stack(worst).gather(0, nearest[None])[0] >= tolerance, INVALID)


def compare_samples(classes: Sequence[Tensor], truths: Sequence[Tensor], *, likely: float = 0.02) -> SampleScores:
    """Score the samples of several contexts.

    classes: per context int64 [N], from ``classify``.    truths: per context the true probabilities [M].
    likely: least probability, 0..1, of the outcomes whose recall counts; a context without any has recalled all.
    Raises WorldganError for no contexts, no samples, or probabilities that do not sum to 1.
    """
    _check_truths(classes, truths)
    if not all(len(found) for found in classes):
        raise WorldganError("expected at least one sample of every context, got none")
    rows = [_sample_scores(found, truth.double(), likely) for found, truth in zip(classes, truths, strict=True)]
    return SampleScores(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def expected_variation(truth: Tensor, samples: int) -> float:
    """Mean total variation distance, 0..1, between the truth and the frequencies of N ``samples`` of it. Exact.

    truth: probabilities [M]. The count of an outcome of probability p is binomial, and its mean absolute deviation
    2 k C(N, k) p^k (1 - p)^(N - k + 1) with k = floor(N p) + 1 (de Moivre 1730; Diaconis and Zabell 1991, eq. 1).
    """
    p = truth[(truth > 0) & (truth < 1)].double()
    n, k = torch.tensor(float(samples), dtype=torch.float64), torch.floor(samples * p) + 1
    ways = torch.lgamma(n + 1) - torch.lgamma(k) - torch.lgamma(n - k + 1)
    deviation = 2 * torch.exp(ways + k * torch.log(p) + (n - k + 1) * torch.log1p(-p))
    return float(deviation.sum() / samples / 2)


def stated_probability(classes: Tensor, probability: Tensor, outcomes: int) -> Tensor:
    """What a model states of each true outcome, float64 [M]; what is missing to 1 it states of invalid frames.

    classes: int64 [N], from ``classify``, of the frames it lists.    probability: [N], of each.    outcomes: M.
    """
    valid = classes != INVALID
    zeros = torch.zeros(outcomes, dtype=torch.float64, device=classes.device)
    return zeros.index_add(0, classes[valid], probability[valid].double())


def compare_probabilities(
    stated: Sequence[Tensor], truths: Sequence[Tensor], *, floor: float = 1e-3, bins: int = 10
) -> Calibration:
    """Score the stated probabilities of several contexts.

    stated: per context [M], from ``stated_probability``.    truths: per context the true probabilities [M].
    floor: least probability that log-loss reckons with, lest one outcome left out make it infinite.
    bins: of ``calibration_error``, where the invalid frames of each context are one more outcome, never true.
    Raises WorldganError for no contexts, or true probabilities that do not sum to 1.
    """
    _check_truths(stated, truths)
    losses = [log_loss_excess(guess, truth, floor) for guess, truth in zip(stated, truths, strict=True)]
    guesses = [torch.cat([guess.double(), (1 - guess.double().sum(0, keepdim=True)).clamp(min=0)]) for guess in stated]
    known = [torch.cat([truth, truth.new_zeros(1)]) for truth in truths]
    return Calibration(sum(losses) / len(losses), calibration_error(torch.cat(guesses), torch.cat(known), bins))


def log_loss_excess(stated: Tensor, truth: Tensor, floor: float = 1e-3) -> float:
    """Expected -log of the probability stated of what happens, less the entropy of the truth, in nats; exact.

    stated, truth: [M]. Stated probabilities below ``floor`` count as ``floor``. That is the KL divergence of the
    stated from the true distribution, 0 if they agree (and no true probability is below ``floor``).
    """
    p, q = truth.double(), stated.double().clamp(min=floor)
    return float((torch.special.xlogy(p, p) - p * q.log()).sum())


def calibration_error(stated: Tensor, truth: Tensor, bins: int = 10) -> float:
    """Expected calibration error, 0..1: how far stated probabilities are from the true ones, where stated alike.

    stated, truth: [any], of the same outcomes. Stated probabilities fall into ``bins`` equal bins of 0..1; the error
    is the mean over bins, weighted by how many fell there, of |mean stated - mean true| (Naeini et al. 2015, with the
    true probability in place of a sample of it).
    """
    gaps = torch.zeros(bins, dtype=torch.float64, device=stated.device)
    where = (stated * bins).long().clamp(0, bins - 1)
    return float(gaps.index_add(0, where, stated.double() - truth.double()).abs().sum() / len(stated))


def _gaps(frames: Tensor, outcomes: Tensor) -> Iterator[Tensor]:
    """Per outcome the absolute differences, int16 [N, C H W]. One at a time: all together they take M times that."""
    levels = frames.flatten(1).short()
    return ((levels - outcome).abs_() for outcome in outcomes.flatten(1).short())


def _sample_scores(classes: Tensor, truth: Tensor, likely: float) -> tuple[float, ...]:
    """The fields of ``SampleScores`` for one context."""
    shares = torch.bincount(classes[classes != INVALID], minlength=len(truth)).double() / len(classes)
    invalid = float((classes == INVALID).double().mean())
    distance = (float((shares - truth).abs().sum()) + invalid) / 2
    chosen = truth >= likely - 1e-9  # 1e-9: a probability that was added up may fall a hair short
    recall, expected = 1.0, 1.0
    if chosen.any():
        recall = float((shares[chosen] > 0).double().mean())
        expected = float((1 - (1 - truth[chosen]) ** len(classes)).mean())
    return distance, expected_variation(truth, len(classes)), recall, expected, invalid


def _check_truths(found: Sequence[Tensor], truths: Sequence[Tensor]) -> None:
    if not truths or len(found) != len(truths):
        raise WorldganError(f"expected contexts with one truth each, got {len(found)} and {len(truths)}")
    for truth in truths:
        if truth.ndim != 1 or bool((truth < 0).any()) or abs(float(truth.double().sum()) - 1) > 1e-6:
            raise WorldganError(f"expected true probabilities [M] that sum to 1, got {truth.tolist()}")
