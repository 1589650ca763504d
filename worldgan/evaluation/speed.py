"""How fast a vector env is."""

from __future__ import annotations

import statistics
import time
from typing import Any

from gymnasium.vector import VectorEnv


def frames_per_second(env: VectorEnv[Any, Any, Any], *, seconds: float = 3.0, repeats: int = 3) -> float:
    """Steps of all envs together per second of wall-clock, resets included; the median of ``repeats`` measurements.

    seconds: that each takes at least. The first step, which compiles kernels, is not counted.
    """
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = env.action_space.sample()
    env.step(actions)
    return statistics.median(_rate(env, actions, seconds) for _ in range(repeats))


def _rate(env: VectorEnv[Any, Any, Any], actions: Any, seconds: float) -> float:
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or not steps:
        env.step(actions)
        steps += 1
    return env.num_envs * steps / (time.perf_counter() - began)
