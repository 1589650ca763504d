"""Pixel envs of known odds, so that the true distribution of the next frame can be listed."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

import gymnasium as gym
import numpy as np

from worldgan.envs.frames import About, frame_space, resized
from worldgan.errors import WorldganError
from worldgan.pixels import Frames, check_size, fit

S = TypeVar("S")


class Outcome(NamedTuple):
    """One thing that can happen next. frame: uint8 [H, W, C]."""

    probability: float
    frame: Frames
    reward: float
    terminated: bool


class Branch(NamedTuple, Generic[S]):
    """An outcome as the game knows it: the state it leads to in place of a frame."""

    probability: float
    state: S
    reward: float = 0.0
    terminated: bool = False


class Enumerable(gym.Env[Frames, Any], Generic[S]):
    """A game given by three pure functions: ``start``, ``branches`` and ``draw``. A step samples one branch.

    States are immutable. ``copy.deepcopy`` of the env is an independent copy with the same future.
    size: side of the square frame in pixels, None for the game's own.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, size: int | None = None, render_mode: str | None = None) -> None:
        check_size(size)
        self.render_mode = render_mode
        self._size = size
        self._state: S | None = None
        native = self.draw(self.start(np.random.default_rng(0)))
        self._frame = fit(native, size)
        self.observation_space = frame_space(self._frame.shape)
        self.about = About(f"uint8 {list(native.shape)}", resized(native.shape, self._frame.shape))

    @abstractmethod
    def start(self, rng: np.random.Generator) -> S:
        """The state at the beginning of an episode."""

    @abstractmethod
    def branches(self, state: S, action: int) -> list[Branch[S]]:
        """All that can follow ``action``; the probabilities sum to 1."""

    @abstractmethod
    def draw(self, state: S) -> Frames:
        """The frame, uint8 [H, W, C], of a state."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """As in gymnasium."""
        super().reset(seed=seed, options=options)
        self._state = self.start(self.np_random)
        self._frame = fit(self.draw(self._state), self._size)
        return self._frame.copy(), {}

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium. Raises WorldganError before a reset, after the end, and for an unknown action."""
        branch = _pick(self._possible(action), self.np_random.random())
        self._frame = fit(self.draw(branch.state), self._size)
        self._state = None if branch.terminated else branch.state
        return self._frame.copy(), branch.reward, branch.terminated, False, {}

    def outcomes(self, action: Any) -> list[Outcome]:
        """All that ``step(action)`` could return now, each different, most probable first. Changes nothing.

        Raises WorldganError as ``step`` does.
        """
        merged: dict[tuple[bytes, float, bool], Outcome] = {}
        for branch in self._possible(action):
            frame = fit(self.draw(branch.state), self._size)
            key = (frame.tobytes(), branch.reward, branch.terminated)
            before = merged[key].probability if key in merged else 0.0
            merged[key] = Outcome(before + branch.probability, frame, branch.reward, branch.terminated)
        return sorted(merged.values(), key=lambda outcome: -outcome.probability)

    @property
    def over(self) -> bool:
        """Whether ``step`` needs a ``reset`` first."""
        return self._state is None

    def led_to(self, action: Any, frame: Frames) -> Enumerable[S]:
        """A copy of the env after ``action`` led to ``frame``, uint8 [H, W, C]: of branches that look so the first.

        Raises WorldganError as ``step`` does, and for a frame that cannot follow.
        """
        for branch in self._possible(action):
            shown = fit(self.draw(branch.state), self._size)
            if np.array_equal(shown, frame):
                after = copy.copy(self)
                after._frame, after._state = shown, None if branch.terminated else branch.state
                return after
        raise WorldganError(f"expected a frame that can follow action {action}, got another")

    def render(self) -> Any:
        """The latest frame, uint8 [H, W, C]."""
        return self._frame.copy()

    def _possible(self, action: Any) -> list[Branch[S]]:
        if self._state is None:
            raise WorldganError("expected reset() first: the episode has not begun or is over")
        if not self.action_space.contains(action):
            raise WorldganError(f"expected an action of {self.action_space}, got {action!r}")
        return self.branches(self._state, int(action))


def enumerable(env: gym.Env[Any, Any]) -> Enumerable[Any] | None:
    """The env inside ``env`` whose ``outcomes`` are known, or None. Time limits are outside it."""
    inner = env.unwrapped
    return inner if isinstance(inner, Enumerable) else None


def _pick(branches: list[Branch[S]], uniform: float) -> Branch[S]:
    """The branch that ``uniform`` in [0, 1) falls on."""
    for branch in branches:
        uniform -= branch.probability
        if uniform < 0:
            return branch
    return branches[-1]  # the probabilities summed to a hair less than 1
