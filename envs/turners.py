"""Turners: balls that turn at random on a torus, a pure test of a predicted distribution. 32x32 frames."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.errors import WorldganError
from worldgan.pixels import Frames

SIDE, BALL, STRIDE = 32, 5, 4  # pixels: frame, ball, motion a step
ZONE = slice(10, 22)  # rows and columns of the target, in pixels
HEADINGS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (x, y): right, down, left, up, clockwise on the screen
TURNS = ((-1, 0.3), (1, 0.2), (0, 0.5))  # left, right, straight, with their probabilities
ANY = tuple((heading, 0.25) for heading in range(4))  # a ball that has not moved yet
BACKGROUND, ZONE_COLOUR = (16, 16, 40), (24, 72, 40)
COLOURS = ((255, 224, 64), (64, 224, 255), (255, 80, 176))


class Ball(NamedTuple):
    """x, y: top left corner in pixels.    heading: index of HEADINGS, or None before the first step."""

    x: int
    y: int
    heading: int | None


State = tuple[Ball, ...]


class Turners(Enumerable[State]):
    """Action 1 first turns ball 0 (yellow) round; then each ball turns by chance and moves 4 pixels.

    Reward 1 while the middle of ball 0 is in the green zone. Never terminates. The first step of an episode
    takes any heading, so that frames alone tell the state; each later one has 3 outcomes per ball.
    count: number of balls, 1 to 3; of two that overlap the earlier is in front.
    """

    def __init__(self, count: int = 2, size: int | None = None, render_mode: str | None = None) -> None:
        if not 1 <= count <= len(COLOURS):
            raise WorldganError(f"expected a count of 1 to {len(COLOURS)} balls, got {count}")
        self._count = count
        self.action_space = spaces.Discrete(2)
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> State:
        """Balls at random places of a grid of 4 pixels, not moving yet."""
        places = rng.integers(SIDE // STRIDE, size=(self._count, 2)) * STRIDE
        return tuple(Ball(int(x), int(y), None) for x, y in places)

    def branches(self, state: State, action: int) -> list[Branch[State]]:
        """The product of each ball's three turns."""
        moves = [_moves(ball, turned=action == 1 and index == 0) for index, ball in enumerate(state)]
        return [_branch(*zip(*choice, strict=True)) for choice in product(*moves)]

    def draw(self, state: State) -> Frames:
        """Balls over the zone, uint8 [32, 32, 3]."""
        frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        frame[ZONE, ZONE] = ZONE_COLOUR
        for ball, colour in reversed(list(zip(state, COLOURS, strict=False))):
            rows, columns = ((place + np.arange(BALL)) % SIDE for place in (ball.y, ball.x))
            frame[rows[:, None], columns] = colour
        return frame


def make(env_id: str, *, size: int | None = None, count: int = 2) -> PixelEnv:
    """The registered env, truncated after 100 steps.

    size: side of the square frame in pixels, default 32.    count: number of balls, 1 to 3.
    """
    return create(env_id, size=size, count=count, render_mode="rgb_array")


def _moves(ball: Ball, *, turned: bool) -> list[tuple[Ball, float]]:
    """(where the ball may be next, probability)."""
    if ball.heading is None:
        return [(_move(ball, heading), probability) for heading, probability in ANY]
    ahead = ball.heading + 2 * turned
    return [(_move(ball, (ahead + turn) % 4), probability) for turn, probability in TURNS]


def _move(ball: Ball, heading: int) -> Ball:
    x, y = HEADINGS[heading]
    return Ball((ball.x + STRIDE * x) % SIDE, (ball.y + STRIDE * y) % SIDE, heading)


def _branch(state: State, probabilities: tuple[float, ...]) -> Branch[State]:
    middle = ((state[0].x + BALL // 2) % SIDE, (state[0].y + BALL // 2) % SIDE)
    inside = all(ZONE.start <= place < ZONE.stop for place in middle)
    return Branch(prod(probabilities), state, float(inside))
