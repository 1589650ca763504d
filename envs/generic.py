"""Any gymnasium env with image observations or an ``rgb_array`` render."""

from __future__ import annotations

import inspect
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator

from worldgan.envs.frames import Looking, PixelEnv
from worldgan.envs.suggest import unknown_id
from worldgan.errors import WorldganError, unknown
from worldgan.pixels import Frames, check_size


def make(env_id: str, *, size: int | None = None, **options: Any) -> PixelEnv:
    """An env that shows its image observations or, without any, what it renders.

    size: side of the square frame in pixels; None keeps 64 pixels or less and shrinks more to 64x64.
    options: keyword arguments of the env's own constructor.
    Raises WorldganError for an unknown id or option, or if there is nothing to look at.
    """
    check_size(size)
    env = create(env_id, **_constructor_options(env_id, options))
    if is_image(env.observation_space):
        return Looking(env, as_frame, size, "its image observation")
    if env.render_mode == "rgb_array":
        return Looking(env, rendered, size, "what it renders, in place of its observation")
    env.close()
    raise WorldganError(
        f"expected {env_id!r} to have image observations or an rgb_array render, "
        f"got {env.observation_space} and render modes {list(env.metadata.get('render_modes') or ())}"
    )


def create(env_id: str, **options: Any) -> gym.Env[Any, Any]:
    """``gymnasium.make`` without its checker. Raises WorldganError for an unknown id or missing package."""
    require_known(env_id)
    try:
        return gym.make(env_id, disable_env_checker=True, **options)
    except (gym.error.Error, ImportError) as error:
        raise WorldganError(f"cannot make {env_id!r}: {' '.join(str(error).split())}") from None


def require_known(env_id: str) -> None:
    """Raises WorldganError, naming the nearest id, for one that nothing registered."""
    if env_id not in gym.registry:
        raise unknown_id(env_id)


def is_image(space: spaces.Space[Any]) -> bool:
    """Whether observations are [H, W], [H, W, C] or [C, H, W], at least 8x8, from 0 to one finite bound.

    The 8 keeps out symbolic grids such as MiniGrid's 7x7x3 codes, which are not pictures.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) not in {2, 3}:
        return False
    low, high = np.unique(space.low), np.unique(space.high)
    bounded = low.tolist() == [0] and len(high) == 1 and 0 < high[0] < np.inf
    return bool(bounded) and min(sorted(space.shape)[-2:]) >= 8


def as_frame(env: gym.Env[Any, Any], observation: Any) -> Frames:
    """An image observation -> uint8 [H, W, C], its upper bound becoming 255."""
    image = np.asarray(observation)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[0] < min(image.shape[1:]):
        image = np.moveaxis(image, 0, -1)
    high = float(cast(spaces.Box, env.observation_space).high.flat[0])
    if image.dtype == np.uint8 and high == 255:
        return np.array(image, order="C")  # a copy: some envs write every observation to one buffer
    return np.clip(np.rint(image * (255 / high)), 0, 255).astype(np.uint8)


def rendered(env: gym.Env[Any, Any], observation: Any) -> Frames:
    """What the env renders, uint8 [H, W, 3]."""
    del observation
    return np.array(cast(Any, env.render()), np.uint8, order="C")


def _constructor_options(env_id: str, options: dict[str, Any]) -> dict[str, Any]:
    """``options`` checked against the env's constructor, and ``render_mode`` added where it takes one."""
    require_known(env_id)
    entry = gym.registry[env_id].entry_point
    try:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
    except (ImportError, AttributeError) as error:
        raise WorldganError(f"cannot load {env_id!r}: {' '.join(str(error).split())}") from None
    parameters = inspect.signature(cast(Any, creator)).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name in options:
            if name not in parameters:
                raise unknown(f"option of {env_id}", name, {"size", *parameters} - {"render_mode"})
    metadata = getattr(creator, "metadata", None)
    if isinstance(metadata, dict):
        renders = "rgb_array" in (metadata.get("render_modes") or ())
    else:  # a function has none, and that of a wrapper is known only once it is made
        renders = "render_mode" in parameters
    return {**options, "render_mode": "rgb_array"} if renders else options
