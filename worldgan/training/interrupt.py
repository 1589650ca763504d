"""Ctrl-C between updates, never inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred() -> Iterator[list[int]]:
    """A Ctrl-C inside takes effect at the end, so that no checkpoint holds half an update. Yields those that came.

    Only the main thread of a process is ever interrupted; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if came and callable(before):
        before(signal.SIGINT, None)  # here and now: a signal that is raised may be handled some instructions later
    elif came:
        signal.raise_signal(signal.SIGINT)
