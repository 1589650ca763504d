"""Messages for what is unknown or not installed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import gymnasium as gym

from worldgan.errors import WorldganError

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


def unknown(what: str, name: str, valid: Iterable[str]) -> WorldganError:
    """The error for a ``name`` that is not among ``valid``, with the nearest that is."""
    choices = sorted(valid)
    folded = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.4)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"valid: {', '.join(choices) or 'none'}"
    return WorldganError(f"unknown {what} {name!r}: {hint}")


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
        raise WorldganError(
            f"the {name!r} extra is missing: run pip install 'worldgan[{name}]' ({reason})"
        ) from None
