"""Flash: a ball that is always certain and a lamp that lights up once in fifty steps. 32x32 colour frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.pixels import Frames

SIDE, BALL, SPEED = 32, 4, 2  # pixels: frame, ball, motion a step; the ball's places are multiples of SPEED
RIGHT, BOTTOM = 28, 16  # the ball's greatest x and y; it flies above the lamps
FLASH = 0.02  # probability, at each step, that the armed lamp lights up for that step
LAMPS = (slice(5, 13), slice(19, 27))  # columns of the left and the right lamp
LAMP_ROWS = slice(22, 30)
BACKGROUND, BALL_COLOUR = (16, 16, 40), (255, 224, 64)
OFF, ARMED, LIT = (48, 48, 80), (96, 32, 176), (255, 255, 255)


class State(NamedTuple):
    """x, y: the ball's top left corner in pixels.    dx, dy: its motion a step.    armed: 0 left, 1 right.

    lit: whether the armed lamp is lit. Whatever chance decides is shown by the very step that decides it.
    """

    x: int
    y: int
    dx: int
    dy: int
    armed: int
    lit: bool


class Flash(Enumerable[State]):
    """Actions: 0 arms the left lamp, 1 the right one. Never terminates.

    Reward 1 when the left lamp lights up, -1 when the right one does. The ball bounces off the sides of its box;
    an episode begins with it flying to the right and down from a random place.
    """

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        self.action_space = spaces.Discrete(2)
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> State:
        """The ball at a random place, the left lamp armed."""
        x, y = (SPEED * int(rng.integers(most // SPEED + 1)) for most in (RIGHT, BOTTOM))
        return State(x, y, SPEED, SPEED, 0, False)

    def branches(self, state: State, action: int) -> list[Branch[State]]:
        """The lamp stays dark, or lights up."""
        x, dx = _bounce(state.x + state.dx, state.dx, RIGHT)
        y, dy = _bounce(state.y + state.dy, state.dy, BOTTOM)
        dark = State(x, y, dx, dy, action, False)
        return [Branch(1 - FLASH, dark), Branch(FLASH, dark._replace(lit=True), 1.0 - 2 * action)]

    def draw(self, state: State) -> Frames:
        """The ball above the two lamps, uint8 [32, 32, 3]."""
        frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        frame[LAMP_ROWS, LAMPS[1 - state.armed]] = OFF
        frame[LAMP_ROWS, LAMPS[state.armed]] = LIT if state.lit else ARMED
        frame[state.y : state.y + BALL, state.x : state.x + BALL] = BALL_COLOUR
        return frame


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """The registered env, truncated after 100 steps. size: side of the square frame in pixels, default 32."""
    return create(env_id, size=size, render_mode="rgb_array")


def _bounce(place: int, motion: int, most: int) -> tuple[int, int]:
    """(place, motion) reflected into 0..most."""
    if 0 <= place <= most:
        return place, motion
    return (-place if place < 0 else 2 * most - place), -motion
