"""A data set played by many processes that know nothing of each other but the folder that they share.

Each plays every so many-th episode. As an episode depends on the seed and its number alone, nobody has to say who plays
what: finished ones wait in the folder as ``.ahead`` until ``collect`` without a shard puts them in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import final
from uuid import uuid4

from worldgan.data import codec
from worldgan.data.store import AHEAD, EpisodeStore, found
from worldgan.errors import WorldganError
from worldgan.files import atomic_write


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``of`` shares, counted from 1: each ``of``-th episode, from ``number`` - 1 on."""

    number: int
    of: int

    def __post_init__(self) -> None:
        """Raises WorldganError unless 1 <= number <= of."""
        if not 1 <= self.number <= self.of:
            raise WorldganError(f"expected one of the shards 1/{self.of} to {self.of}/{self.of}, got {self}")

    @classmethod
    def named(cls, words: str) -> Shard:
        """That of "3/100". Raises WorldganError if it means none."""
        number, _, of = words.partition("/")
        if not (number.isdecimal() and of.isdecimal()):
            raise WorldganError(f"expected a shard such as 3/100, the third of a hundred, got {words!r}")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def __contains__(self, index: int) -> bool:
        return index % self.of == self.number - 1

    def share(self, steps: int) -> int:
        """Of so many steps."""
        return -(-steps // self.of)


@final
class ShardShelf:
    """Which episodes of a shard there are, which is to be played next, and whether there are enough.

    There are when the wanted steps come before its next episode. Others' episodes that are not there are taken to be as
    long as those that are: so shards that run together end together, and one that runs alone plays its share.
    """

    def __init__(self, store: EpisodeStore, steps: int, shard: Shard) -> None:
        self.store, self.spec, self._wanted, self._shard = store, store.spec, steps, shard
        self._claims, self._next = count(shard.number - 1, shard.of), shard.number - 1
        self._lengths: dict[int, int] = {}
        self._writer = f".{uuid4().hex}"  # one that is run again may meet itself, thought dead
        self.count, self.steps = 0, 0  # episodes of the shard, and their steps
        for index in store.indices():
            self._note(index, store.length(index))
        self._look()

    @property
    def complete(self) -> bool:
        """Whether there are enough, as far as can be told; that asks for a look at what others have finished by now."""
        if self._suffices():
            self._look()
        return self._suffices()

    def claim(self) -> int:
        """The lowest index of the shard that nobody has played or is playing."""
        return next(i for i in self._claims if i not in self._lengths)

    def progress(self, playing: int) -> int:
        """Steps there are, with ``playing`` more in unfinished episodes; at most the shard's share."""
        return min(self._shard.share(self._wanted), self.steps + playing)

    def put(self, index: int, length: int, data: Callable[[], bytes]) -> None:
        """Keep a finished episode."""
        atomic_write(self._file(index), data(), writer=self._writer)
        if index not in self._lengths:
            self._note(index, length)

    def _suffices(self) -> bool:
        before = [length for index, length in self._lengths.items() if index < self._next]
        usual = sum(self._lengths.values()) / max(1, len(self._lengths))
        return sum(before) + (self._next - len(before)) * usual >= self._wanted

    def _look(self) -> None:
        for index in found(self.store.path, AHEAD):
            if index not in self._lengths:
                self._note(index, codec.read_header(self._file(index), self.spec).length)

    def _file(self, index: int) -> Path:
        return self.store.file(index).with_suffix(AHEAD)

    def _note(self, index: int, length: int) -> None:
        self._lengths[index] = length
        if index in self._shard:
            self.count, self.steps = self.count + 1, self.steps + length
        while self._next in self._lengths:
            self._next += self._shard.of
