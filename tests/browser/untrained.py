"""A model of the size that people train: how fast it is does not depend on what it knows."""

from __future__ import annotations

from pathlib import Path

import torch

from worldgan import envs
from worldgan.config import to_mapping
from worldgan.models import FAMILIES
from worldgan.pixels import to_tensor
from worldgan.play.real import open_env
from worldgan.training.checkpoint import Run, RunInfo
from worldgan.types import EnvSpec

PADDLE = envs.spec("worldgan/Paddle-v0", {"size": 64})


def untrained(folder: Path, spec: EnvSpec = PADDLE) -> Run:
    """A run of the default size that expects no end: it knows nothing, and is as slow as others."""
    config = FAMILIES["gan"].config()
    weights = FAMILIES["gan"].networks(spec, config, 0).state_dict()
    weights["outcome.mix.2.bias"][-1] = -9.0
    with open_env(spec) as env:
        frame = to_tensor(env.reset(seed=0)[0])
    starts = {"frames": frame.repeat(1, config.backbone.context, 1, 1, 1)}
    starts["actions"] = torch.zeros(1, config.backbone.context - 1, spec.actions.size)
    run = Run(folder)
    run.write_info(RunInfo("gan", spec, to_mapping(config), {}, ""))
    run.write_tensors("weights", weights)
    kinds = ("beginnings", "anywhere")
    run.write_tensors("starts", {f"{kind}.{k}": v.clone() for kind in kinds for k, v in starts.items()})
    return run
