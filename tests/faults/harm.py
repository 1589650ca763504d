"""Files of a data set that are cut off, or have one bit wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random

from jobs import collecting
from tally import Tally

from worldgan.data.damage import repair, verify
from worldgan.data.store import EpisodeStore


def cut(folder: Path, times: int, rng: Random, *, every: int = 1) -> Tally:
    """A file cut off at each (``every``-th) byte of its header, and ``times`` times in its body."""
    tally = Tally("an episode file cut off", "verify names it", "that episode, until it is played again")
    store, file = _made(folder)
    data = file.read_bytes()
    header = 16 + int.from_bytes(data[8:12], "little")
    for size in [*range(0, header, every), *(rng.randrange(header, len(data)) for _ in range(times))]:
        _harm(tally, store, file, data, data[:size], f"cut to {size} bytes")
    tally.count("in the header", len(range(0, header, every)))
    _mend(tally, store, file, data)
    return tally


def flip(folder: Path, times: int, rng: Random) -> Tally:
    """One bit wrong, anywhere in an episode file."""
    tally = Tally("one bit of an episode file flipped", "verify names it", "that episode, until it is played again")
    store, file = _made(folder)
    data = file.read_bytes()
    for place in (rng.randrange(8 * len(data)) for _ in range(times)):
        wrong = bytearray(data)
        wrong[place // 8] ^= 1 << place % 8
        _harm(tally, store, file, data, bytes(wrong), f"bit {place}")
    _mend(tally, store, file, data)
    return tally


def _made(folder: Path) -> tuple[EpisodeStore, Path]:
    out = folder / "data"
    collecting(60).run(out, lambda amount: None)
    store = EpisodeStore.open(out)
    return store, store.file(1)


def _harm(tally: Tally, store: EpisodeStore, file: Path, data: bytes, wrong: bytes, name: str) -> None:
    file.write_bytes(wrong)
    with tally.case(name):
        assert list(verify(store.path).damaged) == [file]
    file.write_bytes(data)


def _mend(tally: Tally, store: EpisodeStore, file: Path, data: bytes) -> None:
    """The last one is repaired, too."""
    file.write_bytes(data[:-1])
    with tally.case("repair"):
        repair(store.path)
        collecting(60).run(store.path, lambda amount: None)
        assert file.read_bytes() == data
    tally.count("repaired and played again")
