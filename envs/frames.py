"""What every adapter shares: the wrapper that makes any env show pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldgan.pixels import Frames, fit

PixelEnv = gym.Env[Frames, Any]
Look = Callable[[gym.Env[Any, Any], Any], Frames]
"""(env, its observation) -> uint8 [H, W, C]. A plain function: a copied env must not look at the original."""


class About(NamedTuple):
    """For people. native: the env's own observation space.    frame: what the adapter made of it.

    rules: what else its options decide; empty if nothing.
    """

    native: str
    frame: str
    rules: str = ""


def frame_space(shape: tuple[int, ...]) -> spaces.Space[Frames]:
    """The observation space of uint8 frames of ``shape`` [H, W, C]."""
    return cast("spaces.Space[Frames]", spaces.Box(0, 255, shape, np.uint8))


def resized(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """Shapes [H, W, C] before and after ``fit`` in plain words."""
    old, new = (f"{height}x{width}" for height, width, _ in (before, after))
    if old == new:
        return f"kept at {old}"
    way = "averaging areas" if after[0] <= before[0] and after[1] <= before[1] else "repeating pixels"
    return f"{old} resized to {new} by {way}"


def space_text(space: spaces.Space[Any]) -> str:
    """An observation space in a few words; gymnasium prints every bound."""
    if isinstance(space, spaces.Box):
        return f"{space.dtype} {list(space.shape)}"
    if isinstance(space, spaces.Dict):
        return "a dictionary of " + ", ".join(space)
    return " ".join(str(space).split())


class Looking(gym.Wrapper[Frames, Any, Any, Any]):
    """Shows ``look(env, observation)``, resized, as the observation. Resets the env once to see a frame.

    size: side of the square frame in pixels, as in ``fit``.    source: where frames come from, for people.
    """

    def __init__(self, env: gym.Env[Any, Any], look: Look, size: int | None, source: str) -> None:
        super().__init__(env)
        self._look, self._size = look, size
        raw = look(env, env.reset()[0])
        frame = fit(raw, size)
        self.observation_space = frame_space(frame.shape)
        self.about = About(space_text(env.unwrapped.observation_space), f"{source}, {resized(raw.shape, frame.shape)}")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """As in gymnasium; the first frame, uint8 [H, W, C]."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._frame(observation), info

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium; the next frame is uint8 [H, W, C], the reward a plain float."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._frame(observation), float(reward), bool(terminated), bool(truncated), info

    def _frame(self, observation: Any) -> Frames:
        return fit(self._look(self.env, observation), self._size)
