"""Wrong files for every reader: anything but a value or a WorldganError is a failure, and so is much memory or time."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from kills import FORK
from reader import Reader
from tally import Tally

from worldgan.errors import WorldganError

SECONDS, BYTES = 10, 2**30
"""What a single file may take, above what the process has."""
AT_ONCE = (2.0, 2**26)
"""Seconds and bytes that a file may take that declares 10 TB."""


class Late(BaseException):
    """It took too long. No TimeoutError: that is an OSError, of which readers say that the file cannot be read."""


def fuzz(reader: Reader, times: int, seed: int) -> Tally:
    """Feed it ``times`` wrong files, in a process of its own: what kills that is a failure, and the next goes on."""
    tally = Tally(f"a wrong {reader.name}", "it is read, or refused in one line", "nothing")
    at, begun = FORK.RawValue("q", -1), -2
    while at.value + 1 < times and at.value > begun:  # else a process died before it fed anything, as the next would
        begun = at.value
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_feed, args=(reader, at, times, seed, theirs))
        process.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            while True:
                what, amount = _heard(ours, process, at)
                tally.fail(amount) if what == "failure" else tally.count(what, amount)
        process.join()
        if process.exitcode:
            tally.fail(f"input {at.value} of seed {seed}: the process ended with {process.exitcode}")
    tally.tried = at.value + 1
    return tally


def declared(reader: Reader) -> Tally:
    """Files that declare 10 TB."""
    tally = Tally(f"{reader.name} that declares 10 TB", "refused at once, in little memory", "nothing")
    for number, data in enumerate(reader.huge):
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_weigh, args=(reader, data, theirs))
        process.start()
        theirs.close()
        with tally.case(str(number)):
            refused, seconds, peak, grown = _heard(ours, process, FORK.RawValue("q", 0))
            assert refused == "refused", refused
            assert seconds < AT_ONCE[0], f"{seconds:.1f} s"
            assert peak < AT_ONCE[1], f"{peak:,} bytes of Python's"
            assert grown < AT_ONCE[1], f"{grown:,} bytes"
        process.join()
    return tally


def _heard(ours: Connection, process: Any, at: Any) -> Any:
    """What the process says next. One that neither says nor goes on with anything, deaf to its own alarm, is killed.

    Raises EOFError when it has ended.
    """
    before = at.value
    while not ours.poll(3 * SECONDS):
        if at.value == before:
            process.kill()
        before = at.value
    return ours.recv()


def _feed(reader: Reader, at: Any, times: int, seed: int, out: Connection) -> None:
    """Inputs from the one after ``at`` on, each a function of the seed and its number."""
    _limit(BYTES)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    counts = {"read": 0, "refused": 0}
    for number in range(at.value + 1, times):
        at.value = number
        data = reader.make(Random(f"{reader.name} {seed} {number}"))
        try:
            with _alarm():
                reader.read(data)
            counts["read"] += 1
        except WorldganError as error:
            counts["refused"] += 1
            if "\n" in str(error):
                out.send(("failure", f"input {number}: more than one line: {error}"))
            if why := _starved(error):
                out.send(("failure", f"input {number}: refused for lack of memory: {why}"))
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"input {number}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})"
            out.send(("failure", what))
    for pair in counts.items():
        out.send(pair)


def _weigh(reader: Reader, data: bytes, out: Connection) -> None:
    _limit(BYTES)
    with contextlib.suppress(WorldganError):
        reader.read(reader.make(Random(0)))  # so that what is only loaded once has been
    tracemalloc.start()
    began, before = time.process_time(), _most()
    try:
        with _alarm():
            reader.read(data)
        said = "accepted"
    except WorldganError as error:
        said = f"refused for lack of memory: {why}" if (why := _starved(error)) else "refused"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    out.send((said, time.process_time() - began, tracemalloc.get_traced_memory()[1], _most() - before))


def _starved(error: BaseException | None) -> str:
    """Which of an error, and those that it was raised over, is of too little memory; nothing if none is."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate" in str(error):
            return f"{type(error).__name__}: {error}"
        error = error.__cause__ or error.__context__
    return ""


def _limit(more: int) -> None:
    """Let this process have so many bytes more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _most() -> int:
    """The most bytes of memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _alarm() -> Iterator[None]:
    """Raise Late if the body takes too long."""
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(number: int, frame: Any) -> None:
    raise Late(f"more than {SECONDS} s")
