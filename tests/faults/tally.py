"""What was tried, how often, and what did not hold."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

NOT_TRIED = "not tried: it takes root and the right to mount"


@dataclass
class Tally:
    """One fault.    holds: what is expected after it.    lost: what it costs, in words.
    counts: things seen on the way, such as how many kills met a process at work.
    failures: the first few cases in which it did not hold; failed: how many did not.
    """

    fault: str
    holds: str
    lost: str
    tried: int = 0
    failed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """One try; whatever is raised inside is a failure."""
        self.tried += 1
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.fail(f"{name}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})")

    def fail(self, what: str) -> None:
        """It did not hold."""
        self.failed += 1
        if len(self.failures) < 5:
            self.failures.append(what[:500])

    def count(self, what: str, amount: int = 1) -> None:
        """See a thing."""
        self.counts[what] = self.counts.get(what, 0) + amount

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))
