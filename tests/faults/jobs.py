"""Work that is interrupted: a data set that is collected, a model that is trained, the online loop, a benchmark."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from data_fakes import COUNTING, CountingEnv
from run_states import flat
from tiny import settings, tiny
from torch import Tensor

from worldgan import envs
from worldgan.agents import AgentFolder
from worldgan.benchmark import bench
from worldgan.benchmark.competitors import COMPETITORS
from worldgan.benchmark.report import numbers
from worldgan.benchmark.runs import finished
from worldgan.benchmark.suite import Suite, jobs
from worldgan.config import load, to_mapping
from worldgan.data.collect import collect
from worldgan.data.damage import verify
from worldgan.learn import LearnConfig, learn
from worldgan.progress import Report
from worldgan.tensorfiles import read_state
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

Tell = Callable[[int], None]
PADDLE, SMALL = "worldgan/Paddle-v0", {"size": 8}
RESULTS = "runs/*/result.json"
AMOUNTS = ("episodes", "updates", "dreams")
"""That a round of the online loop has come to."""


@dataclass(frozen=True)
class Job:
    """Work into a folder that goes on where it ended.

    run: does it, and tells how much is written.    check: raises if less of a folder than was told can be read.
    result: what is to be the same, bit for bit, however often it was interrupted.
    lasting: glob of files that stay as they are once they are there.
    """

    name: str
    run: Callable[[Path, Tell], None]
    check: Callable[[Path, int], None]
    result: Callable[[Path], Any]
    lasting: str


def collecting(steps: int, delay: float = 0.0) -> Job:
    """Some ``steps`` / 15 episodes.    delay: seconds that a step takes."""

    def run(out: Path, tell: Tell) -> None:
        def report(done: float, note: str = "") -> None:
            tell(int(note.split()[0]))

        env = partial(CountingEnv, delay=delay)
        collect(env, COUNTING, out, steps=steps, num_envs=3, report=report)

    return Job("collect", run, _check_data, _files, "episodes/*.ep")


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

    return Job("train", run, _check_run, _trained, "starts.safetensors")


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
    """All that a run or an agent holds, time aside: weights, optimiser, random generators; tensors as bytes."""
    state = {key: leaf for key, leaf in flat(read_state(out / "state.pt")).items() if key != "/seconds"}
    plain = {key: leaf.numpy().tobytes() if isinstance(leaf, Tensor) else leaf for key, leaf in state.items()}
    return plain | {"weights": (out / "weights.safetensors").read_bytes()}


def looping() -> Job:
    """Two rounds of the online loop, with a small mse model."""
    config = _small_loop()

    def run(out: Path, tell: Tell) -> None:
        written = dict.fromkeys(AMOUNTS, 0)

        def report(done: float, note: str = "") -> None:
            written.update(_written(note))
            tell(_packed(max(0, math.ceil(done / config.every) - 1), *written.values()))

        make_env, spec = partial(envs.make, PADDLE, **SMALL), envs.spec(PADDLE, SMALL)
        learn(make_env, spec, config, out, resume=True, report=report)

    return Job("learn", run, _check_loop, _learnt, "data/episodes/*.ep")


def _small_loop() -> LearnConfig:
    """With a checkpoint after each update of the model and of the agent."""
    dream = ("dream.batch=4", "dream.horizon=2", "dream.width=4", "dream.units=8")
    amounts = ("budget=60", "every=30", "updates=2", "dreams=2")
    often = [f"{section}.checkpoint_minutes=0" for section in ("training", "dream")]
    return load(LearnConfig, None, [*settings("mse"), "family=mse", *amounts, *dream, *often])


def _written(note: str) -> dict[str, int]:
    """What is written for sure when a stage of the loop reports this."""
    words = note.split()
    if words[-1] == "episodes":
        return {"episodes": int(words[0])}
    return {"dreams" if "return" in words else "updates": int(words[1]) - 1}  # as in ``training``


def _packed(*amounts: int) -> int:
    """Amounts below 1000, told as one."""
    return sum(amount * 1000**place for place, amount in enumerate(amounts))


def _check_loop(out: Path, told: int) -> None:
    rounds, *amounts = (told // 1000**place % 1000 for place in range(1 + len(AMOUNTS)))
    file = out / "learn.json"
    found = json.loads(file.read_text())["rounds"] if file.exists() else []
    assert len(found) >= rounds, f"{rounds} rounds were reported, {len(found)} are there"
    last = [found[-1][name] for name in AMOUNTS] if found else [0] * len(AMOUNTS)
    episodes, updates, dreams = map(max, amounts, last)
    _check_data(out / "data", episodes)
    _check_run(out / "model", updates)
    _check_agent(out / "agent", dreams)


def _check_agent(out: Path, told: int) -> None:
    agent = AgentFolder(out)
    if not agent.exists():
        assert told < 1
        return
    step = agent.info().progress["step"]
    assert step >= told, f"step {told} of the agent was reported, {step} is there"
    assert agent.state()["step"] >= step
    agent.networks()


def _learnt(out: Path) -> dict[str, Any]:
    files = [*out.glob("data/episodes/*"), out / "returns.jsonl"]
    trained = {f"{name}{key}": leaf for name in ("model", "agent") for key, leaf in _trained(out / name).items()}
    return trained | {str(file.relative_to(out)): file.read_bytes() for file in files}


def benching() -> Job:
    """Two runs of a benchmark, each in a process of its own: one learns nothing, the other as ``looping`` does."""
    loop = to_mapping(_small_loop())
    for section in (loop, loop["training"], loop["dream"]):
        del section["seed"]  # which the benchmark sets, and these
    del loop["budget"], loop["family"]
    suite = Suite(
        envs={PADDLE: SMALL}, competitors={"random": {}, "learn-mse": {"loop": loop}}, seeds=1, budgets=(60,),
        episodes=2, max_steps=10, points=2,
    )  # fmt: skip

    def run(out: Path, tell: Tell) -> None:
        before = len(list(out.glob(RESULTS)))

        @contextmanager
        def progress(*arguments: Any, **options: Any) -> Iterator[Report]:
            yield lambda done, note="": tell(before + round(done))

        quick = partial(numbers, resamples=20)
        main = {"__main__": ModuleType("__main__")}  # or each run would first import the whole of this suite
        with ExitStack() as patches:
            patches.enter_context(mock.patch("worldgan.benchmark.progress", progress))
            patches.enter_context(mock.patch("worldgan.benchmark.report.numbers", quick))
            patches.enter_context(mock.patch.dict(sys.modules, main))
            bench(suite, out)

    def check(out: Path, told: int) -> None:
        there = sum(finished(each) is not None for each in jobs(suite, COMPETITORS, str(out)))
        assert there >= told, f"{told} runs were reported, {there} are there"
        for folder in out.glob("runs/*/learnt"):
            _check_loop(folder, 0)

    return Job("bench", run, check, _benched, RESULTS)


def _benched(out: Path) -> dict[str, Any]:
    """All that runs found and learnt, time aside."""
    found: dict[str, Any] = {}
    for file in out.glob(RESULTS):
        result = json.loads(file.read_text())
        found[file.parent.name] = {key: value for key, value in result.items() if "seconds" not in key}
    for folder in out.glob("runs/*/learnt"):
        found |= {f"{folder.parent.name}/{key}": leaf for key, leaf in _learnt(folder).items()}
    return found
