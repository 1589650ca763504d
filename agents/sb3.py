"""Stable-Baselines3 (Raffin et al. 2021, JMLR 22-268) in the simulator and in real envs; needs the ``sb3`` extra.

``PPO("CnnPolicy", simulated("runs/breakout-gan", 16), policy_kwargs=SMALL)`` learns in the simulator, with
``real("ALE/Breakout-v5", 8)`` in the real env; ``Trained`` then plays as any other agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from worldgan.envs import make
from worldgan.errors import extra
from worldgan.simulator import SimulatedVectorEnv

with extra("sb3"):
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecTransposeImage

Indices = None | int | Iterable[int]

SMALLEST = 12
"""Pixels of a side up to which frames are not shrunk: MinAtar's have 10."""


@final
class SimulatedVecEnv(VecEnv):
    """A ``SimulatedVectorEnv`` as SB3 expects envs: those that are done begin anew within the same step.

    Infos of a step that was the last hold ``terminal_observation`` and ``TimeLimit.truncated``: what a state is worth
    is to be learnt through the imagination horizon, and not through an end.
    """

    def __init__(self, envs: SimulatedVectorEnv) -> None:
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray[np.uint8]:
        """Start all envs, with the seeds of ``seed`` if it was called -> uint8 [N, H, W, C]."""
        observations, _ = self.envs.reset(seed=self._seeds)
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take note of the actions [N, ...]."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step -> observations uint8 [N, H, W, C], rewards float32 [N], dones bool [N], infos."""
        observations, rewards, terminated, truncated, _ = self.envs.step(self._actions)
        dones, infos = terminated | truncated, [dict[str, Any]() for _ in range(self.num_envs)]
        for row in np.flatnonzero(dones).tolist():
            infos[row]["terminal_observation"] = observations[row].copy()
            infos[row]["TimeLimit.truncated"] = bool(truncated[row])
        if dones.any():
            observations, _ = self.envs.reset(options={"reset_mask": dones})
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """The attribute of the simulator, once for each row."""
        return [getattr(self.envs, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set it for all rows, which are one simulator."""
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any) -> Any:
        """Rows are no envs of their own."""
        raise NotImplementedError(f"a row of the simulator has no method {method_name}")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Indices = None) -> list[bool]:
        """They are not."""
        return [False] * len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """RGB of each row, if ``render_mode`` is "rgb_array"."""
        return self.envs.render() or [None] * self.num_envs


def simulated(model: Any, num_envs: int, **options: Any) -> VecEnv:
    """The simulator of a model; model, options: of ``SimulatedVectorEnv``. See ``pictures``."""
    return pictures(SimulatedVecEnv(SimulatedVectorEnv(model, num_envs, **options)))


def real(id: str, num_envs: int = 1, options: Mapping[str, Any] | None = None) -> VecEnv:
    """The real env as worldgan sees it; options: of ``worldgan.envs.make``. See ``pictures``."""
    return pictures(DummyVecEnv([partial(make, id, **(options or {}))] * num_envs))


def pictures(envs: VecEnv) -> VecEnv:
    """Observed channels first and episodes' returns noted.

    SB3 would turn frames round by itself, but guesses which axis holds the channels, wrongly where a side of a
    MinAtar frame has no more pixels than the frame has channels.
    """
    return VecMonitor(_ChannelsFirst(envs))


class _ChannelsFirst(VecTransposeImage):
    """The same without the guess."""

    @staticmethod
    def transpose_space(observation_space: spaces.Box, key: str = "") -> spaces.Box:
        height, width, channels = observation_space.shape
        return spaces.Box(0, 255, (channels, height, width), np.uint8)


@final
class SmallFrames(BaseFeaturesExtractor):
    """Features of frames from 10x10 up, float [B, C, H, W] in 0..1 -> [B, F]; SB3's own network needs 36x36.

    Halved until SMALLEST, then the convolution of Young and Tian 2019 (MinAtar, arXiv 1903.03176): 3x3, 16 channels.
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 128, width: int = 16) -> None:
        super().__init__(observation_space, features_dim)
        channels, *sides = observation_space.shape
        layers: list[nn.Module] = []
        while max(sides) > SMALLEST:
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.ReLU()]
            channels, sides = width, [side // 2 for side in sides]
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Flatten()]
        flat = width * (sides[0] - 2) * (sides[1] - 2)
        self.layers = nn.Sequential(*layers, nn.Linear(flat, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """See above."""
        features: Tensor = self.layers(observations)
        return features


SMALL: dict[str, Any] = {"features_extractor_class": SmallFrames}
"""The ``policy_kwargs`` of a "CnnPolicy" that takes frames of any size."""


@final
class Trained:
    """What SB3 has trained, as an ``Agent``."""

    def __init__(self, algorithm: BaseAlgorithm, *, seed: int = 0, deterministic: bool = False) -> None:
        """seed: of actions that are drawn, unless ``deterministic``."""
        self._algorithm, self._deterministic = algorithm, deterministic
        torch.manual_seed(seed)  # SB3 draws from the global generator

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Nothing is remembered."""

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """See ``Agent``."""
        actions, _ = self._algorithm.predict(np.moveaxis(observation, -1, 1), deterministic=self._deterministic)
        return actions


@final
class Returns(BaseCallback):
    """Notes each finished episode.    found: (real steps taken until then in all envs, its return)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        ended = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.found += [(self.num_timesteps, float(value)) for value in ended]
        return True
