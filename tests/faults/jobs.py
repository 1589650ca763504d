"""Work that is interrupted: a data set that is collected, and a model that is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data_fakes import COUNTING, CountingEnv
from run_states import flat
from tiny import tiny
from torch import Tensor

from worldgan.data.collect import collect
from worldgan.data.damage import verify
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

Tell = Callable[[int], None]


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
