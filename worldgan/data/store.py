"""Episodes in a directory: ``dataset.json`` says what they are of, ``episodes/00000000.ep`` holds one each.

Files appear whole or not at all (temporary name, fsync, rename, fsync of the directory), so a killed process
costs the episode it was writing. Only headers, actions, rewards and what is known of them stay in memory, never frames.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldgan.config import from_mapping, to_mapping
from worldgan.data import codec
from worldgan.errors import WorldganError
from worldgan.files import PAUSE, Busy, atomic_write, sole_writer
from worldgan.types import EnvSpec, Episode

FORMAT = 1
_INDEX = re.compile(r"\d{8}|[1-9]\d{8,}", re.ASCII)
"""As ``EpisodeStore.file`` writes it."""
AHEAD = ".ahead"
"""Suffix of episodes that wait for others to be played before them."""
TEMPORARY = ".*.tmp.*"
"""What matches it is half written; episodes have other names."""
PATIENCE = 10.0
"""Seconds that one of several writers gives another to describe the data set."""


class EpisodeStore:
    """A data set of one env: random access to parts of episodes, by index. Safe to read from many threads.

    path: its directory.    spec: what it is of.    seed, policy: how it was collected.
    """

    def __init__(self, path: Path, spec: EnvSpec, seed: int, policy: str) -> None:
        """Read all headers; use ``create`` or ``open``. Raises WorldganError naming a damaged file."""
        self.path, self.spec, self.seed, self.policy = path, spec, seed, policy
        self._headers = {i: codec.read_header(self.file(i), spec) for i in found(path)}
        self._actions: dict[int, NDArray[Any]] = {}
        self._rewards: dict[int, NDArray[np.float32]] = {}
        self._known: dict[tuple[str, int], NDArray[np.bool_] | None] = {}

    @classmethod
    def create(cls, path: Path, spec: EnvSpec, *, seed: int, policy: str) -> EpisodeStore:
        """A new store, or the one already there if it has the same spec, seed and policy description.

        Raises WorldganError, and changes nothing, if it has others.
        """
        path = Path(path)
        wanted = _description(spec, seed, policy)
        _check_place(path, wanted)
        try:
            (path / "episodes").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorldganError(f"cannot write {path}: {error.strerror}") from None
        if not (path / "dataset.json").exists():
            whole = wanted | {"crc32": _checksum(wanted)}
            atomic_write(path / "dataset.json", json.dumps(whole, indent=2).encode())
        return cls(path, spec, seed, policy)

    def tidy(self) -> None:
        """Remove what a killed writer left half written. For the sole writer only."""
        for leftover in leftovers(self.path):
            leftover.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path) -> EpisodeStore:
        """The store at ``path``, with at least one episode.

        Raises WorldganError if there is none, or naming the file that is damaged.
        """
        path = Path(path)
        store = cls(path, *described(path))
        if not store._headers:
            raise WorldganError(f"expected episodes in {path}, found none: run collect first")
        return store

    def add(self, index: int, episode: Episode) -> None:
        """Write an episode under a new index.

        Raises WorldganError if it does not fit the spec, the index is taken or the disk refuses.
        """
        arrays = (episode.actions, episode.rewards, episode.frames[1:])
        if len({len(array) for array in arrays}) != 1:
            raise WorldganError(f"expected L actions, L rewards, L + 1 frames, got {[len(a) for a in arrays]}")
        encoder = codec.Encoder(self.spec, episode.frames[0])
        for action, reward, frame in zip(*arrays, strict=True):
            encoder.step(action, float(reward), frame)
        masks = {name: getattr(episode, name) for name in codec.MASKS}
        data = encoder.finish(terminated=episode.terminated, truncated=episode.truncated, masks=masks)
        self.add_encoded(index, data)

    def add_encoded(self, index: int, data: bytes) -> None:
        """Write what ``codec.Encoder.finish`` returned; otherwise as ``add``."""
        if index in self._headers or index < 0:
            raise WorldganError(f"expected an unused index >= 0 in {self.path}, got {index}")
        atomic_write(self.file(index), data)
        self.adopt(index)

    def adopt(self, index: int) -> None:
        """Take notice of a file that appeared at ``file(index)``."""
        self._headers[index] = codec.read_header(self.file(index), self.spec)

    def file(self, index: int) -> Path:
        """Where the episode of that index is, or would be."""
        return self.path / "episodes" / f"{index:08d}.ep"

    def __contains__(self, index: int) -> bool:
        return index in self._headers

    def indices(self) -> list[int]:
        """Indices of the stored episodes, ascending."""
        return sorted(self._headers)

    @property
    def steps(self) -> int:
        """Steps of all episodes together."""
        return sum(header.length for header in self._headers.values())

    @property
    def unbroken(self) -> int:
        """Steps of episodes 0, 1, 2, ... up to the first that is missing."""
        return sum(self._headers[index].length for index in takewhile(self._headers.__contains__, count()))

    def length(self, index: int) -> int:
        """L, the steps of an episode."""
        return self._header(index).length

    def terminated(self, index: int) -> bool:
        """Whether the env ended the episode."""
        return self._header(index).terminated

    def truncated(self, index: int) -> bool:
        """Whether something else ended it."""
        return self._header(index).truncated

    def frames(self, index: int, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames start..stop-1 of an episode, uint8 [stop - start, H, W, C]; it may be read-only.

        Raises WorldganError unless 0 <= start < stop <= L + 1, or if the file is damaged.
        """
        return codec.read_frames(self.file(index), self._within(index, start, stop), start, stop)

    def visible(self, index: int, start: int, stop: int) -> NDArray[np.bool_] | None:
        """What those frames have pixels of, bool [stop - start, H, W]; None if all. Raises as ``frames``."""
        return codec.read_visible(self.file(index), self._within(index, start, stop), start, stop)

    def actions(self, index: int) -> NDArray[Any]:
        """Raw actions [L, *ActionSpec.shape], read-only, kept in memory. Raises WorldganError if damaged."""
        if index not in self._actions:
            self._actions[index] = codec.read_actions(self.file(index), self._header(index))
        return self._actions[index]

    def rewards(self, index: int) -> NDArray[np.float32]:
        """Rewards float32 [L], read-only, kept in memory. Raises WorldganError if damaged."""
        if index not in self._rewards:
            self._rewards[index] = codec.read_rewards(self.file(index), self._header(index))
        return self._rewards[index]

    def action_known(self, index: int) -> NDArray[np.bool_] | None:
        """Which actions are labelled, bool [L], kept in memory; None if all are. Raises WorldganError if damaged."""
        return self._mask("action_known", index)

    def reward_known(self, index: int) -> NDArray[np.bool_] | None:
        """The same of rewards."""
        return self._mask("reward_known", index)

    def episode(self, index: int) -> Episode:
        """The whole episode. Raises WorldganError if damaged."""
        stop = self.length(index) + 1
        return Episode(
            frames=self.frames(index, 0, stop),
            actions=self.actions(index),
            rewards=self.rewards(index),
            terminated=self.terminated(index),
            truncated=self.truncated(index),
            action_known=self.action_known(index),
            reward_known=self.reward_known(index),
            visible=self.visible(index, 0, stop),
        )

    def _mask(self, name: str, index: int) -> NDArray[np.bool_] | None:
        if (name, index) not in self._known:
            self._known[name, index] = codec.read_known(self.file(index), self._header(index), name)
        return self._known[name, index]

    def _within(self, index: int, start: int, stop: int) -> codec.Header:
        header = self._header(index)
        if not 0 <= start < stop <= header.length + 1:
            raise WorldganError(f"expected frames within 0..{header.length + 1}, got {start}..{stop}")
        return header

    def _header(self, index: int) -> codec.Header:
        if index not in self._headers:
            raise WorldganError(f"expected an episode of {self.path}, got index {index}")
        return self._headers[index]


@contextmanager
def writing(path: Path, spec: EnvSpec, *, seed: int, policy: str, shared: bool = False) -> Iterator[EpisodeStore]:
    """``EpisodeStore.create`` for its sole writer, without what a killed one left half written.

    shared: for one of several who begin at any time, and each write other files, or the same with the same content.
    Raises WorldganError as it does, and if another process writes there.
    """
    path = Path(path)
    _check_place(path, _description(spec, seed, policy))  # so that a folder of other things gets no lock
    while shared and not (path / "dataset.json").exists():
        with suppress(Busy), sole_writer(path, patience=PAUSE):  # one describes it for all
            EpisodeStore.create(path, spec, seed=seed, policy=policy)
    with sole_writer(path, shared=shared, patience=PATIENCE if shared else 0.0):  # it may be at it still
        store = EpisodeStore.create(path, spec, seed=seed, policy=policy)
        if not shared:
            store.tidy()
        yield store


def described(path: Path) -> tuple[EnvSpec, int, str]:
    """What ``dataset.json`` says: the spec, seed and policy. Raises WorldganError if there is none, or damaged."""
    file = path / "dataset.json"
    if not file.is_file():
        raise WorldganError(f"expected a data set at {path}, found no dataset.json: run collect first")
    kept = _read_description(path)
    try:
        return from_mapping(EnvSpec, kept["spec"]), int(kept["seed"]), str(kept["policy"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WorldganError(f"expected the description of a data set in {file}: {error!r}") from None


def found(path: Path, suffix: str = ".ep") -> list[int]:
    """Indices of the files that are named like episodes, ascending; anything else in the folder is ignored."""
    folder = path / "episodes"
    names = (entry.name for entry in os.scandir(folder)) if folder.is_dir() else ()
    stems = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return sorted(int(stem) for stem in stems if _INDEX.fullmatch(stem))


def leftovers(path: Path) -> list[Path]:
    """What killed writers left half written."""
    return sorted([*path.glob(TEMPORARY), *(path / "episodes").glob(TEMPORARY)])


def _description(spec: EnvSpec, seed: int, policy: str) -> dict[str, Any]:
    return {"format": FORMAT, "spec": to_mapping(spec), "seed": seed, "policy": policy}


def _check_place(path: Path, wanted: dict[str, Any]) -> None:
    """Raises WorldganError unless a data set of that description is at ``path``, or can be."""
    file = path / "dataset.json"
    other = path.exists() and not file.exists() and not _only_leftovers(path)
    if file.exists():  # looked for last: another writer may describe it at this moment
        _same(path, wanted, _read_description(path))
    elif other:
        raise WorldganError(f"expected {path} to be a data set, a new or an empty directory, and it is neither")


def _only_leftovers(path: Path) -> bool:
    """Whether a kill between making the directory and writing ``dataset.json`` left it like this."""
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])
    return all(file.name in {".dataset.tmp.json", ".lock"} for file in files)


def _read_description(path: Path) -> dict[str, Any]:
    file = path / "dataset.json"
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise WorldganError(f"expected readable JSON in {file}: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        version = found.get("format") if isinstance(found, dict) else found
        raise WorldganError(f"expected format {FORMAT} in {file}, got {version!r}")
    claimed = found.pop("crc32", None)  # the first data sets have none
    for key in found.keys() - {"format", "spec", "seed", "policy"}:
        raise WorldganError(f"{file} is damaged, or of another version of worldgan: it has {key!r}")
    if claimed is not None and claimed != _checksum(found):
        raise WorldganError(f"{file} is damaged (checksum): restore it; if its change was meant, delete its crc32")
    return found


def _checksum(description: dict[str, Any]) -> str:
    """Of its values, however they are laid out."""
    return f"{zlib.crc32(json.dumps(description, sort_keys=True).encode()):08x}"


def _same(path: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Raise WorldganError naming the first thing that differs."""
    pairs = {key: (found.get(key), wanted[key]) for key in ("seed", "policy")}
    spec = found.get("spec")
    ours = spec if isinstance(spec, dict) else {}
    pairs = {f"spec.{key}": (ours.get(key), value) for key, value in wanted["spec"].items()} | pairs
    for key, (expected, arrived) in pairs.items():
        if expected != arrived:
            raise WorldganError(
                f"expected {key} {expected} as in the data set at {path}, got {arrived}: use another path"
            )
