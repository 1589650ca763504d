"""Laws of Flash: all is certain but a rare light."""

from __future__ import annotations

import numpy as np
import pytest

from worldgan import envs
from worldgan.envs import flash


@pytest.fixture
def env():
    found = envs.enumerable(envs.make("worldgan/Flash-v0"))
    assert found is not None
    return found


def lit(frame):
    """(left, right) lamp."""
    return tuple(bool((frame[flash.LAMP_ROWS, columns] == flash.LIT).all()) for columns in flash.LAMPS)


def without_lamps(frame):
    dark = frame.copy()
    dark[flash.LAMP_ROWS] = flash.BACKGROUND
    return dark.tobytes()


def test_the_armed_lamp_lights_up_once_in_fifty_steps(env):
    env.reset(seed=0)
    for action in np.random.default_rng(0).integers(2, size=200).tolist():
        dark, light = env.outcomes(action)
        assert (dark.probability, light.probability) == pytest.approx((0.98, 0.02))
        assert (dark.reward, light.reward) == (0.0, 1.0 - 2 * action)
        assert lit(dark.frame) == (False, False)
        assert lit(light.frame) == (action == 0, action == 1)
        assert without_lamps(dark.frame) == without_lamps(light.frame)
        env.step(action)


def test_a_light_lasts_one_step(env):
    env.reset(seed=0)
    runs, length = [], 0
    for _ in range(5000):
        length = length + 1 if any(lit(env.step(0)[0])) else 0
        runs += [length] if length else []
    assert 60 < len(runs) < 140
    assert runs.count(1) > 0.9 * len(runs)


def test_the_ball_does_not_depend_on_the_action(env):
    def flight(action):
        env.reset(seed=4)
        return [without_lamps(env.step(action)[0]) for _ in range(90)]

    assert flight(0) == flight(1)
    assert len(set(flight(0))) > 40


def test_the_ball_stays_above_the_lamps(env):
    env.reset(seed=1)
    for _ in range(200):
        frame = env.step(1)[0]
        rows, columns = np.nonzero((frame == flash.BALL_COLOUR).all(-1))
        assert len(rows) == flash.BALL**2
        assert rows.max() < flash.LAMP_ROWS.start
        assert columns.max() < flash.SIDE
