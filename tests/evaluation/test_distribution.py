"""Laws of the distribution metrics: what perfect samples score is known, and so is what broken ones do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation.distribution import (
    INVALID,
    Calibration,
    SampleScores,
    classify,
    compare_probabilities,
    compare_samples,
    expected_variation,
    stated_probability,
)

TRUTHS = [[1.0], [0.5, 0.5], [0.9, 0.1], [0.98, 0.02], [0.4, 0.2, 0.2, 0.2], [0.3**2, 0.7, 0.21]]


def odds(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture
def outcomes() -> Tensor:
    """A white square of 3 pixels at one of 5 places on black."""
    frames = torch.zeros(5, 3, 16, 16, dtype=torch.uint8)
    for place in range(5):
        frames[place, :, 3 * place : 3 * place + 3, 4:7] = 255
    return frames


def test_true_frames_are_known_again_and_small_errors_forgiven(outcomes: Tensor) -> None:
    order = torch.tensor([4, 0, 0, 2, 3, 1])
    noise = torch.randint(-63, 64, outcomes[order].shape, generator=torch.Generator().manual_seed(0))
    rough = (outcomes[order].long() + noise).clamp(0, 255).to(torch.uint8)
    assert classify(outcomes[order], outcomes).equal(order)
    assert classify(rough, outcomes).equal(order)
    assert classify(outcomes[:0], outcomes).tolist() == []


def test_ghosts_blends_and_vanished_objects_are_invalid(outcomes: Tensor) -> None:
    ghost = torch.maximum(outcomes[0], outcomes[3])
    blend = ((outcomes[0].float() + outcomes[1]) / 2).to(torch.uint8)
    vanished = torch.zeros_like(outcomes[0])
    dropped = outcomes[2].clone()
    dropped[1, 7, 5] = 0  # one channel of one pixel
    wrong = torch.stack([ghost, blend, vanished, dropped])
    assert classify(wrong, outcomes).tolist() == [INVALID] * 4


@pytest.mark.parametrize(("error", "tolerance", "found"), [(63, 64, 0), (64, 64, -1), (64, 65, 0), (1, 1, -1)])
def test_the_tolerance_is_the_first_error_refused(error: int, tolerance: int, found: int, outcomes: Tensor) -> None:
    off = outcomes[:1].clone()
    off[0, 2, 15, 0] += error
    assert classify(off, outcomes, tolerance).tolist() == [found]


def test_a_blend_passes_for_the_likely_outcome_alone_as_documented(outcomes: Tensor) -> None:
    for p in (0.7, 0.74, 0.76, 0.9):
        blend = (p * outcomes[0].float() + (1 - p) * outcomes[1]).round().to(torch.uint8)
        assert classify(blend[None], outcomes).tolist() == [INVALID if (1 - p) * 255 >= 64 else 0]


def test_frames_that_cannot_be_compared_are_refused(outcomes: Tensor) -> None:
    for frames, truth in ((outcomes.float(), outcomes), (outcomes[..., 1:], outcomes), (outcomes, outcomes[:0])):
        with pytest.raises(WorldganError, match=r"expected (uint8|at least one)"):
            classify(frames, truth)


def test_always_the_likeliest_is_as_far_as_the_rest_is_probable() -> None:
    found = compare_samples([torch.zeros(50, dtype=torch.long)], [odds(0.4, 0.3, 0.29, 0.01)])
    assert found.tv == pytest.approx(0.6)
    assert found.recall == pytest.approx(1 / 3)
    assert found.tv_excess == found.tv - found.tv_floor


def test_invalid_samples_are_mass_on_no_true_outcome() -> None:
    half = torch.tensor([0, INVALID] * 20)
    assert compare_samples([half], [odds(1.0)]).tv == 0.5
    nothing = torch.full((40,), INVALID)
    assert compare_samples([nothing], [odds(0.5, 0.5)]) == SampleScores(
        1.0, expected_variation(odds(0.5, 0.5), 40), 0.0, pytest.approx(1.0), 1.0
    )


def test_contexts_are_averaged() -> None:
    classes = [torch.tensor([0, 0, 0, 0]), torch.tensor([0, 1, INVALID, INVALID])]
    truths = [odds(0.5, 0.5), odds(1 / 3, 1 / 3, 1 / 3)]
    one, two = (compare_samples([found], [truth]) for found, truth in zip(classes, truths, strict=True))
    both = compare_samples(classes, truths)
    assert both.invalid == 0.25
    for name in ("tv", "tv_floor", "recall", "recall_floor", "invalid"):
        assert getattr(both, name) == pytest.approx((getattr(one, name) + getattr(two, name)) / 2)


def test_recall_counts_likely_outcomes_alone() -> None:
    classes, truth = [torch.zeros(9, dtype=torch.long)], [odds(0.97, 0.02, 0.01)]
    recall = {likely: compare_samples(classes, truth, likely=likely).recall for likely in (0.0, 0.02, 0.5, 0.99)}
    assert recall == {0.0: pytest.approx(1 / 3), 0.02: 0.5, 0.5: 1.0, 0.99: 1.0}


def test_stated_probabilities_add_up_by_outcome() -> None:
    classes, probability = torch.tensor([1, 0, 1, INVALID]), torch.tensor([0.25, 0.25, 0.125, 0.375])
    assert stated_probability(classes, probability, 3).tolist() == [0.25, 0.375, 0.0]


@pytest.mark.parametrize("truth", TRUTHS)
def test_the_truth_is_calibrated(truth: list[float]) -> None:
    scores = compare_probabilities([odds(*truth)] * 3, [odds(*truth)] * 3)
    assert scores == Calibration(pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))


def test_probability_stated_of_invalid_frames_counts_against_a_model() -> None:
    scores = compare_probabilities([odds(0.5, 0.0)], [odds(1.0, 0.0)])  # pairs (0.5, 1), (0, 0) and (0.5, 0)
    assert scores.log_loss_excess == pytest.approx(math.log(2))
    assert scores.ece == pytest.approx(0.0)  # of the two stated alike, half happened
    worse = compare_probabilities([odds(0.2, 0.0)], [odds(1.0, 0.0)])
    assert worse.ece == pytest.approx((0.8 + 0.8) / 3)


@pytest.mark.parametrize(
    ("classes", "truths", "message"),
    [
        ([], [], "expected contexts"),
        ([torch.tensor([0])], [odds(1.0), odds(1.0)], "one truth each, got 1 and 2"),
        ([torch.tensor([0])], [odds(0.5, 0.4)], r"sum to 1, got \[0.5, 0.4\]"),
        ([torch.tensor([0])], [odds(1.5, -0.5)], "sum to 1"),
        ([torch.tensor([], dtype=torch.long)], [odds(1.0)], "at least one sample"),
    ],
)
def test_what_has_no_score_is_refused(classes: list[Tensor], truths: list[Tensor], message: str) -> None:
    with pytest.raises(WorldganError, match=message):
        compare_samples(classes, truths)
