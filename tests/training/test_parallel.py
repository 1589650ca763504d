"""Two processes learn what one does, and leave what one leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ranks
import torch
from fakes import dot_spec, dot_window
from run_states import differing, flat
from tiny import tiny

from worldgan import parallel
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import WindowSampler
from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.seeding import torch_rng
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def pair(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have trained."""
    out = tmp_path_factory.mktemp("pair")
    paths = os.pathsep.join([str(Path.cwd()), *(path for path in sys.path if path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # whatever the host is called, and whoever else is in its network
    command = [*TORCHRUN, ranks.__file__, str(data), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("name", ranks.RUNS)
def test_two_processes_learn_what_one_does(name: str, pair: Path, data: Path, tmp_path: Path) -> None:
    one = flat(train(data, ranks.experiment(name), tmp_path / "alone").state())
    two = flat(Run(pair / name).state())
    assert one.keys() == two.keys()
    for key, value in one.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            # Until margins are reached, the gradient of a discriminator's last bias is 0 but for rounding.
            least = 1e-2 if key.endswith("/exp_avg") else 1e-6
            apart = (value - two[key]).norm() / value.norm().clamp(min=least)
            assert apart < 1e-3, f"{key}: {apart}"
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, two[key]), key
        elif isinstance(value, float) and key != "/seconds":
            assert value == pytest.approx(two[key], rel=1e-3), key


def test_an_interrupt_of_one_stops_all_and_they_go_on_as_if_it_had_not(pair: Path) -> None:
    assert {path.name for path in pair.glob("resumed*")} == {"resumed0", "resumed1"}
    assert differing(Run(pair / "gan"), Run(pair / "stopped")) == []


def test_one_process_alone_writes(pair: Path) -> None:
    assert len(list((pair / "gan" / "tensorboard").iterdir())) == 1


def test_parts_of_a_batch_are_the_batch(data: Path) -> None:
    def rows(i: int, parts: int) -> torch.Tensor:
        store = EpisodeStore.open(data)
        return WindowSampler(store, context=2, horizon=2, batch=16, seed=0, part=(i, parts)).batch(3).frames

    assert torch.equal(rows(0, 1), torch.cat([rows(0, 2), rows(1, 2)]))
    with pytest.raises(WorldganError, match="multiple of 24"):
        rows(0, 3)


def test_a_lost_process_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(values: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer\n at pair.cc")

    monkeypatch.setattr(parallel, "_joined", lambda: True)
    monkeypatch.setattr(parallel, "size", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_reduce", closed)
    with pytest.raises(WorldganError, match=r"lost one of 2 processes .*closed by peer\).*--resume$"):
        parallel.mean(torch.zeros(3))


def test_a_process_without_others_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(WorldganError, match=r"the 2 processes .*MASTER_ADDR.*torchrun"), parallel.group():
        pass


@pytest.mark.parametrize("steps", [1, 3])
def test_an_update_sends_as_many_messages_as_docs_count(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/scale.md: three large ones and 6 + 5 T small ones, of which two are the trainer's."""
    sent: list[int] = []
    config = tiny("gan", "model.adversary.warmup=0").model_config()
    learner, window = FAMILIES["gan"].learner(dot_spec(), config, 0), dot_window(8, 2, horizon=steps)
    learner.update(window)  # the first one alone looks for a background
    monkeypatch.setattr(parallel, "_joined", lambda: True)
    monkeypatch.setattr(parallel, "size", lambda: 1)
    monkeypatch.setattr(parallel, "rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda values: sent.append(values.numel()))
    learner.update(window)
    assert len(sent) == 3 + (6 + 5 * steps - 2)


def test_a_row_draws_what_it_draws_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parallel.draw(torch.rand, (12, 3), torch_rng(0)).unflatten(0, (2, 6))
    monkeypatch.setattr(parallel, "_joined", lambda: True)
    monkeypatch.setattr(parallel, "size", lambda: 3)
    for i in range(3):
        monkeypatch.setattr(parallel, "rank", lambda i=i: i)
        part = parallel.draw(torch.rand, (4, 3), torch_rng(0), parts=2)
        assert torch.equal(part, whole[:, 2 * i : 2 * i + 2].flatten(0, 1))
