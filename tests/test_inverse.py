"""The inverse model's frames, losses and expectations; that it learns is seen in those who use it."""

from __future__ import annotations

import pytest
import torch

from worldgan.actions import ActionSpec
from worldgan.inverse import expected, misnaming, triples

MANY, BOX = ActionSpec("multidiscrete", (2, 3)), ActionSpec("box", (2,), (-1.0, -1.0), (1.0, 1.0))


def test_triples_are_each_target_with_the_two_before() -> None:
    frames = torch.arange(5, dtype=torch.uint8)[None, :, None, None, None]
    found = triples(frames[:, :2], frames[:, 2:]).flatten(2)
    assert found.tolist() == [[[0, 1, 2], [1, 2, 3], [2, 3, 4]]]
    assert triples(frames[:, :1], frames[:, 1:2]).flatten().tolist() == [0, 0, 1]


def test_what_is_expected_of_classes_are_probabilities_of_each_dimension() -> None:
    found = expected(torch.tensor([[0.0, 0, 50, 0, 0]]), MANY)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5, 1, 0, 0]]))


def test_what_is_expected_of_a_box_lies_within() -> None:
    assert expected(torch.tensor([[0.3, -4.0]]), BOX).tolist() == [[pytest.approx(0.3), -1]]


def test_losses_are_per_row_and_least_for_what_was_done() -> None:
    taken = torch.tensor([[1.0, 0, 0, 0, 1], [0, 1, 1, 0, 0]])
    right = misnaming(50 * taken, taken, MANY)
    assert right.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (misnaming(-50 * taken, taken, MANY) > 1).all()
    assert misnaming(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.5, 1.0]]), BOX).tolist() == [0.5]
