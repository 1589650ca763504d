"""What a player can do in a game: choices with names, and what to press for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worldgan.actions import ActionSpec

KEYS = "123456789zxcefqjkl"
"""Besides WASD and those that work the page."""


@dataclass(frozen=True)
class Choice:
    """action: raw, as plain numbers.    press: what has to be held."""

    label: str
    action: Any
    press: tuple[str, ...]


@dataclass(frozen=True)
class Controls:
    """idle: index of the choice for when nothing is pressed; None where the last choice stays."""

    choices: tuple[Choice, ...]
    idle: int | None


def controls(actions: ActionSpec, names: Sequence[str] = ()) -> Controls:
    """One choice for each discrete action; else nothing, and each dimension alone at each of its values or ends."""
    if actions.kind == "discrete":
        labels = [*names, *(f"action {i}" for i in range(len(names), actions.sizes[0]))]
        return Controls(tuple(_choice(label, i, i) for i, label in enumerate(labels)), None)
    idle: list[Any]
    if actions.kind == "multidiscrete":
        idle, values = [0] * len(actions.sizes), [tuple(range(1, n)) for n in actions.sizes]
    else:
        ends = list(zip(actions.low, actions.high, strict=True))
        idle, values = [(low + high) / 2 for low, high in ends], ends  # type: ignore[assignment]
    moves = [(d, value) for d, each in enumerate(values) for value in each]
    choices = [
        _choice(f"{d + 1}: {value:g}", [value if i == d else rest for i, rest in enumerate(idle)], number)
        for number, (d, value) in enumerate(moves)
    ]
    return Controls((Choice("nothing", idle, ()), *choices), 0)


def _choice(label: str, action: Any, number: int) -> Choice:
    return Choice(label, action, (KEYS[number],) if number < len(KEYS) else ())
