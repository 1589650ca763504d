"""What could happen next in an exported model, in plain arrays: which frames are different outcomes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from worldgan.arrays import Array
from worldgan.types import ALIKE


class ArrayOutcomes(NamedTuple):
    """``worldgan.types.Outcomes`` in arrays. frames: uint8 [B, N, C, H, W].    The others: float32 [B, N]."""

    frames: Array
    probability: Array
    rewards: Array
    terminated: Array
    stated: bool


def distinct(frames: Array, probability: Array, count: int) -> tuple[Array, Array]:
    """Which [B, M <= count] of the candidates, uint8 [B, N, C, H, W] of probability [B, N], differ, and shares [B, M].

    As ``worldgan.models.world.distinct``: the most probable first, each with the probability of those ``ALIKE`` to it.
    """
    row = np.arange(len(frames))[:, None]
    order = np.argsort(-probability, axis=1, kind="stable")
    levels, share = frames[row, order].astype(np.int16), probability[row, order].astype(np.float64)
    for i in range(frames.shape[1] - 1):
        gaps = np.abs(levels[:, i + 1 :] - levels[:, i : i + 1]).max((2, 3, 4))
        joined = (gaps <= ALIKE * 255 / 2) & (share[:, i : i + 1] > 0)
        moved = share[:, i + 1 :] * joined
        share[:, i] += moved.sum(1)
        share[:, i + 1 :] -= moved
    best = np.argsort(-share, axis=1, kind="stable")[:, :count]
    best = best[:, : max(1, int((share[row, best] > 0).sum(1).max()))]
    shares = share[row, best]
    return order[row, best], (shares / shares.sum(1, keepdims=True)).astype(np.float32)
