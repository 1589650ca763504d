"""MinAtar: 10x10 games whose channels say which objects are where."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldgan.envs.frames import About, PixelEnv, frame_space, resized
from worldgan.errors import WorldganError, extra, unknown
from worldgan.pixels import Frames, check_size, fit, to_rgb

GAMES = {
    "Asterix": "asterix",
    "Breakout": "breakout",
    "Freeway": "freeway",
    "Seaquest": "seaquest",
    "SpaceInvaders": "space_invaders",
}
BUTTONS = ("noop", "left", "up", "right", "down", "fire")  # in the order of MinAtar's own numbers
IDS = [f"MinAtar/{name}-{version}" for name in GAMES for version in ("v0", "v1")]


def make(env_id: str, *, size: int | None = None, sticky: float = 0.1, ramping: bool = True) -> PixelEnv:
    """A MinAtar game, uint8 [10, 10, C] of 0 and 255; v1 has the game's own actions, v0 all six.

    size: side of the square frame in pixels.    sticky: probability of repeating the last action.
    ramping: whether the game gets harder with time.
    Raises WorldganError for an unknown id or option or without the ``minatar`` extra.
    """
    check_size(size)
    if env_id not in IDS:
        raise unknown("environment", env_id, IDS)
    if not 0 <= sticky <= 1:
        raise WorldganError(f"expected sticky to be a probability, got {sticky}")
    name, version = env_id.removeprefix("MinAtar/").split("-")
    return MinAtar(GAMES[name], size=size, sticky=sticky, ramping=ramping, all_actions=version == "v0")


class MinAtar(gym.Env[Frames, Any]):
    """One game. MinAtar never truncates; its termination is passed on."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, game: str, *, size: int | None, sticky: float, ramping: bool, all_actions: bool) -> None:
        with extra("minatar"):
            from minatar import Environment
        self.render_mode = "rgb_array"
        self._game = Environment(game, sticky_action_prob=sticky, difficulty_ramping=ramping)
        self._actions = list(range(self._game.num_actions())) if all_actions else self._game.minimal_action_set()
        self._size, self._seeded = size, False
        before = tuple(self._game.state_shape())
        shape = fit(np.zeros(before, np.uint8), size).shape
        self.observation_space = frame_space(shape)
        self.action_space = spaces.Discrete(len(self._actions))
        self.about = About(
            f"bool {list(before)}",
            f"False and True become 0 and 255, {resized(before, shape)}",
            f"each step repeats the last action with probability {sticky:g} (sticky), "
            f"{'the game gets harder with time' if ramping else 'the game does not get harder'} (ramping)",
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """As in gymnasium; without a seed the game goes on drawing from the last one."""
        super().reset(seed=seed, options=options)
        if seed is not None or not self._seeded:
            self._game.seed(int(self.np_random.integers(2**31)))
            self._seeded = True
        self._game.last_action = 0  # MinAtar keeps it across episodes, which the same seed would not undo
        self._game.reset()
        return self._frame(), {}

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium."""
        reward, terminated = self._game.act(self._actions[int(action)])
        return self._frame(), float(reward), bool(terminated), False, {}

    def render(self) -> Any:
        """The frame in colours, uint8 [H, W, 3]."""
        return to_rgb(self._frame())

    def get_action_meanings(self) -> list[str]:
        """What each action presses."""
        return [BUTTONS[action] for action in self._actions]

    def _frame(self) -> Frames:
        return fit(np.asarray(self._game.state(), np.bool_).astype(np.uint8) * np.uint8(255), self._size)
