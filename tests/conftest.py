"""Being here puts this folder on the import path of the tests, for `from fakes import ...`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import tiny

from worldgan import envs
from worldgan.data.collect import collect
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

torch.set_num_threads(1)  # test tensors are too small to share out, and waiting threads would only spin

PADDLE = "worldgan/Paddle-v0"


@pytest.fixture(scope="session")
def paddle_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 300 steps of random play."""
    out = tmp_path_factory.mktemp("paddle") / "data"
    return collect(lambda: envs.make(PADDLE), envs.spec(PADDLE), out, steps=300, num_envs=4).path


@pytest.fixture(scope="session")
def paddle_run(paddle_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A GAN after a few updates: it knows little, and steps as any other does."""
    return train(paddle_data, tiny("gan", "training.steps=3"), tmp_path_factory.mktemp("paddle") / "gan")
