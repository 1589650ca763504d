"""One progress display for everything that takes longer than two seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)


def say(line: str) -> None:
    """Print one plain line; above the bar, if one is shown."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


class Report(Protocol):
    """Call with how much is done so far (in the units of ``total``) and a short text of what is going on."""

    def __call__(self, done: float, note: str = "") -> None:
        """Show it."""


@contextmanager
def progress(label: str, total: float, *, unit: str = "steps", every: float = 15.0) -> Iterator[Report]:
    """A bar on a terminal; elsewhere a plain line every ``every`` seconds. Shows the rate in units per second."""
    show = _bar if console.is_terminal else _lines
    with show(label, total, unit, every) as report:
        yield report


@contextmanager
def _bar(label: str, total: float, unit: str, every: float) -> Iterator[Report]:
    del every
    columns = (
        _text("{task.description}"), BarColumn(), _text("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), _text("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(label, total=total, rate="", note="")
        rate = _Rate(unit)

        def report(done: float, note: str = "") -> None:
            bars.update(task, completed=done, rate=rate(done), note=note)

        yield report


@contextmanager
def _lines(label: str, total: float, unit: str, every: float) -> Iterator[Report]:
    rate, shown = _Rate(unit), time.monotonic()

    def report(done: float, note: str = "") -> None:
        nonlocal shown
        speed = rate(done)
        if time.monotonic() - shown >= every:
            shown = time.monotonic()
            say(f"{label}: {done:,.0f} of {total:,.0f}, {speed}  {note}")

    yield report


def _text(template: str) -> TextColumn:
    return TextColumn(template, markup=False)  # brackets in the names of envs and files are no markup


def part(report: Report | None, first: float, last: float, total: float) -> Report:
    """A report of 0..``total`` that moves ``report`` from ``first`` to ``last``; nothing hears it if that is None."""

    def inner(done: float, note: str = "") -> None:
        if report is not None:
            report(first + (last - first) * done / total, note)

    return inner


class _Rate:
    """Average rate since the first report, which may not start at zero when a run is resumed."""

    def __init__(self, unit: str) -> None:
        self.unit, self.first = unit, (time.monotonic(), -1.0)

    def __call__(self, done: float) -> str:
        start, base = self.first
        if base < 0:
            self.first = (time.monotonic(), done)
            return ""
        return f"{(done - base) / max(time.monotonic() - start, 1e-6):,.1f} {self.unit}/s"
