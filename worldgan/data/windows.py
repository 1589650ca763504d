"""Training and evaluation windows cut from stored episodes, as pure functions of a seed and a number."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count as counter
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.seeding import numpy_rng
from worldgan.types import Window

Split = Literal["train", "val", "all"]
Place = tuple[int, int]  # episode index, and t: the index of the last context frame


def episodes(store: EpisodeStore, split: Split) -> list[int]:
    """Episode indices of a split: every tenth is validation, or the last of fewer than ten.

    A data set of one episode uses it for both.
    """
    indices = store.indices()
    if split == "all" or len(indices) == 1:
        return indices
    held_out = {i for i in indices if i % 10 == 9} if len(indices) >= 10 else set()
    held_out = held_out or {indices[-1]}
    return [i for i in indices if (i in held_out) == (split == "val")]


class WindowSampler:
    """Random batches of windows, uniform over the steps of the split's episodes.

    Each window has K context frames, the last of which is frame t, and T targets, at least one of them valid.
    Before the start of its episode the first frame repeats, after the end the last, with zero actions and
    ``valid`` False.
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        context: int,
        horizon: int,
        batch: int,
        seed: int,
        split: Split = "train",
    ) -> None:
        """context: K.    horizon: T.    batch: B. Raises WorldganError for less data than one window."""
        if min(context, horizon, batch) < 1:
            raise WorldganError(f"expected context, horizon and batch >= 1, got {context}, {horizon}, {batch}")
        needed = context + horizon - 1
        if store.steps < needed:
            raise WorldganError(
                f"expected at least {needed} steps for windows of {context} + {horizon} frames, "
                f"got a data set of {store.steps} at {store.path}: collect more"
            )
        self.store, self.context, self.horizon, self.batch_size = store, context, horizon, batch
        self._seed, self._split = seed, split
        self._episodes = episodes(store, split)
        self._ends = np.cumsum([store.length(i) for i in self._episodes])

    def batch(self, number: int) -> Window:
        """Batch ``number``, the same in every process. Raises WorldganError if a file is damaged."""
        rng = numpy_rng(self._seed, "windows", self._split, number)
        places = _random_places(self._episodes, self._ends, self.batch_size, rng)
        return cut(self.store, places, context=self.context, horizon=self.horizon)


def loader(
    sampler: WindowSampler, start: int = 0, *, ahead: int = 4, threads: int = 1
) -> Generator[Window, None, None]:
    """Batches start, start + 1, ... for ever, in order, ``ahead`` of them prepared in background threads.

    Raises what ``sampler.batch`` raises. Closing the iterator ends the threads.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="windows")
    numbers = counter(start)
    try:
        queue = deque(pool.submit(sampler.batch, next(numbers)) for _ in range(max(1, ahead)))
        while True:
            window = queue.popleft().result()
            queue.append(pool.submit(sampler.batch, next(numbers)))
            yield window
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def sequences(
    store: EpisodeStore, *, context: int, horizon: int, count: int, seed: int, split: Split = "val"
) -> Window:
    """``count`` fixed windows for evaluation, all of whose targets are valid, without repeats where possible.

    The context is valid too, except where no episode of the split is long enough for that as well.
    Raises WorldganError if no episode has ``horizon`` steps.
    """
    chosen = episodes(store, split)
    lengths = np.asarray([store.length(i) for i in chosen])
    if lengths.max() < horizon:
        raise WorldganError(
            f"expected an episode of at least {horizon} steps in the {split} split of {store.path}, "
            f"the longest has {lengths.max()}: collect more, or lower the horizon"
        )
    first = context - 1 if lengths.max() >= context + horizon - 1 else 0
    ends = np.cumsum(np.maximum(0, lengths - horizon - first + 1))
    rng = numpy_rng(seed, "sequences", split, context, horizon)
    places = [(i, t + first) for i, t in _random_places(chosen, ends, count, rng, repeats=count > ends[-1])]
    return cut(store, places, context=context, horizon=horizon)


def starts(
    store: EpisodeStore, *, context: int, count: int, seed: int, beginnings: bool, split: Split = "all"
) -> tuple[Tensor, Tensor]:
    """N states for a simulator to start from: uint8 frames [N, K, C, H, W], float32 actions [N, K - 1, A].

    count: N.    beginnings: beginnings of episodes (first frame repeated, zero actions), not any position.
    """
    chosen, rng = episodes(store, split), numpy_rng(seed, "starts", split, context)
    if beginnings:
        places = [(chosen[i], 0) for i in rng.integers(len(chosen), size=count)]
    else:
        places = _random_places(chosen, np.cumsum([store.length(i) for i in chosen]), count, rng)
    window = cut(store, places, context=context, horizon=0)
    return window.frames, window.actions


def cut(store: EpisodeStore, places: Sequence[Place], *, context: int, horizon: int) -> Window:
    """The windows whose last context frame is frame t of episode i, for each (i, t); see WindowSampler."""
    size, steps = len(places), context + horizon - 1
    index = np.asarray([t for _, t in places])[:, None] - context + 1 + np.arange(steps)
    lengths = np.asarray([store.length(i) for i, _ in places])[:, None]
    valid = (index >= 0) & (index < lengths)
    ended = np.asarray([store.terminated(i) for i, _ in places])[:, None]
    inside = np.clip(index, 0, lengths - 1)
    frames = np.empty((size, steps + 1, *store.spec.frame), np.uint8)
    rewards = np.zeros((size, steps), np.float32)
    actions = np.zeros((size, steps, *store.spec.actions.shape), store.spec.actions.dtype)
    for row, (episode, t) in enumerate(places):
        _fill(store, episode, t - context + 1, frames[row])
        rewards[row] = store.rewards(episode)[inside[row]]
        actions[row] = store.actions(episode)[inside[row]]
    return Window(
        frames=pixels.to_tensor(frames),
        actions=torch.from_numpy(store.spec.actions.encode(actions) * valid[..., None]),
        rewards=torch.from_numpy(rewards * valid),
        terminated=torch.from_numpy((index == lengths - 1) & ended),
        valid=torch.from_numpy(valid),
        context=context,
    )


def _fill(store: EpisodeStore, episode: int, first: int, out: NDArray[np.uint8]) -> None:
    """Frames first, first + 1, ... of an episode into ``out``, the nearest one where there is none."""
    start, stop = max(first, 0), min(first + len(out), store.length(episode) + 1)
    begin, end = start - first, stop - first
    out[begin:end] = store.frames(episode, start, stop)
    out[:begin], out[end:] = out[begin], out[end - 1]


def _random_places(
    chosen: Sequence[int],
    ends: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    *,
    repeats: bool = True,
) -> list[Place]:
    """``count`` draws, uniform over positions; ``ends`` are cumulative numbers of positions per episode."""
    total = int(ends[-1])
    draws = rng.integers(total, size=count) if repeats else rng.choice(total, size=count, replace=False)
    rows = np.searchsorted(ends, draws, side="right")
    offsets = draws - np.concatenate([[0], ends])[rows]
    return [(chosen[row], int(t)) for row, t in zip(rows.tolist(), offsets.tolist(), strict=True)]
