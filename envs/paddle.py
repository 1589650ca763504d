"""Paddle: keep a ball in the air whose flight is never quite certain. 32x32 colour frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from worldgan.envs.enumerable import Branch, Enumerable
from worldgan.envs.frames import PixelEnv
from worldgan.envs.generic import create
from worldgan.pixels import Frames

SIDE, BALL, PADDLE = 32, 3, 7  # pixels: frame, ball, paddle width
SPEED = 2  # pixels a step: the ball's fall and the paddle
FLOOR = 26  # row of the ball's top at which it meets the paddle
SWERVE = 0.2  # probability, at each step of the flight, that the ball's sideways motion is thrown anew
THROWS = (-2, -1, 1, 2)  # pixels a step sideways, equally likely after the serve, each hit and each swerve
BACKGROUND, BALL_COLOUR, PADDLE_COLOUR = (16, 16, 40), (255, 224, 64), (64, 224, 255)


class State(NamedTuple):
    """In pixels. x, y: the ball's top left corner.    dx, dy: its motion a step.    paddle: its left end.

    Whatever chance decides is shown by the very step that decides it, so a few frames tell the whole state.
    """

    x: int
    y: int
    dx: int
    dy: int
    paddle: int


class Paddle(Enumerable[State]):
    """Actions: 0 left, 1 stay, 2 right. Reward 1 for a hit, -1 for a miss, which terminates.

    The serve hangs at the ceiling for one frame. It, each hit and, now and then, the wind throw the ball sideways
    at random; the ball bounces off the side walls and the ceiling. It is never faster than the paddle.
    """

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        self.action_space = spaces.Discrete(3)
        super().__init__(size, render_mode)

    def start(self, rng: np.random.Generator) -> State:
        """A serve from a random place, the paddle in the middle."""
        return State(int(rng.integers(SIDE - BALL + 1)), 0, 0, SPEED, (SIDE - PADDLE) // 2 + 1)

    def branches(self, state: State, action: int) -> list[Branch[State]]:
        """One branch for each way the ball may leave its place."""
        paddle = min(max(state.paddle + SPEED * (action - 1), 1), SIDE - PADDLE)
        dy = SPEED if state.y == 0 else -SPEED if state.y == FLOOR else state.dy
        return [_fly(state, dx, dy, paddle, probability) for dx, probability in _throws(state)]

    def draw(self, state: State) -> Frames:
        """Ball and paddle on a dark ground, uint8 [32, 32, 3]."""
        frame = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        frame[FLOOR + BALL : FLOOR + BALL + 2, state.paddle : state.paddle + PADDLE] = PADDLE_COLOUR
        frame[state.y : state.y + BALL, state.x : state.x + BALL] = BALL_COLOUR
        return frame


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """The registered env, truncated after 200 steps. size: side of the square frame in pixels, default 32."""
    return create(env_id, size=size, render_mode="rgb_array")


def _throws(state: State) -> list[tuple[int, float]]:
    """(sideways motion, probability) of the next step."""
    anew = 1.0 if state.dx == 0 or state.y == FLOOR else SWERVE
    return [(dx, anew / len(THROWS) + (1 - anew) * (dx == state.dx)) for dx in THROWS]


def _fly(state: State, dx: int, dy: int, paddle: int, probability: float) -> Branch[State]:
    x, y, wall = state.x + dx, state.y + dy, SIDE - BALL
    if not 0 <= x <= wall:
        x, dx = (-x if x < 0 else 2 * wall - x), -dx
    after = State(x, y, dx, dy, paddle)
    if y != FLOOR:
        return Branch(probability, after)
    hit = x + BALL > paddle and x < paddle + PADDLE
    return Branch(probability, after, 1.0 if hit else -1.0, not hit)
