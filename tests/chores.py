"""Jobs for executors. They import little: every process that is started to do them does so, too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from worldgan.errors import WorldganError


def drawn(seed: int) -> int:
    return zlib.crc32(str(seed).encode())


def killed_once(job: tuple[Path, int]) -> int:
    """The second job's worker is killed, as by a machine that runs out of memory, the first time."""
    folder, number = job
    (folder / f"{number}.{len(list(folder.glob(f'{number}.*')))}").touch()
    if number == 1 and not (folder / "1.1").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fatal(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refused(number: int) -> int:
    if number == 1:
        raise WorldganError("expected\nanother")
    return number


def unsendable(number: int) -> Any:
    return threading.Lock() if number else number


def process(number: int) -> tuple[int, bool]:
    """Which does it, and whether it may start no other."""
    return os.getpid(), multiprocessing.current_process().daemon


def slow(number: int) -> int:
    time.sleep(0.3)
    return number
