"""What could happen next in an exported model, in plain arrays: which noise to try, and which frames are outcomes."""

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


def likeliest(odds: Array, values: int, digits: int, count: int) -> tuple[Array, Array]:
    """The M <= count most probable codes: noise [B, M, digits] that draws them, and what they are of all, [B, M].

    odds: float [B, N], of all N = values ** digits codes, the last digit running fastest.
    A digit is drawn by its cumulative odds, so all codes lie side by side in [0, 1), each as wide as it is probable,
    and so do those that begin alike. The number that draws a digit is the middle of the place of all codes that begin
    with it, within the place of those that begin as it does before that digit. A code of less than a millionth may be
    too narrow for float32, and another is drawn in its place.
    """
    chosen = np.argsort(-odds, axis=1, kind="stable")[:, :count]
    edges = np.cumsum(np.pad(odds.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    alike = values ** np.arange(digits, -1, -1)  # how many codes begin with the same none, one, ... of their digits
    first = chosen[..., None] // alike * alike
    row = np.arange(len(odds))[:, None, None]
    low, high = edges[row, first], edges[row, first + alike]
    middle, width = (low + high)[..., 1:] / 2, (high - low)[..., :-1]
    noise = ((middle - low[..., :-1]) / np.maximum(width, 1e-30)).astype(np.float32)
    return noise.clip(0, 1 - 2**-24), np.take_along_axis(odds, chosen, axis=1)


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
