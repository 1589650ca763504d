"""The outcomes of arrays are those of tensors: the same codes, and the same frames taken for one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from worldgan.models.backbone import Seen
from worldgan.models.chance import CodePrior
from worldgan.models.learning import initialised
from worldgan.models.world import distinct as distinct_tensors
from worldgan.pixels import to_float
from worldgan.runtime.outcomes import distinct, likeliest
from worldgan.seeding import torch_rng


@pytest.mark.parametrize(("digits", "values"), [(1, 5), (3, 4), (8, 2)])
@torch.no_grad()
def test_noise_draws_the_most_probable_codes_in_their_order(digits: int, values: int) -> None:
    prior, rng = initialised(lambda: CodePrior(digits, values, 16), 0), torch_rng(1)
    prior.mix[-1].weight.mul_(30)  # odds from a half down to one in thousands
    seen = Seen(torch.randn(6, 16, 2, 2, generator=rng), torch.randn(6, 16, generator=rng), torch.zeros(6, 3, 2, 2))
    looked = prior.look_at(seen)
    codes, odds = prior.every(looked)
    for count in (1, 3, values**digits, 1000):
        noise, probability = likeliest(odds.numpy(), values, digits, count)
        number = min(count, values**digits)
        assert noise.shape == (6, number, digits)
        drawn = prior.draw(looked.repeat_interleave(number, 0), torch.from_numpy(noise).flatten(0, 1))
        order = odds.argsort(dim=1, descending=True)[:, :number]
        wide = odds.gather(1, order) > 1e-5
        assert torch.equal(drawn.view(noise.shape)[wide], codes[order][wide])
        assert np.array_equal(probability, odds.gather(1, order).numpy())
        assert count > 1 or wide.all()
    assert odds.max() > 2 * odds.mean()


def test_what_is_certain_or_impossible_is_noise_too() -> None:
    noise, probability = likeliest(np.array([[0.0, 0.0, 0.0, 1.0]], np.float32), 2, 2, 4)
    assert probability.tolist() == [[1, 0, 0, 0]]
    assert noise[0, 0].tolist() == [0.5, 0.5]
    assert ((noise >= 0) & (noise < 1)).all()
    noise, probability = likeliest(np.ones((3, 1), np.float32), 0, 0, 8)  # no chance: one code without digits
    assert noise.shape == (3, 1, 0)
    assert probability.tolist() == [[1]] * 3


@pytest.mark.parametrize("count", [1, 3, 12])
def test_the_same_frames_are_one_outcome(count: int) -> None:
    rng = np.random.default_rng(count)
    levels = np.concatenate([rng.integers(0, 256, (5, 10)), np.full((5, 1), 63), np.full((5, 1), 127)], axis=1)
    frames = np.repeat(levels[..., None], 12, axis=-1).reshape(5, 12, 3, 2, 2).astype(np.uint8)
    frames[:, 0, 0, 0, 0] ^= 255  # one number of many is enough to differ
    probability = rng.dirichlet(np.ones(12), 5).astype(np.float32)
    probability[0] = np.eye(12)[3]
    kept = probability.copy()
    which, shares = distinct(frames, probability, count)
    expected, odds = distinct_tensors(to_float(torch.from_numpy(frames)), torch.from_numpy(probability), count)
    assert np.array_equal(probability, kept)
    assert np.allclose(shares, odds, atol=1e-6)
    shown = to_float(torch.from_numpy(frames[np.arange(5)[:, None], which]))
    assert torch.equal(shown[odds > 0], expected[odds > 0])
    assert shares.dtype == np.float32


def test_a_quarter_of_the_range_is_alike_and_more_is_not() -> None:
    frames = np.array([0, 63, 64], np.uint8).reshape(1, 3, 1, 1, 1)
    which, shares = distinct(frames, np.array([[0.5, 0.3, 0.2]]), 3)
    assert which.tolist() == [[0, 2]]
    assert shares.tolist() == [[pytest.approx(0.8), pytest.approx(0.2)]]
