"""Classic control as pictures. One frame does not show velocities; several frames of context do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from worldgan.envs.frames import Looking, PixelEnv
from worldgan.envs.generic import create, rendered
from worldgan.errors import extra
from worldgan.pixels import check_size


def make(env_id: str, *, size: int | None = None) -> PixelEnv:
    """CartPole, Acrobot, MountainCar or Pendulum by its gymnasium id, rendered to uint8 [64, 64, 3].

    size: side of the square frame in pixels.
    Raises WorldganError for an unknown id or without the ``control`` extra.
    """
    check_size(size)
    with extra("control"):
        import pygame  # noqa: F401  # imported here for the message; gymnasium would import it at the first render
    env = create(env_id, render_mode="rgb_array")
    with _silent():
        return Looking(env, rendered, size, "what it renders, in place of its vector of numbers")


@contextmanager
def _silent() -> Iterator[None]:
    """The first render starts pygame, sound included, and SDL complains on stderr where there is none."""
    before = os.environ.get("SDL_AUDIODRIVER")
    os.environ["SDL_AUDIODRIVER"] = before or "dummy"
    try:
        yield
    finally:
        if before is None:
            del os.environ["SDL_AUDIODRIVER"]
