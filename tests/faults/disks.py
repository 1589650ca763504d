"""Disks that are full, and folders that may not be written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from jobs import Job
from kills import FORK, PATIENCE, interrupted, kill, uninterrupted
from tally import NOT_TRIED, Tally

from worldgan.errors import WorldganError


def full(job: Job, folder: Path, times: int, rng: Random, *, most: int) -> Tally:
    """A disk with room for a random number of bytes up to ``most``; then a larger one."""
    tally = Tally(
        f"disk full during {job.name}",
        "one line says so; what was reported as written can be read; with room again it ends with the same bytes",
        "the file being written",
    )
    whole, _ = uninterrupted(job, folder)
    real = mountable(folder)
    for _ in range(times):
        size = rng.randrange(1, most)
        with tally.case(f"{size} bytes"), tmpfs(folder / "disk", size) if real else small_files(size, folder) as limit:
            out = folder / "disk" / "out"
            code = _forked(job, out, limit)
            tally.count({0: "enough room", 2: "refused in one line"}.get(code, "crashed"))
            assert code in {0, 2}, f"it ended with {code}"
            if out.exists():
                job.check(out, 0)
            if real:
                _insist("mount", "-o", "remount,size=64m", str(folder / "disk"))
            assert _forked(job, out, 0) == 0
            assert job.result(out) == whole
    tally.count("on a real small disk" if real else "by a limit on the size of files", tally.tried)
    return tally


def read_only(job: Job, folder: Path, times: int, rng: Random, *, within: float = 0.3) -> Tally:
    """A disk that becomes read-only in the middle, ``within`` seconds, or was from the start."""
    tally = Tally(
        f"read-only folder of {job.name}", "one line says so; what was written can be read", "nothing of what was there"
    )
    if not mountable(folder):
        tally.count(NOT_TRIED)
        return tally
    for number in range(times):
        with tally.case(str(number)), tmpfs(folder / "disk", 64 << 20):
            out = folder / "disk" / "out"
            if number % 2:
                interrupted(job, out, rng.uniform(0, within))
            _insist("mount", "-o", "remount,ro", str(folder / "disk"))
            before = _contents(folder / "disk")
            assert _forked(job, out, 0) in {2, *([0] if before else [])}
            assert _contents(folder / "disk") == before
            if out.exists():
                job.check(out, 0)
    return tally


def mountable(folder: Path) -> bool:
    """Whether small disks can be made here: it takes root, and the right to mount."""
    place = folder / "probe"
    place.mkdir(exist_ok=True)
    if os.geteuid() or not (shutil.which("mount") and shutil.which("umount")):
        return False
    if subprocess.run(["mount", "-t", "tmpfs", "probe", str(place)], capture_output=True).returncode:
        return False
    subprocess.run(["umount", str(place)], check=True)
    return True


@contextmanager
def tmpfs(place: Path, size: int) -> Iterator[int]:
    """A disk of ``size`` bytes, in whole pages, at ``place``."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={-(-size // 4096) * 4096}", "faults", str(place)], check=True)
    try:
        yield 0
    finally:
        _insist("umount", str(place))


def _insist(*command: str) -> None:
    """Until the children of what was killed are dead, too, their files keep the disk busy."""
    for _ in range(50):
        if not subprocess.run(command, capture_output=True).returncode:
            return
        time.sleep(0.1)
    subprocess.run(command, check=True)


@contextmanager
def small_files(size: int, folder: Path) -> Iterator[int]:
    """Without the right to mount: no file may be longer."""
    try:
        yield max(1, size // 8)
    finally:
        shutil.rmtree(folder / "disk", ignore_errors=True)


def _forked(job: Job, out: Path, limit: int) -> int:
    """Work in a process of its own -> 0, 2 for what the command line says in one line, anything else for a crash."""
    process = FORK.Process(target=work, args=(job, out, limit))
    process.start()
    return ended(process)


def ended(process: Any) -> int:
    """The exit code of a process, which is killed if it hangs."""
    process.join(PATIENCE)
    kill(process)
    return int(process.exitcode)


def work(job: Job, out: Path, limit: int = 0) -> None:
    """Exit code 2 for what the command line says in one line.    limit: bytes of the longest file, 0 for any."""
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        job.run(out, lambda amount: None)
    except (WorldganError, OSError):  # as worldgan.cli.main
        os._exit(2)


def _contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
