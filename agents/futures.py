"""Futures of a real env: branches of its present state, with luck of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from worldgan.envs import enumerable
from worldgan.envs.atari import Atari
from worldgan.errors import WorldganError

Branch = Callable[[], gymnasium.Env[Any, Any]]


def futures(env: gymnasium.Env[Any, Any], rng: np.random.Generator) -> Branch:
    """How to branch an env: each call returns an env in the state that ``env`` is in then, time limits aside.

    What returned before may go on only until the next call. With the luck of ``env`` itself a future would foresee
    the very draws to come, so built-in envs draw from ``rng`` and a second emulator has its own seed.
    Raises WorldganError for an env that cannot be branched.
    """
    inner, known = env.unwrapped, enumerable(env)
    if known is not None:
        return lambda: _copied(known, rng)
    if isinstance(inner, Atari):
        twin = inner.twin(seed=int(rng.integers(2**31)))
        return lambda: _restored(twin, inner)
    raise WorldganError(f"expected a built-in env or an Atari game, whose state can be cloned, got {env}")


def real_return(branch: Branch, plan: NDArray[Any], *, samples: int, discount: float) -> float:
    """Mean discounted return of raw actions [H, ...] in ``samples`` futures; an end ends it."""
    return sum(_follow(branch(), plan, discount) for _ in range(samples)) / samples


def _follow(future: gymnasium.Env[Any, Any], plan: NDArray[Any], discount: float) -> float:
    total = 0.0
    for step, action in enumerate(plan):
        _, reward, terminated, truncated, _ = future.step(action)
        total += discount**step * float(reward)
        if terminated or truncated:
            break
    return total


def _copied(env: Any, rng: np.random.Generator) -> gymnasium.Env[Any, Any]:
    # A shallow copy is independent because states are immutable, and 100 times faster than a deep one.
    future: gymnasium.Env[Any, Any] = copy.copy(env)
    future.np_random = rng
    return future


def _restored(twin: Atari, env: Atari) -> Atari:
    twin.restore_state(env.clone_state())
    return twin
