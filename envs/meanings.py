"""What actions are called, so that a person can be told which is which."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

NAMES: dict[str, tuple[str, ...]] = {
    "worldgan/Paddle-": ("left", "stay", "right"),
    "worldgan/Turners-": ("stay", "turn round"),
    "worldgan/Flash-": ("left", "right"),
    "worldgan/Head-": ("left", "right"),
    "worldgan/Climber-": ("careful", "brisk", "rash"),
    "worldgan/Glider-": ("left", "right", "up", "down", "stay"),
    "CartPole-": ("left", "right"),
    "Acrobot-": ("left", "stay", "right"),
    "MountainCar-": ("left", "stay", "right"),
    "MiniGrid-": ("left", "right", "forward", "pick up", "drop", "toggle", "done"),
    "BabyAI-": ("left", "right", "forward", "pick up", "drop", "toggle", "done"),
}
"""How an id begins -> names of its discrete actions, where they are always the same."""


def action_names(id: str, env: gym.Env[Any, Any] | None = None) -> tuple[str, ...]:
    """Names of the discrete actions 0, 1, ...: as far as they are known, so perhaps none.

    id: as in ``make``.    env: what ``make`` returned, if it is there to be asked.
    """
    ask = getattr(env.unwrapped, "get_action_meanings", None) if env is not None else None
    if ask is not None:
        return tuple(str(name).lower() for name in ask())
    env_id = id.rpartition(":")[2]
    return next((names for prefix, names in NAMES.items() if env_id.startswith(prefix)), ())
