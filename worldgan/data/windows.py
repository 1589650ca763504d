"""Training and evaluation windows cut from stored episodes, as pure functions of a seed and a number."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count as counter
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.data.labels import Known, Labels
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.seeding import numpy_rng
from worldgan.types import Rare, Window

T = TypeVar("T", bound=np.generic)
Split = Literal["train", "val", "all"]
Unlabelled = Literal["recover", "drop"]
Place = tuple[int, int]  # episode index, and t: the index of the last context frame

RARE, RARE_WEIGHT, PER_RARE, SEARCHED = 0.1, 0.25, 8, 1000
"""Rewards, or ends, of fewer than this share of the transitions are rare; more of them are learnt from with this
weight, one row for so many others; and they are looked for in at most so many episodes.
"""
ROWS = 8
"""Parts of a batch have a multiple of so many rows: a discriminator sees a fourth, half of these with a penalty."""


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


def needed_steps(context: int, horizon: int) -> int:
    """The fewest that a data set must have to draw windows of K context frames and T targets from it."""
    return context + horizon - 1


class WindowSampler:
    """Random batches of windows, uniform over the steps of the split's episodes.

    complete: whether none of them lacks an action.    Where labels are missing, the first half of each batch is
    uniform over the windows that lack none: with a tenth of the labels, rewards were not learnt without that.
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
        labels: float = 1.0,
        unlabelled: Unlabelled = "recover",
        part: tuple[int, int] = (0, 1),
        recent: float = 0.0,
        newest: int = 1,
        rare: bool = False,
    ) -> None:
        """context: K.    horizon: T.    batch: B, of all parts together.

        recent: share of each batch from the last episodes alone, as few as have ``newest`` steps.
        labels: share of the labels that are not hidden; see ``Labels``.    unlabelled: "drop" draws only windows that
        lack no label, "recover" others too, for a learner that can tell what is missing.
        part: (i, n), the i-th of n equal parts of each batch, from 0.
        rare: whether batches bring more windows of rewards and ends, where these are rare and no label is missing.
        Raises WorldganError for less data than one window, or fewer labels than that takes.
        """
        if min(context, horizon, batch) < 1:
            raise WorldganError(f"expected context, horizon and batch >= 1, got {context}, {horizon}, {batch}")
        number, parts = part
        if parts > 1 and batch % (ROWS * parts):
            raise WorldganError(
                f"expected a batch that {parts} processes can share in multiples of {ROWS}, got {batch}: set "
                f"training.batch to a multiple of {ROWS * parts}"
            )
        needed = needed_steps(context, horizon)
        if store.steps < needed:
            raise WorldganError(
                f"expected at least {needed} steps for windows of {context} + {horizon} frames, "
                f"got a data set of {store.steps} at {store.path}: collect more"
            )
        self.store, self.context, self.horizon, self.batch_size = store, context, horizon, batch
        self._seed, self._split, self.labels = seed, split, Labels(store, share=labels, seed=seed)
        self._rows = slice(number * batch // parts, (number + 1) * batch // parts)
        chosen = episodes(store, split)
        everywhere = _Places.of(store, chosen)
        labelled = everywhere.labelled(self.labels, before=context - 1, horizon=horizon)
        late = everywhere.late(newest)
        if unlabelled == "drop":
            late = late.labelled(self.labels, before=context - 1, horizon=horizon)
        extra = round(recent * batch) if late.count else 0
        rest = batch - extra
        if unlabelled == "drop":
            self._mixture = [(labelled, rest), (late, extra)]
        elif labelled.count in {0, everywhere.count}:
            self._mixture = [(everywhere, rest), (late, extra)]
        else:
            self._mixture = [(labelled, rest // 2), (everywhere, rest - rest // 2), (late, extra)]
        actions = [self.labels.actions(i) for i in chosen]
        self._rare = (_Rarity(), _Rarity())
        if rare and all(self.labels.whole(i) is None for i in chosen):
            self._rare = _rarities(store, chosen, numpy_rng(seed, "rare", split))
        self.complete = unlabelled == "drop" or all(known is None or known.all() for known in actions)
        if not self._mixture[0][0].count or not any(known is None or known.any() for known in actions):
            wanted = f"windows of {context} + {horizon} frames that lack no label" if self.complete else "known actions"
            raise WorldganError(f"expected {wanted} in the {split} split of {store.path}, found none: label more")

    def batch(self, number: int) -> Window:
        """The part's rows of batch ``number``, the same in every process. Raises WorldganError if a file is damaged."""
        rng = numpy_rng(self._seed, "windows", self._split, number)
        places = [place for where, size in self._mixture if size for place in where.draw(size, rng)]
        drawn = cut(self.store, places[self._rows], context=self.context, horizon=self.horizon, labels=self.labels)
        return replace(drawn, rare=self._more(number))

    def _more(self, number: int) -> Rare | None:
        """A row of rewards and one of ends for every ``PER_RARE`` of the part's, of those that are rare."""
        rewards, ends = self._rare
        if not rewards.places and not ends.places:
            return None
        rows = max(1, (self._rows.stop - self._rows.start) // PER_RARE)
        rng = numpy_rng(self._seed, "rare", self._split, number, self._rows.start)
        places = [
            each.places[i] for each in self._rare if each.places for i in rng.integers(len(each.places), size=rows)
        ]
        window = cut(self.store, places, context=self.context, horizon=1)
        oversampled = (rewards.oversampled, ends.oversampled)
        return Rare(window, rows if rewards.places else 0, RARE_WEIGHT, oversampled)


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
    """``count`` fixed windows for evaluation, all of whose targets are valid and labelled as in ``Labels.whole``,
    without repeats where possible.

    So is the context, except where no episode of the split is long enough for that as well.
    Raises WorldganError if no episode has ``horizon`` labelled steps.
    """
    most = longest(store, split)
    if most < horizon:
        raise WorldganError(
            f"expected an episode of at least {horizon} steps in the {split} split of {store.path}, "
            f"the longest has {most} labelled ones: collect more, or lower the horizon"
        )
    first = context - 1 if most >= context + horizon - 1 else 0
    inside = _Places.of(store, episodes(store, split), first=first, last=horizon)
    places = inside.labelled(Labels(store), before=first, horizon=horizon)
    rng = numpy_rng(seed, "sequences", split, context, horizon)
    return cut(store, places.draw(count, rng, repeats=count > places.count), context=context, horizon=horizon)


def longest(store: EpisodeStore, split: Split) -> int:
    """Steps of the longest stretch of an episode of the split that lacks no label."""
    labels, found = Labels(store), [0]
    for index in episodes(store, split):
        known = labels.whole(index)
        missing = np.zeros(store.length(index), np.bool_) if known is None else ~known
        ends = np.flatnonzero(np.pad(missing, 1, constant_values=True))
        found.append(int(np.diff(ends).max()) - 1)
    return max(found)


def starts(
    store: EpisodeStore, *, context: int, count: int, seed: int, beginnings: bool, split: Split = "all"
) -> tuple[Tensor, Tensor]:
    """N states for a simulator to start from: uint8 frames [N, K, C, H, W], float32 actions [N, K - 1, A].

    count: N.    beginnings: beginnings of episodes (first frame repeated, zero actions), not any position.
    Unknown actions are zeros.
    """
    chosen, rng = episodes(store, split), numpy_rng(seed, "starts", split, context)
    if beginnings:
        places = [(chosen[i], 0) for i in rng.integers(len(chosen), size=count)]
    else:
        places = _Places.of(store, chosen).draw(count, rng)
    window = cut(store, places, context=context, horizon=0)
    return window.frames, window.actions


def cut(
    store: EpisodeStore, places: Sequence[Place], *, context: int, horizon: int, labels: Labels | None = None
) -> Window:
    """The windows whose last context frame is frame t of episode i, for each (i, t); see WindowSampler.

    labels: those that are shown, by default all that the store has.
    """
    labels = labels or Labels(store)
    size, steps = len(places), context + horizon - 1
    index = np.asarray([t for _, t in places])[:, None] - context + 1 + np.arange(steps)
    lengths = np.asarray([store.length(i) for i, _ in places])[:, None]
    valid = (index >= 0) & (index < lengths)
    ended = np.asarray([store.terminated(i) for i, _ in places])[:, None]
    inside = np.clip(index, 0, lengths - 1)
    frames = np.empty((size, steps + 1, *store.spec.frame), np.uint8)
    rewards = np.zeros((size, steps), np.float32)
    actions = np.zeros((size, steps, *store.spec.actions.shape), store.spec.actions.dtype)
    visible: Known | None = None
    for row, (episode, t) in enumerate(places):
        first = t - context + 1
        start, stop = max(first, 0), min(first + steps + 1, store.length(episode) + 1)
        _spread(store.frames(episode, start, stop), start - first, frames[row])
        part = store.visible(episode, start, stop)
        if part is not None:
            visible = np.ones(frames.shape[:-1], np.bool_) if visible is None else visible
            _spread(part, start - first, visible[row])
        rewards[row] = store.rewards(episode)[inside[row]]
        actions[row] = store.actions(episode)[inside[row]]
    taken = _gather([labels.actions(i) for i, _ in places], inside, valid)
    earned = _gather([labels.rewards(i) for i, _ in places], inside, valid)
    shown = valid if taken is None else valid & taken
    return Window(
        frames=pixels.to_tensor(frames),
        actions=torch.from_numpy(store.spec.actions.encode(actions) * shown[..., None]),
        rewards=torch.from_numpy(rewards * (valid if earned is None else valid & earned)),
        terminated=torch.from_numpy((index == lengths - 1) & ended),
        valid=torch.from_numpy(valid),
        context=context,
        action_known=None if taken is None else torch.from_numpy(taken),
        reward_known=None if earned is None else torch.from_numpy(earned),
        visible=None if visible is None or visible.all() else torch.from_numpy(visible[:, :, None]),
    )


def _spread(part: NDArray[T], begin: int, out: NDArray[T]) -> None:
    """``part`` into ``out`` from row ``begin`` on; before and after it its first and its last row."""
    end = begin + len(part)
    out[begin:end] = part
    out[:begin], out[end:] = part[0], part[-1]


def _gather(masks: Sequence[Known | None], index: NDArray[np.int64], valid: Known) -> Known | None:
    """A mask [L] of each row, or None, at the row's steps ``index`` [B, n] -> [B, n], or None if nothing is missing.

    Outside of the episode, where not ``valid`` [B, n], it is known that nothing happened.
    """
    if all(mask is None for mask in masks):
        return None
    known = ~valid
    for row, mask in enumerate(masks):
        known[row] |= True if mask is None else mask[index[row]]
    return None if known.all() else known


@dataclass(frozen=True)
class _Rarity:
    """Where something is that is rare among transitions, if it is.    share: of all transitions."""

    places: Sequence[Place] = ()
    share: float = 1.0

    @property
    def oversampled(self) -> float:
        """See ``Rare``."""
        return 1 + RARE_WEIGHT / self.share if self.places else 1.0


def _rarities(store: EpisodeStore, chosen: Sequence[int], rng: np.random.Generator) -> tuple[_Rarity, _Rarity]:
    """Rewards that are not 0, and ends, among the transitions of at most ``SEARCHED`` of the episodes."""
    searched = chosen
    if len(chosen) > SEARCHED:
        searched = [chosen[i] for i in np.sort(rng.choice(len(chosen), SEARCHED, replace=False))]
    steps = sum(store.length(i) for i in searched)
    rewards = [(i, int(t)) for i in searched for t in np.flatnonzero(store.rewards(i))]
    ends = [(i, store.length(i) - 1) for i in searched if store.terminated(i)]
    shares = [(places, len(places) / max(1, steps)) for places in (rewards, ends)]
    found = [_Rarity(places, share) if 0 < share < RARE else _Rarity() for places, share in shares]
    return found[0], found[1]


@dataclass(frozen=True)
class _Places:
    """Where windows may lie: at ``sizes[i]`` positions t of episode ``chosen[i]``, from ``first`` on or ``listed``."""

    chosen: Sequence[int]
    sizes: NDArray[np.int64]
    first: int = 0
    listed: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: EpisodeStore, chosen: Sequence[int], *, first: int = 0, last: int = 1) -> _Places:
        """All from frame ``first`` on that are followed by at least ``last`` steps."""
        lengths = np.asarray([store.length(i) for i in chosen])
        return cls(chosen, np.maximum(0, lengths - last - first + 1), first)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.sizes.sum())

    def late(self, steps: int) -> _Places:
        """Those in the last episodes, as few as have ``steps`` positions."""
        after = self.sizes.sum() - np.cumsum(self.sizes)  # positions in later episodes
        first = int(np.argmax(after < steps))
        return _Places(self.chosen[first:], self.sizes[first:], self.first)

    def labelled(self, labels: Labels, *, before: int, horizon: int) -> _Places:
        """Those without an unlabelled one among the ``before`` transitions before t and the ``horizon`` after it."""
        sizes, listed = self.sizes.copy(), dict[int, NDArray[np.int64]]()
        for row, index in enumerate(self.chosen):
            known = labels.whole(index)
            if known is not None:
                t, missing = self.first + np.arange(sizes[row]), np.concatenate([[0], np.cumsum(~known)])
                inside = missing[np.minimum(t + horizon, len(known))] == missing[np.maximum(t - before, 0)]
                listed[index] = t[inside]
                sizes[row] = len(listed[index])
        return _Places(self.chosen, sizes, self.first, listed)

    def draw(self, count: int, rng: np.random.Generator, *, repeats: bool = True) -> list[Place]:
        """``count`` draws, uniform over positions."""
        ends = np.cumsum(self.sizes)
        total = int(ends[-1])
        draws = rng.integers(total, size=count) if repeats else rng.choice(total, size=count, replace=False)
        rows = np.searchsorted(ends, draws, side="right")
        offsets = draws - np.concatenate([[0], ends])[rows]
        found = zip((self.chosen[row] for row in rows.tolist()), offsets.tolist(), strict=True)
        return [(i, int(self.listed[i][n]) if i in self.listed else n + self.first) for i, n in found]
