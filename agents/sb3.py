"""Stable-Baselines3 (Raffin et al. 2021, JMLR 22-268) in the simulator and in real envs; needs the ``sb3`` extra.

``PPO("CnnPolicy", simulated("runs/breakout-gan", 16), policy_kwargs=SMALL)`` learns in the simulator, with
``real("ALE/Breakout-v5", 8)`` in the real env; ``Trained`` then plays as any other agent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, final

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from worldgan.actions import action_spec
from worldgan.agents.memory import Memory
from worldgan.data.collect import MakeEnv
from worldgan.envs import make
from worldgan.envs.frames import frame_space
from worldgan.errors import extra
from worldgan.pixels import Frames
from worldgan.simulator import SimulatedVectorEnv
from worldgan.types import EnvSpec

with extra("sb3"):
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.utils import set_random_seed
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


def real(env: str | MakeEnv, num_envs: int = 1, options: Mapping[str, Any] | None = None, *, frames: int = 1) -> VecEnv:
    """The real env as worldgan sees it. See ``pictures``.

    env: its id, with the ``options`` of ``worldgan.envs.make``; or what makes it.
    frames: F, how many of the last are seen; see ``LastFrames``.
    """
    made: MakeEnv = partial(make, env, **(options or {})) if isinstance(env, str) else env
    return pictures(DummyVecEnv([lambda: LastFrames(made(), frames)] * num_envs))


@final
class LastFrames(gym.Wrapper[Frames, Any, Any, Any]):
    """Shows the last F frames as one, uint8 [H, W, F * C], the newest last.

    An episode begins with its first repeated, as in ``Memory``: so models, actors and model-free agents see as much.
    """

    def __init__(self, env: gym.Env[Any, Any], count: int) -> None:
        """count: F."""
        super().__init__(env)
        shape = env.observation_space.shape
        assert shape is not None, "frames have a shape"
        self.observation_space = frame_space((*shape[:2], count * shape[2]))
        self._count, self._seen = count, deque[Frames](maxlen=count)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """As in gymnasium."""
        frame, info = self.env.reset(seed=seed, options=options)
        self._seen.extend([frame.copy()] * self._count)
        return np.concatenate(self._seen, axis=-1), info

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        self._seen.append(frame.copy())
        return np.concatenate(self._seen, axis=-1), float(reward), terminated, truncated, info


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


SMALL: dict[str, Any] = {"features_extractor_class": SmallFrames, "net_arch": list[int]()}
"""The ``policy_kwargs`` of a "CnnPolicy" that takes frames of any size: ``SmallFrames``, and no layers after it.

SB3 would put two of 64 units behind any features but its own.
"""


@final
class Trained:
    """What SB3 has trained, as an ``Agent``."""

    def __init__(
        self, algorithm: BaseAlgorithm, *, seed: int = 0, deterministic: bool = False, frames: int = 1
    ) -> None:
        """seed: of actions that are drawn, unless ``deterministic``.    frames: F, as in ``real``."""
        self._algorithm, self._deterministic = algorithm, deterministic
        shape = algorithm.observation_space.shape
        assert shape is not None, "frames have a shape"
        frame = (shape[1], shape[2], shape[0] // frames)
        self._memory = Memory(EnvSpec("trained", frame, action_spec(algorithm.action_space)), frames)
        set_random_seed(seed)  # SB3 draws from the global generators of torch and, for DQN's coins, of numpy,
        algorithm.action_space.seed(seed)  # and DQN's random actions from the space

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """See ``Agent``."""
        self._memory.reset(rows)

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """See ``Agent``."""
        seen, _, _ = self._memory.see(observation)
        actions, _ = self._algorithm.predict(seen.flatten(1, 2).numpy(), deterministic=self._deterministic)
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
