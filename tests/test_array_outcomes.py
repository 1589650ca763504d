"""The outcomes of arrays are those of tensors: the same codes, and the same frames taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exporting import altered, card_in, starts, untrained
from fakes import dot_spec
from graphs import graph

from worldgan.errors import WorldganError
from worldgan.models.world import NextFrameModel
from worldgan.models.world import distinct as distinct_tensors
from worldgan.pixels import to_float
from worldgan.runtime.graph import without_codes, write
from worldgan.runtime.model import Exported
from worldgan.runtime.outcomes import distinct
from worldgan.runtime.session import Card, Session
from worldgan.seeding import torch_rng

CARD = Card("gan", dot_spec(), 2, 2, "0.1.0", listed=4)


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


@torch.no_grad()
def test_the_outcomes_of_codes_are_stated_as_in_torch(tmp_path: Path) -> None:
    step = untrained("gan")
    step.networks.predictor.code.told.weight.mul_(20)  # type: ignore[union-attr]  # frames that differ visibly
    step.networks.predictor.prior.where.weight.mul_(8)  # type: ignore[union-attr]  # and odds
    write(step, tmp_path / "model.onnx")
    given, action = starts(step), np.eye(5, dtype=np.float32)[[0, 1, 2, 3]]
    own = NextFrameModel(step.card.spec, step.card.context, step.networks)
    expected = own.outcomes(own.start(*map(torch.from_numpy, given)), torch.from_numpy(action), 8, torch_rng(1))
    model = Exported(tmp_path / "model.onnx").model()
    found = model.outcomes(model.start(*given), action, 8, model.generator(0))
    assert found.stated
    assert found.probability.shape[1] > 2
    assert np.allclose(found.probability, expected.probability, atol=1e-4)
    shown = to_float(torch.from_numpy(found.frames))
    torch.testing.assert_close(shown, expected.frames, atol=1.01 / 127.5, rtol=0)
    assert np.allclose(found.rewards, expected.rewards, atol=0.1)
    assert np.allclose(found.terminated, expected.terminated, atol=0.1)
    again = model.outcomes(model.start(*given), action, 8, model.generator(1))
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


def test_a_file_of_the_first_format_counts_samples(tmp_path: Path) -> None:
    step, given = untrained("gan"), starts(untrained("gan"))
    write(step, tmp_path / "model.onnx")
    (tmp_path / "old.onnx").write_bytes(without_codes((tmp_path / "model.onnx").read_bytes(), step.card))
    old = card_in(tmp_path / "old.onnx") | {"format": 1}
    assert old.pop("listed") == 0
    model = Exported(altered(tmp_path / "old.onnx", tmp_path / "first.onnx", old)).model()
    found = model.outcomes(model.start(*given), np.eye(5, dtype=np.float32)[:4], 8, model.generator(0))
    assert not found.stated
    assert np.allclose(found.probability.sum(1), 1)


def test_the_odds_of_a_file_of_the_second_format_are_left_aside(tmp_path: Path) -> None:
    step, given = untrained("gan"), starts(untrained("gan"))
    write(step, tmp_path / "model.onnx")
    card = card_in(tmp_path / "model.onnx") | {"format": 2, "values": 4}
    del card["listed"]
    old = Exported(altered(tmp_path / "model.onnx", tmp_path / "second.onnx", card)).model()
    found = old.outcomes(old.start(*given), np.eye(5, dtype=np.float32)[:4], 8, old.generator(0))
    assert not found.stated
    new = Exported(tmp_path / "model.onnx").model()
    noise, action = np.full((4, 3), 0.5, np.float32), np.eye(5, dtype=np.float32)[:4]
    one, other = (each.follow(each.start(*given), action, noise)[0] for each in (old, new))
    assert np.array_equal(one.frame, other.frame)


@pytest.mark.parametrize("shares", [[0.5] * 4, [0.5, -0.5, 0.0, 0.0], [np.nan] * 4, [0.0] * 4, [0.2] * 5])
def test_odds_that_cannot_be_are_refused(shares: list[float], tmp_path: Path) -> None:
    onnx.save(graph(CARD, shares=shares), tmp_path / "model.onnx")
    with pytest.raises(WorldganError, match="damaged") as caught:
        Session(tmp_path / "model.onnx").likeliest(np.zeros((3, 2, 3, 8, 8), np.uint8), np.zeros((3, 2, 5), np.float32))
    assert "\n" not in str(caught.value)
