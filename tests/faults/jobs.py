"""Work that is interrupted: a data set that is collected, a model that is trained, the online loop, a benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data_fakes import COUNTING, CountingEnv
from run_states import flat
from tiny import settings, tiny
from torch import Tensor

from worldgan import envs
from worldgan.benchmark import bench
from worldgan.benchmark.suite import Suite
from worldgan.config import load
from worldgan.data.collect import collect
from worldgan.data.damage import verify
from worldgan.learn import LearnConfig, learn
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

Tell = Callable[[int], None]
PADDLE, SMALL = "worldgan/Paddle-v0", {"size": 8}


@dataclass(frozen=True)
class Job:
    """Work into a folder that goes on where it ended.

    run: does it, and tells how much is written.    check: raises if less of a folder than was told can be read.
    result: what is to be the same, bit for bit, however often it was interrupted.
    """

    name: str
    run: Callable[[Path, Tell], None]
    check: Callable[[Path, int], None]
    result: Callable[[Path], Any]


def collecting(steps: int, delay: float = 0.0) -> Job:
    """Some ``steps`` / 15 episodes.    delay: seconds that a step takes."""

    def run(out: Path, tell: Tell) -> None:
        def report(done: float, note: str = "") -> None:
            tell(int(note.split()[0]))

        env = partial(CountingEnv, delay=delay)
        collect(env, COUNTING, out, steps=steps, num_envs=3, report=report)

    return Job("collect", run, _check_data, _files)


def _check_data(out: Path, told: int) -> None:
    if not (out / "dataset.json").exists():
        assert not told
        return
    found = verify(out)
    assert not found.damaged, found.damaged
    assert not found.missing, found.missing
    assert found.episodes >= told, f"{told} episodes were reported, {found.episodes} are there"


def _files(out: Path) -> dict[str, bytes]:
    names = {file.relative_to(out): file for file in out.rglob("*") if file.is_file() and file.name != ".lock"}
    return {str(name): file.read_bytes() for name, file in names.items()}


def training(data: Path, steps: int) -> Job:
    """Updates of a small mse model with a checkpoint after each."""
    experiment = tiny("mse", f"training.steps={steps}", "training.checkpoint_minutes=0")

    def run(out: Path, tell: Tell) -> None:
        # With a checkpoint after each update, what an earlier one reached is written when this one is reported.
        train(data, experiment, out, resume=True, report=lambda done, note="": tell(round(done * steps) - 1))

    return Job("train", run, _check_run, _trained)


def _check_run(out: Path, told: int) -> None:
    run = Run(out)
    if not run.exists():
        assert told < 1
        return
    step = run.info().progress.get("step", 0)
    assert step >= told, f"step {told} was reported, {step} is there"
    if step:
        assert run.state()["step"] >= step
        run.model()


def _trained(out: Path) -> dict[str, Any]:
    """All that a run holds, time aside; tensors as bytes."""
    state = {key: leaf for key, leaf in flat(Run(out).state()).items() if key != "/seconds"}
    plain = {key: leaf.numpy().tobytes() if isinstance(leaf, Tensor) else leaf for key, leaf in state.items()}
    return plain | {"weights": (out / "weights.safetensors").read_bytes()}


def looping() -> Job:
    """Two rounds of the online loop, with a small mse model."""
    dream = ("dream.batch=4", "dream.horizon=2", "dream.width=4", "dream.units=8")
    amounts = ("budget=60", "every=30", "updates=2", "dreams=2")
    config = load(LearnConfig, None, [*settings("mse"), "family=mse", *amounts, *dream])

    def run(out: Path, tell: Tell) -> None:
        learn(partial(envs.make, PADDLE, **SMALL), envs.spec(PADDLE, SMALL), config, out, resume=True)

    return Job("learn", run, _check_loop, _learnt)


def _check_loop(out: Path, told: int) -> None:
    del told  # what the last round has written counts when learn.json says so
    file = out / "learn.json"
    rounds = json.loads(file.read_text())["rounds"] if file.exists() else []
    _check_data(out / "data", rounds[-1]["episodes"] if rounds else 0)
    _check_run(out / "model", rounds[-1]["updates"] if rounds else 0)


def _learnt(out: Path) -> dict[str, bytes]:
    files = [*out.glob("data/episodes/*"), *out.glob("*/weights.safetensors"), out / "returns.jsonl"]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def benching() -> Job:
    """Two runs of a benchmark, each in a process of its own."""
    suite = Suite(
        envs={PADDLE: SMALL}, competitors={"random": {}}, seeds=2, budgets=(20,), episodes=2, max_steps=10, points=2
    )

    def run(out: Path, tell: Tell) -> None:
        bench(suite, out)

    return Job("bench", run, lambda out, told: None, _benched)


def _benched(out: Path) -> dict[str, Any]:
    """All that runs found, time aside."""
    found = {str(file.relative_to(out)): json.loads(file.read_text()) for file in out.glob("runs/*/result.json")}
    return {
        name: {key: value for key, value in result.items() if "seconds" not in key} for name, result in found.items()
    }
