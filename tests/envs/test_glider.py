"""Laws of Glider: nothing is left to chance, and two frames tell all."""

from __future__ import annotations

import numpy as np
import pytest

from worldgan.envs import glider
from worldgan.envs.glider import WALL, Glider, State


def place(frame):
    """(x, y) of the ball."""
    rows, columns = np.nonzero((frame == glider.BALL_COLOUR).all(-1))
    assert len(rows) == glider.BALL**2
    return int(columns.min()), int(rows.min())


def motion(before, now):
    """Along one axis, from two places."""
    return {0: glider.REBOUND, WALL: -glider.REBOUND}.get(now, now - before)


def test_two_frames_tell_the_next():
    env, rng = Glider(), np.random.default_rng(0)
    walls = 0
    for seed in range(40):
        before = now = place(env.reset(seed=seed)[0])
        for action in rng.integers(5, size=100).tolist():
            told = State(*now, *map(motion, before, now))
            [branch] = env.branches(told, action)
            [outcome] = env.outcomes(action)
            frame, reward, *_ = env.step(action)
            assert (frame == env.draw(branch.state)).all()
            assert (frame == outcome.frame).all()
            assert reward == branch.reward == outcome.reward
            assert outcome.probability == 1.0
            before, now = now, place(frame)
            walls += 0 in now or WALL in now
    assert walls > 100


@pytest.mark.parametrize(
    ("state", "action", "after"),
    [
        (State(10, 10, 0, 0), 4, State(10, 10, 0, 0)),
        (State(10, 10, 0, 0), 0, State(9, 10, -1, 0)),
        (State(10, 10, 1, -2), 3, State(11, 9, 1, -1)),
        (State(10, 10, 3, 0), 1, State(13, 10, 3, 0)),  # no faster
        (State(1, 10, -3, 0), 2, State(0, 9, 2, -1)),  # thrown back
        (State(10, 26, 0, 1), 4, State(10, 27, 0, -2)),
    ],
)
def test_pushes_and_walls(state, action, after):
    [branch] = Glider().branches(state, action)
    assert branch.state == after


def test_the_zone_pays():
    env = Glider()
    inside, outside = State(8, 8, 0, 0), State(20, 8, 0, 0)
    assert [env.branches(state, 4)[0].reward for state in (inside, outside)] == [1.0, 0.0]
    edge = State(glider.ZONE.stop - glider.BALL // 2, 8, 0, 0)
    assert [env.branches(edge, action)[0].reward for action in (0, 4)] == [1.0, 0.0]
