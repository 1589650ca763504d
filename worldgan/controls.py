"""What a person can do in an env: choices with names, and what to press for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from worldgan.actions import ActionSpec

MOST = 24
"""Choices offered at once; MiniGrid has 7, Crafter 17, Atari 18."""
BUTTONS = {"left", "right", "up", "down", "fire"}
"""What arrow keys, WASD and the space bar press."""
OTHER_WORDS = {"forward": "up", "toggle": "fire", "do": "fire", "turn round": "fire"}
IDLE = {"noop", "stay"}
PLAIN = {"noop": "do nothing"}
"""What people read in place of an env's own name."""
SPARE = "123456789zxcefqjkl"
"""Keys for the rest, apart from WASD and those that work the page."""


@dataclass(frozen=True)
class Choice:
    """action: raw, as plain numbers.    press: what has to be held, nothing for the one that needs no key."""

    label: str
    action: Any
    press: tuple[str, ...]


@dataclass(frozen=True)
class Controls:
    """choices: what can be chosen at once, of larger spaces a selection.

    idle: index of the choice for when nothing is pressed; None where every action does something.
    """

    choices: tuple[Choice, ...]
    idle: int | None


def controls(actions: ActionSpec, names: Sequence[str]) -> Controls:
    """The choices in a space. names: of discrete actions 0, 1, ..., as far as they are known."""
    choices = {"discrete": _discrete, "multidiscrete": _combinations, "box": _extremes}[actions.kind](actions, names)
    idle = next((i for i, choice in enumerate(choices) if not choice.press), None)
    return Controls(tuple(choices), idle)


def _discrete(actions: ActionSpec, names: Sequence[str]) -> list[Choice]:
    known = [*names, *(f"action {i}" for i in range(len(names), actions.sizes[0]))][: min(actions.sizes[0], MOST)]
    spare = iter(SPARE)
    return [Choice(PLAIN.get(name, name), i, _press(name, spare)) for i, name in enumerate(known)]


def _press(name: str, spare: Iterator[str]) -> tuple[str, ...]:
    """Arrows and the space bar where the name speaks of them, else the next spare key."""
    if name in IDLE:
        return ()
    said = name.removeprefix("move ")
    words = {OTHER_WORDS.get(word, word) for word in ([said] if said in OTHER_WORDS else said.split())}
    if words <= BUTTONS:
        return tuple(sorted(words))
    return (next(spare, name),)  # without a key left, the button on the screen remains


def _combinations(actions: ActionSpec, names: Sequence[str]) -> list[Choice]:
    """Every combination of a small space; of a larger one, each dimension alone beside zeros."""
    del names
    sizes, spare = actions.sizes, iter(SPARE)
    combined = product(*map(range, sizes))
    alone = (tuple(v if d == i else 0 for d in range(len(sizes))) for i, n in enumerate(sizes) for v in range(1, n))
    count = 1
    for size in sizes:
        count *= size
    chosen = list(combined) if count <= MOST else [(0,) * len(sizes), *alone][:MOST]
    return [Choice(" ".join(map(str, each)), list(each), (next(spare, str(each)),)) for each in chosen]


def _extremes(actions: ActionSpec, names: Sequence[str]) -> list[Choice]:
    """The middle of the box, and the lowest and highest value of each dimension beside the middle of the others."""
    del names
    middle = [(low + high) / 2 for low, high in zip(actions.low, actions.high, strict=True)]
    arrows, spare = iter([("left", "right"), ("down", "up")]), iter(SPARE)
    choices = [Choice("middle", middle, ())]
    for d, bounds in enumerate(zip(actions.low, actions.high, strict=True)):
        keys = next(arrows, None) or (next(spare, f"low {d}"), next(spare, f"high {d}"))
        for value, key in zip(bounds, keys, strict=True):
            action = [value if i == d else each for i, each in enumerate(middle)]
            name = f"{value:g}" if len(middle) == 1 else f"{'xyzuvw'[d] if d < 6 else d + 1} {value:g}"
            choices.append(Choice(name, action, (key,)))
    return choices[:MOST]
