"""The ceiling is high, and does not foresee chance."""

import copy
import pickle

import numpy as np
import pytest
from agent_fakes import DotEnv

from worldgan import envs
from worldgan.agents import SEARCHES, Oracle, PlannerConfig
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import play

CONFIG = PlannerConfig(horizon=14, candidates=32, hold=10)


def oracle(made, name="shooting"):
    search = SEARCHES[name](envs.env_spec(made[0], "paddle", {}).actions, CONFIG)
    return Oracle(made, search, samples=2, discount=0.99, seed=0)


@pytest.mark.parametrize("name", ["shooting", "icem"])
def test_it_catches_most_balls_that_the_wind_throws_about(name):
    made = [envs.make("worldgan/Paddle-v0") for _ in range(4)]
    played = play(iter(made).__next__, oracle(made, name), episodes=4, num_envs=4, seed=0, max_steps=20)
    caught = [episode.total for episode in played].count(1.0)
    assert caught >= 3  # random play catches one in four


def test_planning_leaves_the_env_as_it_was():
    env = envs.make("worldgan/Paddle-v0")
    frame, _ = env.reset(seed=3)
    before = pickle.dumps(env.unwrapped)
    twin = copy.deepcopy(env)
    agent = oracle([env])
    agent.reset(np.ones(1, np.bool_))
    agent.act(frame[None])
    assert pickle.dumps(env.unwrapped) == before
    assert np.array_equal(env.step(1)[0], twin.step(1)[0])


def test_an_env_of_unknown_odds_is_refused():
    with pytest.raises(WorldganError, match="built-in env"):
        oracle([DotEnv()])
