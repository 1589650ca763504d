"""What of a data set is damaged, and putting it aside so that the rest can be used and what is gone made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worldgan.data import codec
from worldgan.data.store import described, found, leftovers
from worldgan.errors import WorldganError
from worldgan.files import move, sole_writer
from worldgan.progress import Report

ASIDE = "damaged"
"""The folder inside a data set that damaged files are moved to."""
MOST = 1_000_000
"""Episodes among which missing ones are looked for: a stray file may have any number for a name."""


@dataclass(frozen=True)
class Condition:
    """What a data set is like, every byte of it read.

    episodes, steps: that are sound.    damaged: files -> why.    leftovers: what killed writers left half written.
    missing: indices of episodes that are not there, up to the last that is, damaged ones among them.
    """

    episodes: int
    steps: int
    damaged: dict[Path, str]
    leftovers: tuple[Path, ...]
    missing: tuple[int, ...]


def verify(path: Path, *, report: Report | None = None) -> Condition:
    """Read all of the data set at ``path``.    report: gets the share done, 0 to 1.

    Raises WorldganError if there is none, or its ``dataset.json`` is damaged: without it no episode means anything.
    """
    spec, _, _ = described(path)
    damaged: dict[Path, str] = {}
    lengths: dict[int, int] = {}
    files = list(_files(path))
    for done, file in enumerate(files, 1):
        try:
            length = codec.check(file, spec).length
        except WorldganError as error:
            damaged[file] = str(error)
        else:
            if file.suffix == ".ep":
                lengths[int(file.stem)] = length
        if report is not None:
            report(done / len(files))
    last = min(max(found(path), default=-1), MOST)
    missing = sorted(set(range(last + 1)) - lengths.keys())
    return Condition(len(lengths), sum(lengths.values()), damaged, tuple(leftovers(path)), tuple(missing))


def repair(path: Path, *, report: Report | None = None) -> Condition:
    """Move what is damaged to the folder ``damaged`` inside the data set, and remove what is half written.

    The episodes that are then missing are played again, bit for bit, by the command that made them. Returns what
    ``verify`` found before. Raises WorldganError as it does, if another process writes there, or the disk refuses.
    """
    described(path)  # where there is no data set, nothing is to be made
    with sole_writer(path):
        condition = verify(path, report=report)
        try:
            for file in condition.damaged:
                move(file, _unused(path / ASIDE, file.name))
            for file in condition.leftovers:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise WorldganError(f"cannot repair {path}: {error.strerror or error}") from None
    return condition


def _files(path: Path) -> Iterator[Path]:
    """Episodes, and those that wait for others to be played before them."""
    yield from (path / "episodes" / f"{index:08d}.ep" for index in found(path))
    yield from sorted((path / "episodes").glob("[0-9]*[0-9].ahead"))


def _unused(folder: Path, name: str) -> Path:
    """A name in ``folder``, which is made, that nothing has: what was put aside earlier stays."""
    folder.mkdir(exist_ok=True)
    taken = {file.name for file in folder.iterdir()}
    return folder / next(each for n in range(len(taken) + 1) if (each := f"{name}.{n}" if n else name) not in taken)
