"""Other runtimes than torch step a run's model alike, and the one that is fastest here is found once."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exporting import starts, untrained
from fakes import PerfectModel, dot_window

from worldgan.errors import WorldganError
from worldgan.export.check import check
from worldgan.models.world import Networks, NextFrameModel
from worldgan.runtime import choice
from worldgan.runtime.choice import fastest, stepper
from worldgan.runtime.compiled import LARGEST_CHUNK, Compiled, chunk
from worldgan.runtime.graph import stepping, traced
from worldgan.runtime.model import ExportedModel
from worldgan.simulator import SimulatedVectorEnv
from worldgan.training.checkpoint import Run


@pytest.fixture
def run(paddle_run: Run, tmp_path: Path) -> Run:
    """One that has been measured by nobody."""
    return Run(shutil.copytree(paddle_run.path, tmp_path / "run"))


@pytest.mark.parametrize("family", ["gan", "mse"])  # with noise, and without
def test_openvino_follows_torch(family: str) -> None:
    graph = stepping(untrained(family))
    model = ExportedModel(Compiled(traced(graph), graph.card, threads=2, precision="fp32"))
    found = check(graph, model, starts(graph))
    found.require()
    assert found.flipped < found.levels / 1000


@pytest.mark.parametrize("rows", [1, 3, 2 * LARGEST_CHUNK + 5])
def test_rows_come_back_in_order_whatever_the_chunks(rows: int) -> None:
    graph = stepping(untrained("gan"))
    compiled = Compiled(traced(graph), graph.card, threads=2, precision="fp32")
    window = dot_window(rows, graph.card.context, 1)
    frames, actions = window.frames[:, :-1].numpy(), window.actions.numpy()
    noise = np.random.default_rng(0).random((rows, graph.card.chances), np.float32)
    together = compiled.step(frames, actions, noise)
    with torch.no_grad():
        theirs = graph(*map(torch.from_numpy, (frames, actions, noise)))
    assert together.frame.shape == (rows, 3, 8, 8)
    assert np.abs(together.frame.astype(int) - theirs[0].numpy()).max() <= 1
    same = (together.frame == theirs[0].numpy()).all((1, 2, 3))  # the outcome head sees the rounded frame
    assert same.mean() > 0.9
    np.testing.assert_allclose(together.reward[same], theirs[1][same], atol=1e-4)
    np.testing.assert_allclose(together.terminated[same], theirs[2][same], atol=1e-4)


def test_chunks_are_few_and_keep_all_threads_at_work() -> None:
    assert [chunk(rows, 2) for rows in (1, 2, 3, 6, 64, 500)] == [1, 1, 2, 4, 32, LARGEST_CHUNK]
    assert len({chunk(rows, 3) for rows in range(1, 1000)}) == 6


def slow(seconds: float, built: list[float]) -> Callable[[], Any]:
    """Builds a model that takes so long for a step."""

    class Slow(PerfectModel):
        def step(self, *given: Any) -> Any:
            time.sleep(seconds)
            return super().step(*given)

    def build() -> Slow:
        built.append(seconds)
        return Slow()

    return build


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Callable[..., str], list[float]]:
    """Asks for the fastest of two with some rows; and what has been built so far."""
    monkeypatch.setattr(choice, "SECONDS", 0.02)
    start = dot_window(4, PerfectModel().context, 1)
    given = start.frames[:, :-1].numpy(), np.zeros((4, PerfectModel().context - 1, 5), np.float32)
    built: list[float] = []
    models = {"torch": slow(0.01, built), "openvino": slow(0.0, built)}
    return lambda rows, notes=tmp_path / "notes.json": fastest(models, rows, given, notes), built


def test_the_fastest_is_measured_once_for_about_as_many_envs(
    measured: tuple[Callable[..., str], list[float]], tmp_path: Path
) -> None:
    ask, built = measured
    assert [ask(5), ask(8), ask(7)] == ["openvino"] * 3
    assert len(built) == 2
    [(machine, rates)] = json.loads((tmp_path / "notes.json").read_text()).items()
    assert machine.startswith("8 envs")
    assert len(rates) == 2
    ask(9)
    assert len(built) == 4


@pytest.mark.parametrize("text", ["{", "[]", '{"8 envs": {"torch": "fast"}}', '{"8 envs": 3}', "[" * 100_000])
def test_damaged_notes_are_measured_anew(
    text: str, measured: tuple[Callable[..., str], list[float]], tmp_path: Path
) -> None:
    ask, built = measured
    (tmp_path / "notes.json").write_text(text)
    assert [ask(8), ask(8)] == ["openvino"] * 2
    assert len(built) == 2


def test_another_version_is_measured_anew(
    measured: tuple[Callable[..., str], list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, built = measured
    ask(8)
    monkeypatch.setattr(choice, "installed", lambda package: "99")
    ask(8)
    assert len(built) == 4


def test_without_leave_to_write_nothing_is_remembered(
    measured: tuple[Callable[..., str], list[float]], tmp_path: Path
) -> None:
    ask, built = measured
    (tmp_path / "file").write_text("")
    assert [ask(8, tmp_path / "file" / "notes.json") for _ in range(2)] == ["openvino"] * 2
    assert len(built) == 4


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino", "auto"])
def test_a_run_is_simulated_on_any_runtime(runtime: Any, run: Run) -> None:
    env = SimulatedVectorEnv(run.path, 3, runtime=runtime)
    assert isinstance(env.model, NextFrameModel if runtime == "torch" else NextFrameModel | ExportedModel)
    env.reset(seed=0)
    frames, rewards, *_ = env.step(env.action_space.sample())
    assert frames.shape == (3, *env.model.spec.frame)
    assert rewards.shape == (3,)
    assert (run.path / "runtimes.json").exists() == (runtime == "auto")


def test_the_same_seed_plays_the_same_on_the_same_runtime(run: Run) -> None:
    played = []
    for _ in range(2):
        env = SimulatedVectorEnv(run.path, 4, runtime="openvino", horizon=3)
        env.reset(seed=5)
        played.append([env.step(np.ones(4, np.int64))[:2] for _ in range(5)])
    for (frames, rewards), (others, theirs) in zip(*played, strict=True):
        np.testing.assert_array_equal(frames, others)
        np.testing.assert_array_equal(rewards, theirs)


def test_a_family_that_cannot_leave_torch_stays(tmp_path: Path) -> None:
    graph, notes = untrained("mse"), tmp_path / "notes.json"
    own = NextFrameModel(graph.card.spec, 2, Networks(torch.nn.Identity(), graph.networks.outcome))
    assert stepper(lambda precision: own, "speckle", "auto", 1, starts(graph), notes) is own
    with pytest.raises(WorldganError, match="family speckle cannot be exported"):
        stepper(lambda precision: own, "speckle", "openvino", 1, starts(graph), notes)


def test_wrong_runtimes_are_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="unknown runtime 'openvin': did you mean 'openvino'"):
        SimulatedVectorEnv(run.path, runtime="openvin")  # type: ignore[arg-type]
    with pytest.raises(WorldganError, match=r"expected the folder of a run for runtime torch, got .*model\.onnx"):
        SimulatedVectorEnv(tmp_path / "model.onnx", runtime="torch")
