"""Messages to `worldgan play` that cannot be answered by anything but an error."""

from __future__ import annotations

from random import Random

from mutations import mutate

from worldgan.errors import WorldganError
from worldgan.play.messages import LARGEST, parse

RIGHT = (
    b'{"type": "step", "action": 1}',
    b'{"type": "reset", "start": "anywhere"}',
    b'{"type": "rewind", "steps": 3}',
    b'{"type": "switch", "model": "gan"}',
    b'{"type": "futures", "count": 2}',
    b'{"type": "go", "choice": 0, "outcome": 1}',
    b'{"type": "agent", "name": "shooting"}',
    b'{"type": "record", "on": true}',
    b'{"type": "save", "format": "gif"}',
)
ACTIONS = (
    *("3", "-1", "1.5", "1.0", "null", "true", "NaN", "-Infinity", "1e999", "9223372036854775808", "1" + "0" * 400),
    *('"left"', '"1"', "{}", "[]", "[1]", "[[1]]", "[1, [2]]", "[" * 300 + "]" * 300, "[" * 900 + "]" * 900),
)
IMPOSSIBLE = (
    *(f'{{"type": "step", "action": {action}}}' for action in ACTIONS),
    '{"type": "go", "choice": 99, "outcome": 0}',
    '{"type": "go", "choice": -1, "outcome": -1}',
    '{"type": "switch", "model": ""}',
    '{"type": "switch", "model": "\\ud800"}',
    '{"type": "agent", "name": "nobody"}',
)
"""Three actions can be taken, one model is there, and no futures are shown."""


def malformed(rng: Random) -> str | bytes:
    """Bytes, what is no message, or a message that asks for what there is not."""
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randrange(200))
    if kind < 0.25:
        return rng.choice(IMPOSSIBLE)
    while True:
        text = mutate(rng.choice(RIGHT), RIGHT, rng)[:LARGEST].decode(errors="ignore")
        try:
            parse(text)
        except WorldganError:
            return text
