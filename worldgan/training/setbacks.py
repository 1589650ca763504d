"""How often training had to go back to a checkpoint, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE = 3
SLOWER = 0.5
"""What going back does to the learning rate."""


@dataclass(frozen=True)
class Setbacks:
    """total: times gone back.    fruitless: those since the last new checkpoint.    step: of the one gone back to."""

    total: int = 0
    fruitless: int = 0
    step: int = -1

    @property
    def rate(self) -> float:
        """Share of the learning rate that is left."""
        return SLOWER**self.total

    def to(self, step: int) -> Setbacks:
        """After going back once more, to the checkpoint of ``step``."""
        return Setbacks(self.total + 1, self.fruitless + 1 if step <= self.step else 1, step)

    def hopeless(self, step: int) -> bool:
        """Whether that would be once too often."""
        return self.to(step).fruitless > PATIENCE
