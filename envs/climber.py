"""Climber: a runner who climbs or slips, with odds that the action sets. 32x32 colour frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.pixels import Frames

SIDE, RUNNER, STRIDE = 32, 4, 4  # pixels: frame, runner, motion a step along each axis
CLIMBS = (0.9, 0.5, 0.1)  # probability of climbing, by action
BACKGROUND, COLOUR = (16, 16, 40), (255, 224, 64)


class State(NamedTuple):
    """x, y: the runner's top left corner in pixels, multiples of 4. One frame tells it."""

    x: int
    y: int


class Climber(Enumerable[State]):
    """Actions: 0 careful, 1 brisk, 2 rash, with the odds of ``CLIMBS``. Never terminates.

    At each step the runner goes 4 pixels to the right and climbs 4 pixels (reward 1) or slips 4 (reward -1), on a
    torus.
    """

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        self.action_space = spaces.Discrete(len(CLIMBS))
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> State:
        """A random place of a grid of 4 pixels."""
        x, y = rng.integers(SIDE // STRIDE, size=2) * STRIDE
        return State(int(x), int(y))

    def branches(self, state: State, action: int) -> list[Branch[State]]:
        """Up, or down."""
        x = (state.x + STRIDE) % SIDE
        up, down = (State(x, (state.y + motion) % SIDE) for motion in (-STRIDE, STRIDE))
        return [Branch(CLIMBS[action], up, 1.0), Branch(1 - CLIMBS[action], down, -1.0)]

    def draw(self, state: State) -> Frames:
        """The runner on a dark ground, uint8 [32, 32, 3]."""
        frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        frame[state.y : state.y + RUNNER, state.x : state.x + RUNNER] = COLOUR
        return frame


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """The registered env, truncated after 100 steps. size: side of the square frame in pixels, default 32."""
    return create(env_id, size=size, render_mode="rgb_array")
