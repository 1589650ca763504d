"""What a page may ask for: JSON objects, small, checked before anything is done about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from worldgan.config import from_mapping
from worldgan.errors import WorldganError, unknown

LARGEST = 4096
"""Bytes of a message; the connection of a client that sends more is closed."""
MOST_FUTURES, MOST_STEPS = 8, 10_000

Start = Literal["real", "beginning", "anywhere"]
Format = Literal["gif", "webm"]


@dataclass(frozen=True)
class Step:
    """Take a raw action: a number, or a list of them."""

    action: Any


@dataclass(frozen=True)
class Reset:
    """Begin anew: as the real env begins, where an episode of the data began, or anywhere in one."""

    start: Start


@dataclass(frozen=True)
class Rewind:
    """Go back so many steps, or as far as is remembered."""

    steps: int

    def __post_init__(self) -> None:
        _within("steps", self.steps, MOST_STEPS)


@dataclass(frozen=True)
class Switch:
    """Go on with another model from the same frames."""

    model: str


@dataclass(frozen=True)
class Futures:
    """Show at most ``count`` next frames for every choice."""

    count: int

    def __post_init__(self) -> None:
        _within("count", self.count, MOST_FUTURES)


@dataclass(frozen=True)
class Go:
    """Take one of the futures that were shown: the choice's row and the outcome's column."""

    choice: int
    outcome: int


@dataclass(frozen=True)
class Agent:
    """Let an agent take the next step."""

    name: str


@dataclass(frozen=True)
class Record:
    """Begin to keep frames for a video, or stop."""

    on: bool


@dataclass(frozen=True)
class Save:
    """Make a video of what was kept."""

    format: Format


Message = Step | Reset | Rewind | Switch | Futures | Go | Agent | Record | Save

KINDS: dict[str, type[Message]] = {
    kind.__name__.lower(): kind for kind in (Step, Reset, Rewind, Switch, Futures, Go, Agent, Record, Save)
}


def parse(text: str) -> Message:
    """``{"type": "step", "action": 1}`` -> ``Step(1)``. Raises WorldganError for anything that is not a message."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WorldganError(f"expected a message in JSON, got something else: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise WorldganError('expected a message like {"type": "step", "action": 0}, got JSON without a type')
    kind = found.pop("type")
    if kind not in KINDS:
        raise unknown("message", kind[:40], KINDS)
    return from_mapping(KINDS[kind], found)


def _within(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise WorldganError(f"expected {name} from 1 to {most}, got {value}")
