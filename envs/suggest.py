"""The message for an id that is unknown."""

from __future__ import annotations

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
