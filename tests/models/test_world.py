"""Candidates that look alike are one outcome."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from worldgan.models.world import distinct


def candidates(levels: list[list[float]], shares: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Frames of one grey level each."""
    return torch.tensor(levels)[..., None, None, None].expand(-1, -1, 1, 2, 2).clone(), torch.tensor(shares)


def listed(found: tuple[Tensor, Tensor]) -> list[list[tuple[float, float]]]:
    frames, probability = found
    rows = zip(frames[..., 0, 0, 0].tolist(), probability.tolist(), strict=True)
    return [[(pytest.approx(level), pytest.approx(p)) for level, p in zip(*row, strict=True)] for row in rows]


def test_look_alikes_are_joined_into_the_most_probable() -> None:
    given = candidates([[-1.0, 1.0, -0.8, 0.9]], [[0.3, 0.25, 0.25, 0.2]])
    assert listed(distinct(*given, 4)) == [[(-1.0, 0.55), (1.0, 0.45)]]


def test_joining_can_change_the_order() -> None:
    given = candidates([[-1.0, 1.0, 0.9]], [[0.4, 0.3, 0.3]])
    assert listed(distinct(*given, 3)) == [[(1.0, 0.6), (-1.0, 0.4)]]


def test_only_the_most_probable_are_kept_and_scaled() -> None:
    given = candidates([[-1.0, 0.0, 1.0]], [[0.2, 0.5, 0.3]])
    assert listed(distinct(*given, 2)) == [[(0.0, 0.625), (1.0, 0.375)]]


def test_rows_with_fewer_outcomes_are_filled_up_with_none() -> None:
    frames, probability = distinct(*candidates([[-1.0, 1.0], [0.1, 0.0]], [[0.5, 0.5], [0.5, 0.5]]), 2)
    assert frames.shape[:2] == probability.shape == (2, 2)
    assert probability.tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_a_chain_of_look_alikes_is_not_one_outcome() -> None:
    """The ends of the chain differ, so they stay two whatever lies between them."""
    given = candidates([[-0.4, 0.0, 0.4]], [[0.4, 0.2, 0.4]])
    assert listed(distinct(*given, 3)) == [[(-0.4, 0.6), (0.4, 0.4)]]


def test_what_is_given_stays_as_it_was() -> None:
    frames, probability = candidates([[-1.0, -0.9]], [[0.5, 0.5]])
    distinct(frames, probability, 2)
    assert probability.tolist() == [[0.5, 0.5]]
