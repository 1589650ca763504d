"""Being here puts this folder on the import path of the tests, for `from fakes import ...`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import network
import pytest
import torch
from hub_stub import Hub
from tiny import tiny

from worldgan import envs
from worldgan.data.collect import collect
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

torch.set_num_threads(1)  # test tensors are too small to share out, and waiting threads would only spin
network.refuse()
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it

PADDLE = "worldgan/Paddle-v0"


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """After a test, a Ctrl-C has to mean what it meant before: a process that has forgotten its handler just dies."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is before, f"expected the handler of SIGINT to stay {before}, got {after}"


@pytest.fixture(scope="session")
def paddle_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 300 steps of random play."""
    out = tmp_path_factory.mktemp("paddle") / "data"
    return collect(lambda: envs.make(PADDLE), envs.spec(PADDLE), out, steps=300, num_envs=4).path


@pytest.fixture(scope="session")
def paddle_run(paddle_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A GAN after a few updates: it knows little, and steps as any other does."""
    return train(paddle_data, tiny("gan", "training.steps=3"), tmp_path_factory.mktemp("paddle") / "gan")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of one's own, without the chunked storage that only the real one has."""
    with Hub() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield server
        server.shutdown()
