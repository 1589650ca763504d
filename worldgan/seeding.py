"""Every random generator comes from one seed and a path of names, so no two uses share a stream.

``numpy_rng(7, "collect", 3)`` is the same stream in every process and does not depend on who else drew.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for the stream named by ``path`` under ``seed``."""
    # Escaped as in JSON pointers, so that ("a", "b/c") and ("a/b", "c") stay two streams.
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in (seed, *path))
    text = "/".join(parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_rng(seed: int, *path: str | int) -> np.random.Generator:
    """A numpy generator for the stream named by ``path``."""
    return np.random.default_rng(derive(seed, *path))


def torch_rng(seed: int, *path: str | int) -> torch.Generator:
    """A CPU torch generator for the stream named by ``path``."""
    import torch  # here, since envs and collecting need seeds and no torch

    return torch.Generator().manual_seed(derive(seed, *path))
