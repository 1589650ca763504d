"""Predictor families: one file each, one line each here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from worldgan.models import autoregressive, diffusion, gan, motion, mse, vae
from worldgan.models.world import Networks
from worldgan.types import EnvSpec, Learner


class Family(NamedTuple):
    """config: its dataclass.    networks: untrained ones.    learner: trains them. Both take (spec, config, seed)."""

    config: type[Any]
    networks: Callable[[EnvSpec, Any, int], Networks]
    learner: Callable[[EnvSpec, Any, int], Learner]


FAMILIES: dict[str, Family] = {
    "gan": Family(gan.GanConfig, gan.networks, gan.learner),
    "mse": Family(mse.MseConfig, mse.networks, mse.learner),
    "motion": Family(motion.MotionConfig, motion.networks, motion.learner),
    "vae": Family(vae.VaeConfig, vae.networks, vae.learner),
    "diffusion": Family(diffusion.DiffusionConfig, diffusion.networks, diffusion.learner),
    "autoregressive": Family(autoregressive.AutoregressiveConfig, autoregressive.networks, autoregressive.learner),
}
