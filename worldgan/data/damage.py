"""What of a data set is damaged, and putting it aside so that the rest can be used and what is gone made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worldgan.data import codec
from worldgan.data.store import AHEAD, described, found, leftovers
from worldgan.errors import WorldganError
from worldgan.files import move, sole_writer
from worldgan.progress import Report
from worldgan.types import EnvSpec

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
    """Read all of the data set at ``path``, while it is written, too.    report: gets the share done, 0 to 1.

    Raises WorldganError if there is none, or its ``dataset.json`` is damaged: without it no episode means anything.
    And if a file cannot be read: that it is damaged would be said too soon.
    """
    spec, _, _ = described(path)
    damaged: dict[Path, str] = {}
    lengths: dict[int, int] = {}
    last = min(max(found(path), default=-1), MOST)
    files = list(_files(path))
    for done, file in enumerate(files, 1):
        try:
            header = _check(file, spec)
        except codec.Damaged as error:
            damaged[file] = str(error)
        else:
            if header is not None and (file.suffix != AHEAD or not file.exists()):
                lengths[int(file.stem)] = header.length
        if report is not None:
            report(done / len(files))
    missing = sorted(set(range(last + 1)) - lengths.keys())
    return Condition(len(lengths), sum(lengths.values()), damaged, tuple(leftovers(path)), tuple(missing))


def repair(path: Path, *, report: Report | None = None) -> Condition:
    """Move what is damaged to the folder ``damaged`` inside the data set, and remove what is half written.

    The episodes that are then missing are played again, bit for bit, by the command that made them. Returns what
    ``verify`` found before. Raises WorldganError as it does, having moved nothing, and if another process writes there
    or the disk refuses.
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
    for suffix in (".ep", AHEAD):
        yield from (path / "episodes" / f"{index:08d}{suffix}" for index in found(path, suffix))


def _check(file: Path, spec: EnvSpec) -> codec.Header | None:
    """``codec.check`` of a file that was there, or of the episode that it has become since; None if it is gone."""
    try:
        return codec.check(file, spec)
    except codec.Damaged:
        raise
    except WorldganError:
        if file.exists():
            raise
    return _check(file.with_suffix(".ep"), spec) if file.suffix == AHEAD else None


def _unused(folder: Path, name: str) -> Path:
    """A name in ``folder``, which is made, that nothing has: what was put aside earlier stays."""
    folder.mkdir(exist_ok=True)
    taken = {file.name for file in folder.iterdir()}
    return folder / next(each for n in range(len(taken) + 1) if (each := f"{name}.{n}" if n else name) not in taken)
