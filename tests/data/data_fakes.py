"""Episodes and an env whose every frame says which episode and step it is, so nothing can be mixed up."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldgan.actions import ActionSpec
from worldgan.types import EnvSpec, Episode

SPEC = EnvSpec("fake", (4, 5, 3), ActionSpec("discrete", (50,)), {"skip": 4})
LENGTHS = (23, 1, 7, 8, 15, 40, 2, 9, 16, 12, 30, 5)


def frame(episode: int, t: int, shape: tuple[int, int, int] = SPEC.frame) -> NDArray[np.uint8]:
    """Channel values (episode, t, 0, ...), never both zero."""
    out = np.zeros(shape, np.uint8)
    out[..., 0], out[..., 1] = episode + 1, t
    return out


def make_episode(index: int, length: int, spec: EnvSpec = SPEC) -> Episode:
    """Frame t carries (index, t), action t is t mod 50, reward t is index + t / 100; even ones terminate."""
    steps = np.arange(length)
    return Episode(
        frames=np.stack([frame(index, t, spec.frame) for t in range(length + 1)]),
        actions=steps % 50,
        rewards=(index + steps / 100).astype(np.float32),
        terminated=index % 2 == 0,
        truncated=index % 2 == 1,
    )


class CountingEnv(gymnasium.Env[NDArray[np.uint8], Any]):
    """Frames count steps and remember actions; an episode's length comes from its reset seed."""

    def __init__(self, longest: int = 30, delay: float = 0.0) -> None:
        self.observation_space = spaces.Box(0, 255, (6, 6, 3), np.uint8)
        self.action_space = spaces.Discrete(5)
        self.longest, self.delay = longest, delay
        self.buffer = np.zeros((6, 6, 3), np.uint8)  # one array for all frames, as real renderers have

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self.t, self.length = 0, int(self.np_random.integers(1, self.longest, endpoint=True))
        self.buffer[:] = self.np_random.integers(0, 255, self.buffer.shape)
        return self.buffer, {}

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        time.sleep(self.delay)
        self.t += 1
        self.buffer[self.t % 6, :, 0] = action
        self.buffer[..., 1] = self.t
        return self.buffer, float(self.np_random.normal()), self.t >= self.length, False, {}


COUNTING = EnvSpec("counting", (6, 6, 3), ActionSpec("discrete", (5,)))
