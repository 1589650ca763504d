"""From an id to an env: which adapter, which options, and what was wrong if none fits."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, make_dataclass
from typing import Any, get_type_hints

import gymnasium as gym

from worldgan.actions import action_spec
from worldgan.config import from_mapping
from worldgan.envs import (
    atari,
    climber,
    control,
    crafter,
    flash,
    generic,
    glider,
    head,
    minatar,
    minigrid,
    paddle,
    turners,
)
from worldgan.envs.frames import PixelEnv
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec

Adapter = Callable[..., PixelEnv]

ADAPTERS: dict[str, Adapter] = {
    "worldgan/Paddle-": paddle.make,
    "worldgan/Turners-": turners.make,
    "worldgan/Flash-": flash.make,
    "worldgan/Head-": head.make,
    "worldgan/Climber-": climber.make,
    "worldgan/Glider-": glider.make,
    "ALE/": atari.make,
    "MinAtar/": minatar.make,
    "MiniGrid-": minigrid.make,
    "BabyAI-": minigrid.make,
    "Crafter": crafter.make,
    "CartPole-": control.make,
    "Acrobot-": control.make,
    "MountainCar": control.make,
    "Pendulum-": control.make,
}
"""How an id begins -> the function that makes it. Anything else is ``generic.make``."""


def make(id: str, **options: Any) -> PixelEnv:
    """An env whose observations are uint8 frames [H, W, C] and whose action space is its own.

    id: a gymnasium id, or ``module:Id`` to import the module that registers it first.
    options: keyword arguments of the adapter; all take ``size``, the side of the square frame in pixels
    (without it at most 64 pixels are kept and more are shrunk to 64x64).
    Raises WorldganError for an unknown id or option, a missing extra, or an env without pictures.
    """
    env_id = _import_module(id)
    adapter = adapter_of(env_id)
    checked = _checked(adapter, options)
    try:
        return adapter(env_id, **checked)
    except WorldganError:
        raise
    except Exception as error:  # the code is others': whatever it raises, this env cannot be made
        raise WorldganError(f"cannot make {id!r}: {_said(error)}") from error


def adapter_of(env_id: str) -> Adapter:
    """The adapter for an id without its module."""
    return next((adapter for prefix, adapter in ADAPTERS.items() if env_id.startswith(prefix)), generic.make)


def env_spec(env: gym.Env[Any, Any], id: str, options: Mapping[str, Any]) -> EnvSpec:
    """The spec of an env that ``make(id, **options)`` returned.

    Raises WorldganError for an action space that ``worldgan.actions`` cannot encode.
    """
    shape = env.observation_space.shape
    assert shape is not None, "make returned observations without a shape"
    return EnvSpec(id, (shape[0], shape[1], shape[2]), action_spec(env.action_space), dict(options))


def spec(id: str, options: Mapping[str, Any] | None = None) -> EnvSpec:
    """The spec of ``make(id, **options)``. Raises WorldganError as ``make`` and ``env_spec`` do."""
    env = make(id, **(options or {}))
    try:
        return env_spec(env, id, options or {})
    finally:
        env.close()


def register() -> None:
    """Register the built-in envs with gymnasium; doing it again changes nothing."""
    built_in = {
        "worldgan/Paddle-v0": ("worldgan.envs.paddle:Paddle", 200),
        "worldgan/Turners-v0": ("worldgan.envs.turners:Turners", 100),
        "worldgan/Flash-v0": ("worldgan.envs.flash:Flash", 100),
        "worldgan/Head-v0": ("worldgan.envs.head:Head", 100),
        "worldgan/Climber-v0": ("worldgan.envs.climber:Climber", 100),
        "worldgan/Glider-v0": ("worldgan.envs.glider:Glider", 100),
    }
    for env_id, (entry_point, steps) in built_in.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point, max_episode_steps=steps)


def _import_module(id: str) -> str:
    """Import the module of ``module:Id``; returns the rest."""
    module, colon, env_id = id.rpartition(":")
    if not colon:
        return id
    try:
        importlib.import_module(module)
    except Exception as error:  # it is the user's code: whatever it raises, this env cannot be made
        raise WorldganError(f"cannot import {module!r} for {id!r}: {_said(error)}") from error
    return env_id


def _said(error: Exception) -> str:
    """In a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _checked(adapter: Adapter, options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with the adapter's names and types; what its ``**options`` takes is left to it."""
    hints, parameters = get_type_hints(adapter), inspect.signature(adapter).parameters.values()
    fields = [(p.name, hints[p.name], p.default) for p in parameters if p.kind is p.KEYWORD_ONLY]
    passes_on = any(p.kind is p.VAR_KEYWORD for p in parameters)
    rest = {name: options[name] for name in options if passes_on and name not in {field[0] for field in fields}}
    known = {name: value for name, value in options.items() if name not in rest}
    return {**asdict(from_mapping(make_dataclass("Options", fields), known, where="options.")), **rest}
