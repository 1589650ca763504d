"""Whole files or none: every artefact is written under a temporary name, fsynced and renamed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from worldgan.errors import WorldganError

PAUSE = 0.1
"""Seconds between two looks at whether another process is still at work."""


class Busy(WorldganError):
    """Another process is at work in a folder."""


def atomic_write(path: Path, data: bytes | memoryview, *, writer: str = "") -> None:
    """Write ``data`` to ``path``, which holds either its old content or all of the new, whatever happens.

    Missing parent folders are made. Raises WorldganError if the disk refuses, and then leaves no temporary file.
    writer: as in ``replacing``.
    """
    with replacing(path, writer=writer) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path, *, writer: str = "") -> Iterator[Path]:
    """Yield a name beside ``path``, with its suffix, for the body to write a file to.

    On success that file is fsynced and takes the place of ``path``; if the body raises, it is removed and
    ``path`` stays as it was. Missing parent folders are made. Raises WorldganError if the disk refuses.
    writer: part of the temporary name, such as ".1", where others may write the same file at the same time.
    """
    path = Path(path)
    # Always the same name: what a kill left behind is overwritten by the next attempt.
    temporary = path.with_name(f".{path.stem}.tmp{writer}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary, os.O_RDWR)
        move(temporary, path)
    except OSError as error:
        raise WorldganError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # it has been renamed, or the disk refuses this, too
            temporary.unlink()


def move(source: Path, target: Path) -> None:
    """Rename within one file system, on the disk when this returns. Raises OSError."""
    source.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is journalled anyway
        for folder in {target.parent, source.parent}:
            _sync(folder, os.O_RDONLY)


@contextmanager
def sole_writer(folder: Path, *, shared: bool = False, patience: float = 0.0) -> Iterator[None]:
    """Let no other process write into ``folder`` meanwhile; the lock of a killed process is free at once.

    shared: but for those that share it; they have to keep out of each other's way by themselves.
    patience: seconds for which to wait for a process that holds it.
    Missing folders are made. Raises Busy if another process holds it, else WorldganError if the disk refuses or has no
    locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w+")  # on NFS, a shared lock takes a file that may be read (flock(2))
    except OSError as error:
        raise WorldganError(f"cannot write {folder}: {error.strerror or error}") from None
    with lock:
        if os.name == "posix":  # elsewhere two writers are not kept apart
            try:
                _lock(lock, shared, patience)
            except BlockingIOError:
                raise Busy(
                    f"expected to be the only writer of {folder}, but another process is at work there: wait for it "
                    "to end, or choose another folder"
                ) from None
            except OSError as error:
                raise WorldganError(
                    f"expected a disk that can lock {folder}, got {error.strerror or error}: choose a folder on another"
                ) from None
        yield


def _lock(file: IO[str], shared: bool, patience: float) -> None:
    """Raises BlockingIOError if another process holds it for longer, another OSError where there are no locks."""
    import fcntl  # which only posix has

    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(PAUSE)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
