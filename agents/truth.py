"""The truth as a world model: the real odds of a built-in env, for planners that ask what could happen."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, final

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.agents.mcts import TreeSearch
from worldgan.envs import Enumerable, enumerable, env_spec
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec, Outcomes, Prediction

Games = tuple[Enumerable[Any], ...]
"""A state: one env a row, never stepped but copied, which is cheap since their own states are immutable."""


@final
class Truth:
    """A ``WorldModel[Games]`` that makes no errors. Frames do not tell it where it is: a state comes from ``of``."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Raises WorldganError for an env whose odds are not known."""
        self._known(env)
        self.spec: EnvSpec = env_spec(env, env.spec.id if env.spec else str(env), {})
        self.context = 1

    def of(self, envs: Sequence[gymnasium.Env[Any, Any]]) -> Games:
        """The state that these envs are in now."""
        return tuple(copy.copy(self._known(env)) for env in envs)

    def start(self, frames: Tensor, actions: Tensor) -> Games:
        """Not possible."""
        raise WorldganError("expected a state of real envs, got frames: use Truth.of")

    def step(self, state: Games, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Games]:
        """See ``WorldModel``. What is over stays as it is and earns nothing."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        after, rewards, ends = [], [], []
        for game, raw in zip(state, self.spec.actions.decode(action.numpy()), strict=True):
            game, reward, end = _stepped(game, raw, rng)
            after.append(game)
            rewards.append(reward)
            ends.append(float(end))
        moved = tuple(after)
        return Prediction(self.frame(moved), torch.tensor(rewards), torch.tensor(ends)), moved

    def outcomes(self, state: Games, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """See ``WorldModel``: the most probable, with probabilities scaled to sum to 1."""
        raw = self.spec.actions.decode(action.numpy())
        listed = [game.outcomes(each)[:count] for game, each in zip(state, raw, strict=True)]
        most = max(map(len, listed))
        height, width, channels = self.spec.frame
        frames = torch.zeros(len(state), most, channels, height, width)
        odds, rewards, ends = torch.zeros(3, len(state), most)
        for row, found in enumerate(listed):
            frames[row, : len(found)] = pixels.to_float(pixels.to_tensor(np.stack([each.frame for each in found])))
            odds[row, : len(found)] = torch.tensor([each.probability for each in found])
            rewards[row, : len(found)] = torch.tensor([each.reward for each in found])
            ends[row, : len(found)] = torch.tensor([float(each.terminated) for each in found])
        return Outcomes(frames, odds / odds.sum(1, keepdim=True), rewards, ends, stated=True)

    def push(self, state: Games, action: Tensor, frame: Tensor) -> Games:
        """See ``WorldModel``. Raises WorldganError for frames that cannot follow."""
        raw, frames = self.spec.actions.decode(action.numpy()), pixels.to_array(pixels.to_uint8(frame))
        return tuple(game.led_to(each, shown) for game, each, shown in zip(state, raw, frames, strict=True))

    def index(self, state: Games, rows: Tensor) -> Games:
        """See ``WorldModel``."""
        return tuple(state[row] for row in rows.tolist())

    def join(self, states: Sequence[Games]) -> Games:
        """See ``WorldModel``."""
        return tuple(game for state in states for game in state)

    def frame(self, state: Games) -> Tensor:
        """See ``WorldModel``."""
        return pixels.to_float(pixels.to_tensor(np.stack([game.render() for game in state])))

    def _known(self, env: gymnasium.Env[Any, Any]) -> Enumerable[Any]:
        found = enumerable(env)
        if found is None:
            raise WorldganError(f"expected a built-in env, whose odds are known, got {env}")
        return found


@final
class OracleTree:
    """An ``Agent`` for exactly the given built-in envs, row i playing env i: a tree search that knows the odds."""

    def __init__(self, envs: Sequence[gymnasium.Env[Any, Any]], truth: Truth, search: TreeSearch) -> None:
        """search: in ``truth``."""
        self._envs, self._truth, self._search = envs, truth, search

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Nothing is remembered."""

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Raw actions [B]; the observations [B, H, W, C] are not looked at."""
        del observation
        trees = self._search.search(self._truth.of(self._envs), len(self._envs))
        return np.array([tree.best() for tree in trees])


def _stepped(game: Enumerable[Any], action: Any, rng: np.random.Generator) -> tuple[Enumerable[Any], float, bool]:
    if game.over:
        return game, 0.0, True
    after = copy.copy(game)
    after.np_random = rng
    _, reward, terminated, _, _ = after.step(action)
    return after, float(reward), terminated
