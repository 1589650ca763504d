"""A learned model as a gymnasium environment: N simulated envs are one batch, and the single env is one row of it.

``gym.make("worldgan/Simulator-v0", model="runs/breakout-gan")`` or
``gym.make_vec("worldgan/Simulator-v0", num_envs=64, model="runs/breakout-gan")``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from worldgan.arrays import ArrayModel
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.pixels import Frames, to_rgb
from worldgan.runtime import is_exported
from worldgan.runtime.model import Exported, ExportedModel
from worldgan.seeding import derive, numpy_rng
from worldgan.types import WorldModel

if TYPE_CHECKING:
    from worldgan.runtime.choice import Runtime

HORIZON = 200
"""Imagined steps after which an episode is truncated, unless told otherwise."""


class SimulatedVectorEnv(VectorEnv[Frames, NDArray[Any], NDArray[Any]]):
    """N simulated envs that step in one forward pass.

    Observations are uint8 [N, H, W, C]. Rewards are the model's expected rewards. An env terminates with the
    model's probability and is truncated after ``horizon`` steps. Autoreset is NEXT_STEP: the step after a done
    ignores that env's action and returns its next start state with reward 0.
    """

    metadata = {
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        model: str | Path | WorldModel[Any] | ExportedModel,
        num_envs: int = 1,
        *,
        horizon: int = HORIZON,
        beginnings: bool = True,
        starts: tuple[ArrayLike, ArrayLike] | None = None,
        render_mode: str | None = None,
        device: Device = "cpu",
        runtime: Runtime = "auto",
    ) -> None:
        """model: folder of a run, an exported ``.onnx`` file, or a world model, which then needs ``starts``.

        device: what a run's model computes on.
        runtime: what computes it; see ``worldgan.runtime.choice``. The same seed plays the same on the same runtime.
        beginnings: start where episodes began; otherwise anywhere in them.
        starts: states to start from instead, uint8 [M, K, C, H, W] and encoded actions [M, K - 1, A].
        Raises WorldganError for a folder without a usable run, or a file that is no exported model.
        """
        if isinstance(model, str | Path):
            model, starts = _opened(Path(model), starts, beginnings, num_envs, device, runtime)
        if starts is None:
            raise WorldganError("expected states to start from beside a model that is not a run's folder, got none")
        if horizon < 1 or num_envs < 1:
            raise WorldganError(f"expected horizon and num_envs of at least 1, got {horizon} and {num_envs}")
        self.model: WorldModel[Any] | ExportedModel = model
        self.horizon = horizon
        self.starts = (np.asarray(starts[0], np.uint8), np.asarray(starts[1], np.float32))
        self._arrays = _arrays(model)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space = spaces.Box(0, 255, model.spec.frame, np.uint8)
        self.single_action_space = model.spec.actions.space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rng: np.random.Generator | None = None
        self._generator: Any = None
        self._done = np.zeros(num_envs, np.bool_)
        self.state: Any = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, dict[str, Any]]:
        """Start all envs. seed: one for the whole batch; of a list, all together make one.

        options: ``frames``, uint8 [N, K, H, W, C] or [K, H, W, C] for all, and ``actions``, raw [N, K - 1, ...] or
        [K - 1, ...], start from given states. Without ``actions``, none were taken.
        ``reset_mask``, bool [N], starts those envs alone, from new states; the others stay as they are.
        Raises WorldganError for states that do not fit the model, or a mask of another shape or before all are started.
        """
        seeds = list(seed) if isinstance(seed, Sequence) else [seed]
        if any(each is not None for each in seeds):
            self._seed(0, *map(str, seeds))
        elif self._rng is None:
            self._seed(secrets.randbits(63))
        if options is not None and "reset_mask" in options:
            if "frames" in options:
                raise WorldganError("expected frames or reset_mask, got both: masked envs start from drawn states")
            fresh = self._mask(options["reset_mask"])
            self._restart(fresh)
            self._done = self._done & ~fresh
            return self._observe(), {}
        given = options is not None and "frames" in options
        self.state = self._arrays.start(*(self._given(options or {}) if given else self._drawn(self.num_envs)))
        self._steps = np.zeros(self.num_envs, np.int64)
        self._done = np.zeros(self.num_envs, np.bool_)
        return self._observe(), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Frames, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step all envs by one. Raises WorldganError for actions outside the space, or before the first reset."""
        if self._rng is None:
            raise WorldganError("expected reset() before step()")
        encoded = self._encoded(np.asarray(actions))
        prediction, self.state = self._arrays.step(self.state, encoded, self._generator)
        ended = self._rng.random(self.num_envs) < prediction.terminated
        self._steps += 1
        fresh = self._done
        if fresh.any():
            self._restart(fresh)
        rewards = np.where(fresh, 0.0, prediction.reward).astype(np.float64, copy=False)
        terminated = ended & ~fresh
        truncated = (self._steps >= self.horizon) & ~terminated & ~fresh
        self._done = terminated | truncated
        return self._observe(), rewards, terminated, truncated, {}

    def render(self) -> tuple[Frames, ...] | None:
        """RGB [H, W, 3] of every env, if render_mode is "rgb_array"."""
        return tuple(to_rgb(self._frames)) if self.render_mode == "rgb_array" else None

    def _seed(self, seed: int, *path: str) -> None:
        """Begin all streams anew."""
        self._rng = numpy_rng(seed, "simulator", *path)
        self._generator = self._arrays.generator(derive(seed, "simulator", *path, "model"))

    def _encoded(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """Raw actions [N, ...] -> [N, A], zeros in the rows that are about to start afresh."""
        spec = self.model.spec.actions
        if actions.shape != (self.num_envs, *spec.shape):
            expected = [self.num_envs, *spec.shape]
            raise WorldganError(f"expected actions of {spec} and shape {expected}, got shape {list(actions.shape)}")
        encoded = np.zeros((self.num_envs, spec.size), np.float32)
        encoded[~self._done] = spec.encode(actions[~self._done])
        return encoded

    def _restart(self, fresh: NDArray[np.bool_]) -> None:
        """Replace the rows of ``fresh`` (bool [N]) by new start states."""
        count = int(fresh.sum())
        both = self._arrays.join([self.state, self._arrays.start(*self._drawn(count))])
        rows = np.arange(self.num_envs)
        rows[fresh] = self.num_envs + np.arange(count)
        self.state = self._arrays.index(both, rows)
        self._steps[fresh] = 0

    def _mask(self, given: NDArray[Any]) -> NDArray[np.bool_]:
        """The same. Raises WorldganError if it is none, or there is nothing yet that could stay as it is."""
        mask = np.asarray(given)
        if self.state is None or mask.dtype != np.bool_ or mask.shape != (self.num_envs,) or not mask.any():
            raise WorldganError(
                f"expected option reset_mask, after a first reset of all, to be bool [{self.num_envs}] with a True, "
                f"got {mask.dtype} {list(mask.shape)}"
            )
        return mask

    def _drawn(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Random start states."""
        assert self._rng is not None
        rows = self._rng.integers(len(self.starts[0]), size=count)
        return self.starts[0][rows], self.starts[1][rows]

    def _given(self, options: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The start states asked for. Raises WorldganError if they do not fit the model."""
        spec, context = self.model.spec, self.model.context
        frames = self._fitting("frames", np.asarray(options["frames"]), (context, *spec.frame))
        if frames.dtype != np.uint8:
            raise WorldganError(f"expected option frames of uint8, got {frames.dtype}")
        actions = np.zeros((self.num_envs, context - 1, spec.actions.size), np.float32)
        if "actions" in options:
            raw = self._fitting("actions", np.asarray(options["actions"]), (context - 1, *spec.actions.shape))
            actions = spec.actions.encode(raw)
        return np.array(np.moveaxis(frames, -1, -3), order="C"), actions

    def _fitting(self, name: str, given: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """``given``, of ``shape`` or [N, *shape] -> [N, *shape]."""
        if given.shape not in {shape, (self.num_envs, *shape)}:
            expected = f"{list(shape)}, or {self.num_envs} of them"
            raise WorldganError(f"expected option {name} of shape {expected}, got {list(given.shape)}")
        return np.broadcast_to(given, (self.num_envs, *shape))

    def _observe(self) -> Frames:
        frames = self._arrays.frame(self.state)
        self._frames = np.stack(tuple(frames.swapaxes(0, 1)), axis=-1)  # three times as fast as to copy transposed
        return self._frames.copy() if self.render_mode else self._frames


def _opened(
    path: Path,
    starts: tuple[ArrayLike, ArrayLike] | None,
    beginnings: bool,
    num_envs: int,
    device: Device,
    runtime: Runtime,
) -> tuple[WorldModel[Any] | ExportedModel, tuple[ArrayLike, ArrayLike]]:
    """Model and start states of a file of ``worldgan export``, which needs no torch, or of a run."""
    if is_exported(path):
        if runtime not in {"auto", "onnxruntime"}:
            raise WorldganError(f"expected the folder of a run for runtime {runtime}, got the exported file {path}")
        file = Exported(path)
        return file.model(device=device), starts or file.starts(beginnings=beginnings)
    from worldgan.runtime.choice import stepper
    from worldgan.training.checkpoint import Run

    run = Run(path)
    family = run.info().family  # first: its message says what is wrong with the folder
    frames, actions = starts or run.starts(beginnings=beginnings)
    start = np.asarray(frames, np.uint8), np.asarray(actions, np.float32)
    build = lambda precision: run.model(precision=precision, device=device)  # noqa: E731
    return stepper(build, family, runtime, num_envs, start, path / "runtimes.json"), start


def _arrays(model: WorldModel[Any] | ExportedModel) -> ArrayModel[Any]:
    if isinstance(model, ExportedModel):
        return model
    from worldgan.runtime.tensors import AsArrays

    return AsArrays(model)


class SimulatedEnv(gym.Env[Frames, Any]):
    """One simulated env: a row of ``SimulatedVectorEnv``, whose options it takes."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self, model: str | Path | WorldModel[Any] | ExportedModel, *, render_mode: str | None = None, **options: Any
    ) -> None:
        """See ``SimulatedVectorEnv``."""
        self.row = SimulatedVectorEnv(model, 1, render_mode=render_mode, **options)
        self.observation_space = self.row.single_observation_space
        self.action_space = self.row.single_action_space
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """See ``SimulatedVectorEnv.reset``."""
        super().reset(seed=seed)
        frames, info = self.row.reset(seed=seed, options=options)
        return frames[0], info

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """See ``SimulatedVectorEnv.step``; after a done, reset."""
        frames, rewards, terminated, truncated, info = self.row.step(np.asarray(action)[None])
        return frames[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Frames | None:
        """RGB [H, W, 3], if render_mode is "rgb_array"."""
        frames = self.row.render()
        return None if frames is None else frames[0]
