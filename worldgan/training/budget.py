"""How long to train: so many updates, or so many minutes of them."""

from __future__ import annotations

from dataclasses import dataclass

from worldgan.errors import WorldganError


@dataclass(frozen=True)
class Budget:
    """steps or minutes: exactly one of them, above 0."""

    steps: int | None
    minutes: float | None

    def __post_init__(self) -> None:
        """Raises WorldganError for none of them, and for both."""
        if (self.steps is None) == (self.minutes is None):
            raise WorldganError(f"expected either steps or minutes, got steps={self.steps}, minutes={self.minutes}")

    def done(self, step: int, seconds: float) -> float:
        """Share of it that is spent after so many updates and seconds; above 1 where the last took it further."""
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None
        return seconds / (60 * self.minutes)
