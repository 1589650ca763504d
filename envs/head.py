"""Head: a head seen from the side, turning by chance; ears, nose and eyes come and go. 32x32 colour frames."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.pixels import Frames

SIDE, MIDDLE = 32, 15.5  # pixels: frame, its middle
ANGLES = 16  # of 22.5 degrees
TURNS = ((1, 0.4), (2, 0.2), (0, 0.2), (-1, 0.2))  # angles a step with their probabilities; action 1 reverses them
BACKGROUND = (16, 16, 40)


class Part(NamedTuple):
    """An upright ellipse, seen from everywhere alike, fixed to the head.

    bearing: in angles from the nose.    distance: of its middle from the head's axis.    row: of its middle.
    width, height: half of each. All in pixels.
    """

    bearing: int
    distance: float
    row: float
    width: float
    height: float
    colour: tuple[int, int, int]


SKULL = Part(0, 0.0, 15.5, 9.0, 11.0, (224, 160, 112))
NOSE = Part(0, 10.5, 17.0, 2.5, 2.5, (255, 64, 64))
EYES = tuple(Part(bearing, 8.0, 12.0, 1.6, 1.6, (255, 255, 255)) for bearing in (-1, 1))
EARS = tuple(Part(bearing, 9.5, 15.0, 2.5, 4.0, (64, 200, 255)) for bearing in (-4, 4))
PARTS = (SKULL, NOSE, *EYES, *EARS)


class Head(Enumerable[int]):
    """Actions: 0 lets it turn to its left, 1 to its right, each with the odds of ``TURNS``. Never terminates.

    A state is the angle, 0 to 15: 0 faces the viewer, 4 the right edge, 8 away. Reward 1 when it faces the viewer.
    """

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        self.action_space = spaces.Discrete(2)
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> int:
        """Any angle."""
        return int(rng.integers(ANGLES))

    def branches(self, state: int, action: int) -> list[Branch[int]]:
        """One branch for each turn."""
        way = 1 - 2 * action
        angles = [((state + way * turn) % ANGLES, probability) for turn, probability in TURNS]
        return [Branch(probability, angle, float(angle == 0)) for angle, probability in angles]

    def draw(self, state: int) -> Frames:
        """The head at an angle, uint8 [32, 32, 3], without shading and with hard edges."""
        return _look(state).copy()


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """The registered env, truncated after 100 steps. size: side of the square frame in pixels, default 32."""
    return create(env_id, size=size, render_mode="rgb_array")


@cache
def _look(angle: int) -> Frames:
    """Parallel projection; the parts from the farthest to the nearest."""
    frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    for part in sorted(PARTS, key=lambda part: _place(part, angle)[1]):
        across, _ = _place(part, angle)
        inside = ((x - MIDDLE - across) / part.width) ** 2 + ((y - part.row) / part.height) ** 2 <= 1
        frame[inside] = part.colour
    return frame


def _place(part: Part, angle: int) -> tuple[float, float]:
    """(pixels to the right of the axis, pixels towards the viewer); rounded, as equal depths must be equal."""
    turn = 2 * pi * (angle + part.bearing) / ANGLES
    return round(part.distance * sin(turn), 6), round(part.distance * cos(turn), 6)
