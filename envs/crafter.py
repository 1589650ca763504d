"""Crafter, whose old interface is translated to gymnasium's."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldgan.envs.frames import About, PixelEnv, frame_space
from worldgan.errors import extra, unknown
from worldgan.pixels import LARGEST, Frames, check_size

IDS = ["CrafterReward-v1", "CrafterNoReward-v1"]


def make(env_id: str, *, size: int = LARGEST, length: int = 10_000) -> PixelEnv:
    """Crafter, uint8 [size, size, 3], drawn at that size.

    length: steps after which an episode is truncated.
    Raises WorldganError for an unknown id or without the ``crafter`` extra.
    """
    check_size(size)
    if env_id not in IDS:
        raise unknown("environment", env_id, IDS)
    return Crafter(size=size, length=length, reward=env_id == IDS[0])


class Crafter(gym.Env[Frames, Any]):
    """Death terminates, the time limit truncates. A reset builds a world, which takes about a second."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, *, size: int, length: int, reward: bool) -> None:
        with extra("crafter"):
            from crafter import Env
        self.render_mode = "rgb_array"
        # Crafter takes a seed when built, and draws one from numpy's global state when given none.
        self._game = Env(size=(size, size), length=length, reward=reward, seed=0)
        self._seeded = False
        self.observation_space = frame_space((size, size, 3))
        self.action_space = spaces.Discrete(len(self._game.action_names))
        self.about = About(f"uint8 {[size, size, 3]}", f"drawn at {size}x{size}")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """As in gymnasium; without a seed the next world follows from the last seed."""
        super().reset(seed=seed, options=options)
        if seed is not None or not self._seeded:
            self._game._seed, self._game._episode = int(self.np_random.integers(2**31)), 0
            self._seeded = True
        frame = self._game.reset()
        _order(self._game._world)
        return np.ascontiguousarray(frame), {}

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium; info has Crafter's inventory, achievements and the rest."""
        frame, reward, over, info = self._game.step(int(action))
        dead = info["discount"] == 0.0
        return np.ascontiguousarray(frame), float(reward), dead, bool(over) and not dead, info

    def get_action_meanings(self) -> list[str]:
        """Crafter's own names, such as "move left" and "place stone"."""
        return [name.replace("_", " ") for name in self._game.action_names]

    def render(self) -> Any:
        """The frame, uint8 [size, size, 3]."""
        return np.ascontiguousarray(self._game.render())


class _Ordered(dict[Any, None]):
    """The part of ``set`` that Crafter uses, in order of insertion."""

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]


def _order(world: Any) -> None:
    """Crafter picks from sets, whose order follows memory addresses: the same seed would not repeat."""
    chunks: defaultdict[Any, _Ordered] = defaultdict(_Ordered)
    for thing in world.objects:
        chunks[world.chunk_key(thing.pos)].add(thing)
    # Chunks keep the order in which the world was filled; one that comes to be later is appended.
    world._chunks = defaultdict(_Ordered, {key: chunks[key] for key in world._chunks})
