"""The real env beside the simulator: the same actions, its own luck."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, final

from worldgan import envs
from worldgan.agents import check_match
from worldgan.envs import enumerable
from worldgan.errors import WorldganError
from worldgan.pixels import Frames
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class View:
    """What the real env shows. frame: uint8 [H, W, C].    total: return so far.

    over: the episode ended here, and the frame stays.    kept: the env as it was, None if it cannot be copied.
    """

    frame: Frames
    reward: float
    total: float
    over: bool
    kept: Any = None


@final
class RealEnv:
    """One env. A built-in one, whose states are immutable, can also go back to an earlier view."""

    def __init__(self, env: Any) -> None:
        self._env, self._rewinds = env, enumerable(env) is not None
        self._game: Any = enumerable(env) or env  # without the time limit, which is not the simulator's either

    @property
    def rewinds(self) -> bool:
        """Whether it can go back."""
        return self._rewinds

    def reset(self, seed: int) -> View:
        """A new episode."""
        return self._view(self._game.reset(seed=seed)[0], 0.0, 0.0, over=False)

    def step(self, view: View, action: Any) -> View:
        """One raw action on from the latest view; nothing moves once the episode is over."""
        if view.over:
            return View(view.frame, 0.0, view.total, True, view.kept)
        frame, reward, terminated, truncated, _ = self._game.step(action)
        return self._view(frame, float(reward), view.total + float(reward), over=bool(terminated or truncated))

    def back_to(self, view: View) -> None:
        """Be as at an earlier view. An env that cannot go back stays as it is."""
        if view.kept is not None:
            self._game = copy.copy(view.kept)

    def close(self) -> None:
        """Free the env."""
        self._env.close()

    def _view(self, frame: Frames, reward: float, total: float, *, over: bool) -> View:
        # A shallow copy is independent because states are immutable; luck is shared, so going back is not a replay.
        return View(frame.copy(), reward, total, over, copy.copy(self._game) if self._rewinds else None)


def open_env(spec: EnvSpec) -> Any:
    """The env that a model was trained on. Raises WorldganError if it is missing here, or another by now."""
    env = envs.make(spec.id, **spec.options)
    try:
        check_match(spec, envs.env_spec(env, spec.id, spec.options))
    except WorldganError:
        env.close()
        raise
    return env
