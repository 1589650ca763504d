"""Messages for what is unknown or not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium as gym

from worldgan.errors import WorldganError, unknown

# One of each family whose ids gymnasium learns only when its extra is imported.
EXAMPLES = (
    "ALE/Pong-v5",
    "ALE/Breakout-v5",
    "MinAtar/Breakout-v1",
    "MinAtar/SpaceInvaders-v1",
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-DoorKey-5x5-v0",
    "CrafterReward-v1",
)


def unknown_id(env_id: str) -> WorldganError:
    """The error for an id that nothing registered."""
    error = unknown("environment", env_id, {*gym.registry, *EXAMPLES})
    if "did you mean" in str(error):
        return error
    return WorldganError(f"unknown environment {env_id!r}: for example {', '.join(EXAMPLES)}, or module:Id")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import inside into a WorldganError that names the extra to install."""
    try:
        yield
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise WorldganError(f"the {name!r} extra is missing: run pip install 'worldgan[{name}]' ({reason})") from None
