"""MiniGrid and BabyAI as pictures of the grid."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, cast

import gymnasium as gym
import numpy as np

from worldgan.envs.frames import Looking, PixelEnv
from worldgan.envs.generic import create
from worldgan.errors import extra
from worldgan.pixels import LARGEST, Frames, check_size


def make(env_id: str, *, size: int = LARGEST, view: Literal["grid", "agent"] = "grid") -> PixelEnv:
    """A MiniGrid env, uint8 [size, size, 3].

    view: ``grid`` is the whole grid from above, ``agent`` what the agent sees.
    Raises WorldganError for an unknown id or without the ``minigrid`` extra.
    """
    check_size(size)
    with extra("minigrid"):
        import minigrid  # noqa: F401  # registers the ids
    env = create(env_id)
    native = cast(Any, env.unwrapped)
    cells = native.agent_view_size if view == "agent" else max(native.width, native.height)
    # Tiles at least as large as needed: averaging areas blurs less than repeating pixels distorts.
    look = partial(_picture, tile=-(-size // cells), agent=view == "agent")
    return Looking(env, look, size, f"a picture of the {'view of the agent' if view == 'agent' else 'whole grid'}")


def _picture(env: gym.Env[Any, Any], observation: Any, *, tile: int, agent: bool) -> Frames:
    del observation
    native = cast(Any, env.unwrapped)
    picture = native.get_frame(highlight=native.highlight, tile_size=tile, agent_pov=agent)
    return np.ascontiguousarray(picture, np.uint8)
