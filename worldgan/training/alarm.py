"""Warnings while training: one plain line each, seen at once and kept with the run."""

from __future__ import annotations

from collections.abc import Mapping

from worldgan.progress import say
from worldgan.training.checkpoint import Run

EVERY = 300.0
"""Seconds of training before the same kind of trouble is named again."""


class Alarm:
    """Says what is wrong on the console and in the run's ``warnings.txt``, each kind once in ``EVERY`` seconds."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._said: dict[str, float] = {}

    def __call__(self, troubles: Mapping[str, str], step: int, seconds: float) -> None:
        """troubles: kind -> one line.    seconds: of training so far."""
        for kind, line in troubles.items():
            if seconds - self._said.get(kind, -EVERY) >= EVERY:
                self._said[kind] = seconds
                self.say(f"{kind} at step {step:,}: {line}")

    def say(self, line: str) -> None:
        """Say this now."""
        say(f"worldgan: {line}")
        self.run.write_warning(line)
