"""Glider: push a ball about a box, without any chance: one outcome always. 32x32 colour frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.pixels import Frames

SIDE, BALL = 32, 5  # pixels: frame, ball
WALL = SIDE - BALL  # greatest x and y of the ball
FASTEST, REBOUND = 3, 2  # pixels a step along an axis: at most, and off a wall
PUSHES = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))  # (x, y) by action, added to the motion
ZONE = slice(4, 16)  # rows and columns of the target, in pixels
BACKGROUND, ZONE_COLOUR, BALL_COLOUR = (16, 16, 40), (24, 72, 40), (255, 224, 64)


class State(NamedTuple):
    """x, y: the ball's top left corner in pixels.    dx, dy: its motion a step.

    Two frames tell it: along each axis the motion is the difference, save at a wall, where it is ``REBOUND``.
    """

    x: int
    y: int
    dx: int
    dy: int


class Glider(Enumerable[State]):
    """Actions: push 0 left, 1 right, 2 up, 3 down, 4 not at all. Never terminates.

    The ball keeps its motion, and walls throw it back at 2 pixels a step. It begins at rest at a random place.
    Reward 1 while its middle is in the green zone.
    """

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        self.action_space = spaces.Discrete(len(PUSHES))
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> State:
        """At rest, off the walls."""
        x, y = rng.integers(1, WALL, size=2)
        return State(int(x), int(y), 0, 0)

    def branches(self, state: State, action: int) -> list[Branch[State]]:
        """The one thing that follows."""
        (x, dx), (y, dy) = map(_glide, state[:2], state[2:], PUSHES[action])
        inside = all(ZONE.start <= place + BALL // 2 < ZONE.stop for place in (x, y))
        return [Branch(1.0, State(x, y, dx, dy), float(inside))]

    def draw(self, state: State) -> Frames:
        """The ball over the zone, uint8 [32, 32, 3]."""
        frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        frame[ZONE, ZONE] = ZONE_COLOUR
        frame[state.y : state.y + BALL, state.x : state.x + BALL] = BALL_COLOUR
        return frame


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """The registered env, truncated after 100 steps. size: side of the square frame in pixels, default 32."""
    return create(env_id, size=size, render_mode="rgb_array")


def _glide(place: int, motion: int, push: int) -> tuple[int, int]:
    """(place, motion) a step later, along one axis."""
    motion = min(max(motion + push, -FASTEST), FASTEST)
    place = min(max(place + motion, 0), WALL)
    return place, {0: REBOUND, WALL: -REBOUND}.get(place, motion)
