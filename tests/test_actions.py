"""Encoding loses nothing, and what lies outside a space is refused in one short line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from worldgan.actions import ActionSpec, action_spec
from worldgan.errors import WorldganError

SPACES: dict[str, spaces.Space[Any]] = {
    "discrete": spaces.Discrete(7),
    "multidiscrete": spaces.MultiDiscrete([3, 2, 5]),
    "box": spaces.Box(np.array([-2, 0.1, -1e3], np.float32), np.array([2, 0.7, 1e3], np.float32)),
}
each = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def samples(space: spaces.Space[Any], count: int) -> np.ndarray:
    space.seed(0)
    return np.stack([space.sample() for _ in range(count)])


@each
def test_a_spec_is_read_from_its_space_and_back(space: spaces.Space[Any]) -> None:
    spec = action_spec(space)
    assert spec.space() == space
    assert action_spec(spec.space()) == spec
    assert (spec.shape, spec.dtype) == (space.shape, space.dtype)


@each
@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_encode_then_decode_is_identity(space: spaces.Space[Any], lead: tuple[int, ...]) -> None:
    spec = action_spec(space)
    raw = samples(space, 30)[: int(np.prod(lead))].reshape((*lead, *spec.shape))
    vectors = spec.encode(raw)
    assert (vectors.shape, vectors.dtype) == ((*lead, spec.size), np.float32)
    back = spec.decode(vectors)
    assert (back.shape, back.dtype) == (raw.shape, spec.dtype)
    np.testing.assert_allclose(back, raw, rtol=1e-5, atol=1e-4 if spec.kind == "box" else 0)


@each
def test_decode_then_encode_is_identity(space: spaces.Space[Any]) -> None:
    spec = action_spec(space)
    vectors = spec.sample((4, 6), np.random.default_rng(0))
    assert np.abs(vectors).max() <= 1
    np.testing.assert_allclose(spec.encode(spec.decode(vectors)), vectors, atol=1e-6)


@each
def test_whatever_is_decoded_lies_in_the_space(space: spaces.Space[Any]) -> None:
    spec, rng = action_spec(space), np.random.default_rng(0)
    corners = np.array([np.full(spec.size, value, np.float32) for value in (-9, -1, 0, 1, 9)])
    for raw in spec.decode(np.concatenate([corners, rng.normal(size=(50, spec.size)).astype(np.float32)])):
        assert space.contains(raw)


@each
def test_random_actions_are_uniform(space: spaces.Space[Any]) -> None:
    spec = action_spec(space)
    mean = spec.sample((4000,), np.random.default_rng(0)).mean(0)
    if spec.kind == "box":
        np.testing.assert_allclose(mean, 0, atol=0.05)
    else:
        np.testing.assert_allclose(mean, np.concatenate([np.full(n, 1 / n) for n in spec.sizes]), atol=0.04)


WRONG: dict[str, list[Any]] = {
    "discrete": [7, -1, 2.0, np.nan, "left", True, [0, 1, 9]],
    "multidiscrete": [[0, 0, 5], [0, 0], 1, [[0, -1, 0]], [0.5, 0, 0]],
    "box": [[0.0, np.nan, 0.0], [np.inf] * 3, 0.0, [0.0, 0.0], ["a", "b", "c"]],
}


@pytest.mark.parametrize(("kind", "wrong"), [(kind, wrong) for kind in WRONG for wrong in WRONG[kind]], ids=str)
def test_what_is_outside_the_space_is_refused(kind: str, wrong: Any) -> None:
    spec = action_spec(SPACES[kind])
    with pytest.raises(WorldganError, match=rf"expected .*actions of {kind}\["):
        spec.encode(np.asarray(wrong))


@pytest.mark.parametrize("kind", SPACES)
def test_the_refusal_of_a_large_array_is_one_short_line(kind: str) -> None:
    spec = action_spec(SPACES[kind])
    wrong = np.full((100, 100, *spec.shape), np.nan if kind == "box" else 99, spec.dtype)
    with pytest.raises(WorldganError) as caught:
        spec.encode(wrong)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_boxes_clip() -> None:
    spec = ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 4.0))
    assert spec.encode(np.array([-7.0, 9.0])).tolist() == [-1.0, 1.0]
    assert spec.decode(np.array([-7.0, 9.0], np.float32)).tolist() == [-1.0, 4.0]


def test_a_dimension_without_a_choice_stays_finite() -> None:
    spec = ActionSpec("box", (2,), (3.0, 0.0), (3.0, 4.0))
    assert np.isfinite(spec.encode(np.array([3.0, 2.0]))).all()
    assert spec.decode(spec.encode(np.array([3.0, 2.0]))).tolist() == [3.0, 2.0]


def test_no_actions_are_no_vectors() -> None:
    assert ActionSpec("discrete", (3,)).encode(np.asarray([])).shape == (0, 3)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=1),
        spaces.MultiDiscrete([3, 2], start=[0, 1]),
        spaces.MultiDiscrete([[2, 2], [2, 2]]),
        spaces.MultiBinary(3),
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Box(0, 1, (2, 2)),
        spaces.Dict({"a": spaces.Discrete(2)}),
    ],
    ids=str,
)
def test_other_spaces_are_refused_with_advice(space: spaces.Space[Any]) -> None:
    with pytest.raises(WorldganError, match="wrap the env") as caught:
        action_spec(space)
    assert "\n" not in str(caught.value)
