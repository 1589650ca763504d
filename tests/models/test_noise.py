"""Uniform noise becomes what it should."""

from __future__ import annotations

import pytest
import torch

from worldgan.models.noise import even, index, normal
from worldgan.seeding import torch_rng


def test_indices_are_as_frequent_as_their_odds() -> None:
    odds = torch.tensor([0.1, 0.0, 0.6, 0.3])
    noise = (torch.arange(1000) + 0.5) / 1000
    drawn = index(odds.log().expand(1000, -1), noise)
    assert drawn.bincount(minlength=4).tolist() == pytest.approx([100, 0, 600, 300], abs=1)
    assert drawn.tolist() == sorted(drawn.tolist())


@pytest.mark.parametrize("noise", [0.0, 1 - 2**-24, 1.0])
def test_the_ends_of_noise_and_nan_are_indices_too(noise: float) -> None:
    for logits in (torch.zeros(1, 3), torch.full((1, 3), torch.nan), torch.tensor([[0.0, -torch.inf, -torch.inf]])):
        assert 0 <= int(index(logits, torch.tensor([noise]))) < 3
    assert normal(torch.full((1, 2), noise)).isfinite().all()


def test_normal_numbers_are_normal() -> None:
    numbers = normal(torch.rand(20_000, even(3), generator=torch_rng(0)))
    assert numbers.shape == (20_000, 4)
    torch.testing.assert_close(numbers.T.cov(), torch.eye(4), atol=0.05, rtol=0)
    torch.testing.assert_close(numbers.mean(0), torch.zeros(4), atol=0.03, rtol=0)
    quartile = 0.6745
    assert float((numbers.abs() < quartile).float().mean()) == pytest.approx(0.5, abs=0.01)
