"""Streams are functions of the seed and their name, and no two share numbers."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from worldgan.seeding import derive, numpy_rng, torch_rng

PATHS: list[tuple[str | int, ...]] = [
    (), ("a",), ("b",), ("a", "b"), ("b", "a"), ("a", 1), ("a", 11), ("a", 1, 1), ("a/b",), ("a", "", "b"), ("ab",),
    ("a~1b",), ("a/", "b"), ("a", "/b"), ("a~", "b"), ("a", "b", ""),
]  # fmt: skip


def test_every_path_and_seed_has_its_own_stream() -> None:
    seeds = [derive(seed, *path) for seed, path in product((0, 1, 10, -1, 2**70), PATHS)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_stay_what_they_were() -> None:
    """Data sets and runs of earlier versions go on under the same numbers."""
    assert derive(0) == 4246866556266386882
    assert derive(7, "episode", 3, "env") == 2796894074385973348


def test_generators_follow_from_their_path_alone() -> None:
    numpy_rng(3, "other").random(5)
    torch.rand(5, generator=torch_rng(3, "other"))
    assert np.array_equal(numpy_rng(3, "x", 1).random(5), numpy_rng(3, "x", 1).random(5))
    assert torch.equal(torch.rand(5, generator=torch_rng(3, "x")), torch.rand(5, generator=torch_rng(3, "x")))
    assert not np.array_equal(numpy_rng(3, "x", 1).random(5), numpy_rng(3, "x", 2).random(5))


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    torch_rng(5, "x")
    assert torch.equal(torch.get_rng_state(), before)
