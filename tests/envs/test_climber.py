"""Laws of Climber: the action sets the odds."""

from __future__ import annotations

import numpy as np
import pytest

from worldgan.envs import climber
from worldgan.envs.climber import Climber, State


@pytest.mark.parametrize("action", [0, 1, 2])
@pytest.mark.parametrize("state", [State(0, 0), State(28, 28), State(12, 16)])
def test_it_climbs_with_the_odds_of_the_action(state, action):
    up, down = Climber().branches(state, action)
    assert up.probability == climber.CLIMBS[action]
    assert up.state == ((state.x + 4) % 32, (state.y - 4) % 32)
    assert down.state == ((state.x + 4) % 32, (state.y + 4) % 32)
    assert (up.reward, down.reward) == (1.0, -1.0)


@pytest.mark.parametrize("action", [0, 1, 2])
def test_rewards_are_earned_as_often(action):
    env = Climber()
    env.reset(seed=action)
    climbs = np.mean([env.step(action)[1] == 1.0 for _ in range(2000)])
    assert climbs == pytest.approx(climber.CLIMBS[action], abs=0.04)


def test_one_frame_tells_the_place():
    frames = {Climber().draw(State(x, y)).tobytes() for x in range(0, 32, 4) for y in range(0, 32, 4)}
    assert len(frames) == 64
