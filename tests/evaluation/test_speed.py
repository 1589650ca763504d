"""Speed counts steps of all envs."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

import worldgan  # noqa: F401  # registers envs
from worldgan.evaluation.speed import frames_per_second


class Slow(VectorEnv[Any, Any, Any]):
    """Takes its time for every step."""

    num_envs, pause = 4, 0.01
    single_action_space = spaces.Discrete(3)
    action_space = batch_space(single_action_space, 4)
    steps = 0

    def reset(self, **options: Any) -> Any:
        return None, {}

    def step(self, actions: Any) -> Any:
        assert self.action_space.contains(np.asarray(actions))
        self.steps += 1
        time.sleep(self.pause)


def test_frames_are_those_of_all_envs() -> None:
    env = Slow()
    assert 0.3 * 400 < frames_per_second(env, seconds=0.05, repeats=1) < 401


def test_at_least_one_step_is_timed_after_the_first() -> None:
    env = Slow()
    assert frames_per_second(env, seconds=0, repeats=3) > 0
    assert env.steps == 4


def test_any_vector_env_will_do() -> None:
    env = gym.make_vec("worldgan/Turners-v0", num_envs=2)
    assert frames_per_second(env, seconds=0, repeats=1) > 0
    env.close()
