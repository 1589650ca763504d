"""kill -9 at random moments, and at every step of writing."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from jobs import Job
from page import AT_WORK
from tally import Tally

FORK = multiprocessing.get_context("fork")  # the parent has one thread, and has imported what takes seconds
PATIENCE = 300.0
"""Seconds after which a process hangs."""
STARTS = 20
"""At most, for each kill that is to meet a process at work."""


def randomly(job: Job, folder: Path, times: int, rng: Random) -> Tally:
    """Kill it ``times`` times, each time somewhere in what is left to do; begin anew when it is through.

    A kill that comes when it is through already does not count.
    """
    tally = Tally(
        f"kill -9 of {job.name} at a random moment",
        "what was reported as written can be read; going on ends with the bytes of an uninterrupted one",
        "the work since the last file",
    )
    whole, lasts = uninterrupted(job, folder)
    out = folder / "killed"
    for start in range(STARTS * times):
        if tally.tried == times:
            break
        with tally.case(f"start {start + 1}"):
            before = _lasting(job, out)
            told, killed = interrupted(job, out, rng.uniform(0, lasts / 2))
            tally.tried -= not killed
            tally.count(AT_WORK if killed else "too late, not counted")
            if killed and any(out.rglob("state.pt")):
                tally.count("of them after a checkpoint")
            job.check(out, told)
            assert before.items() <= _lasting(job, out).items(), "what was finished has changed"
            if not killed:
                tally.count("wholes compared")
                _compare(job, out, whole)
    if tally.tried < times:
        tally.fail(f"of {STARTS * times} processes {tally.tried} were met at work, and not {times}")
    with tally.case("the last one, to its end"):
        tally.tried -= 1
        interrupted(job, out, None)
        tally.count("wholes compared")
        _compare(job, out, whole)
    return tally


def stepwise(job: Job, folder: Path, every: int) -> Tally:
    """Kill it at each (``every``-th) step of writing: within a file, before a sync, before and after a rename."""
    tally = Tally(
        f"kill -9 of {job.name} at a step of writing",
        "what was reported as written can be read; going on ends with the bytes of an uninterrupted one",
        "the file being written",
    )
    whole, _ = uninterrupted(job, folder)
    out = folder / "mined"
    for fuse in count(1, every):
        told, killed = interrupted(job, out, None, fuse)
        if not killed:
            return tally
        with tally.case(f"step {fuse}"):
            job.check(out, told)
            interrupted(job, out, None)
            _compare(job, out, whole)
        shutil.rmtree(out, ignore_errors=True)
    raise AssertionError("count() does not end")


def interrupted(job: Job, out: Path, seconds: float | None, fuse: int = 0) -> tuple[int, bool]:
    """Work until it is done or ``seconds`` are over, or its ``fuse``-th step of writing -> what was told, and whether
    it was killed.
    """
    told = FORK.RawValue("q", 0)
    process = FORK.Process(target=_work, args=(job, out, told, fuse))
    process.start()
    process.join(PATIENCE if seconds is None else seconds)
    hangs = seconds is None and process.is_alive()
    kill(process)
    if hangs:
        raise AssertionError(f"it did not end within {PATIENCE:g} s")
    if process.exitcode not in {0, -signal.SIGKILL}:
        raise AssertionError(f"it ended with {process.exitcode}")
    return told.value, process.exitcode != 0


def kill(process: Any) -> None:
    """And whoever else is in its group, if it has one of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _work(job: Job, out: Path, told: Any, fuse: int) -> None:
    def tell(amount: int) -> None:
        told.value = amount

    os.setpgrp()  # with those that it starts
    if fuse:
        mine(fuse)
    job.run(out, tell)


def mine(fuse: int) -> None:
    """Let this process kill itself at the ``fuse``-th step of writing."""
    steps = count(1)

    def mined(step: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            if next(steps) == fuse:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **options)

        return do

    def write_bytes(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            between()
            return file.write(data[len(data) // 2 :])

    between = mined(lambda: None)
    os.fsync, os.replace = mined(os.fsync), mined(os.replace)
    Path.write_bytes = write_bytes  # type: ignore[method-assign, assignment]


def uninterrupted(job: Job, folder: Path) -> tuple[Any, float]:
    """What an uninterrupted one makes, and how many seconds it takes."""
    out = folder / "whole"
    began = time.monotonic()
    interrupted(job, out, None)
    lasts = time.monotonic() - began
    result = job.result(out)
    shutil.rmtree(out)
    return result, lasts


def _lasting(job: Job, out: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in out.glob(job.lasting)}


def _compare(job: Job, out: Path, whole: Any) -> None:
    made = job.result(out)
    shutil.rmtree(out)
    assert made.keys() == whole.keys(), sorted(made.keys() ^ whole.keys())[:5]
    assert made == whole, [key for key in made if made[key] != whole[key]][:5]
