"""An agent's folder: what was saved is loaded, training goes on where it stopped, and misfits are named in a line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import alter, dot_store, tiny

from worldgan import cli
from worldgan.agents import Actor, AgentFolder, DreamConfig, Dreamer
from worldgan.config import load
from worldgan.dream import dream
from worldgan.errors import WorldganError
from worldgan.tensorfiles import write_state, write_tensors
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train

SMALL = DreamConfig(steps=4, batch=4, horizon=3, width=4, units=8)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dots")
    return train(dot_store(folder / "data"), tiny("mse", "training.steps=2"), folder / "run").path


@pytest.fixture(scope="module")
def agent(run: Path) -> Path:
    return dream(run, SMALL, run.parent / "agent").path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AgentFolder(folder).networks().state_dict()


def same(one: Path, other: Path) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_a_folder_says_what_it_holds(agent: Path, run: Path) -> None:
    info = AgentFolder(agent).info()
    assert info.progress["step"] == 4
    assert (info.spec, info.frames, info.training) == (Run(run).info().spec, 2, SMALL)
    assert any((agent / "tensorboard").iterdir())


def test_a_loaded_agent_acts_as_the_saved_one(agent: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), np.uint8)
    one, other = (Actor(AgentFolder(agent).networks(), seed=3) for _ in range(2))
    assert all(np.array_equal(one.act(frames), other.act(frames)) for _ in range(5))


@pytest.mark.parametrize("way", ["stopped", "interrupted"])
def test_going_on_equals_never_having_stopped(
    way: str, agent: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "stopped":
        dream(run, replace(SMALL, steps=2), tmp_path / "agent")
    else:
        update = Dreamer.update

        def interrupted(self: Dreamer, starts: Any, number: int) -> Any:
            if number == 2:
                raise KeyboardInterrupt
            return update(self, starts, number)

        with monkeypatch.context() as patch:
            patch.setattr(Dreamer, "update", interrupted)
            with pytest.raises(KeyboardInterrupt):
                dream(run, SMALL, tmp_path / "agent")
    assert AgentFolder(tmp_path / "agent").info().progress["step"] == 2
    assert not same(agent, tmp_path / "agent")
    dream(run, SMALL, tmp_path / "agent", resume=True)
    assert same(agent, tmp_path / "agent")


def test_without_a_budget_or_with_two_nothing_is_begun(run: Path, tmp_path: Path) -> None:
    for steps, minutes in ((None, None), (3, 1.0)):
        with pytest.raises(WorldganError, match="expected either steps or minutes"):
            dream(run, replace(SMALL, steps=steps, minutes=minutes), tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps=0", "expected steps at least 1, got 0"),
        ("minutes=0", "expected minutes above 0, got 0.0"),
        ("units=0", "expected units at least 1, got 0"),
        ("discount=1.5", "expected discount within 0..1, got 1.5"),
        ("entropy=-1", "expected entropy at least 0, got -1.0"),
        ("rate=.nan", "expected rate above 0, got nan"),
        ("average=0", "expected average above 0 and at most 1, got 0.0"),
    ],
)
def test_senseless_settings_are_refused(setting: str, message: str) -> None:
    with pytest.raises(WorldganError) as caught:
        load(DreamConfig, None, [setting])
    assert str(caught.value) == message


def test_the_ends_of_ranges_are_settings() -> None:
    ends = ["steps=1", "batch=1", "discount=1", "trace=0", "entropy=0", "checkpoint_minutes=0", "average=1"]
    assert load(DreamConfig, None, ends).steps == 1


def test_an_agent_is_not_overwritten_nor_changed_on_the_way(agent: Path, run: Path) -> None:
    with pytest.raises(WorldganError, match="already holds an agent: add --resume"):
        dream(run, SMALL, agent)
    with pytest.raises(WorldganError, match=r"expected horizon 3, as .* was begun with, .* got 5"):
        dream(run, replace(SMALL, horizon=5), agent, resume=True)


def test_an_agent_that_another_process_has_just_trained_is_left_alone(
    agent: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(agent, tmp_path / "agent")

    @contextmanager
    def late(out: Path) -> Iterator[None]:
        alter(out / "agent.json", {"step": 9.0}, "progress")
        yield

    monkeypatch.setattr("worldgan.dream.sole_writer", late)
    with pytest.raises(WorldganError, match="was just trained by another process: add --resume"):
        dream(run, replace(SMALL, steps=6), folder, resume=True)


def test_options_win_over_settings_and_settings_over_files(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "dream.yaml"
    file.write_text("{seed: 1, minutes: 3, batch: 4, horizon: 2, width: 4, units: 8}")
    for number, (more, seed) in enumerate(
        {(): 1, ("--set", "seed=2"): 2, ("--set", "seed=2", "--seed", "3"): 3}.items()
    ):
        out = tmp_path / str(number)
        line = ["dream", str(run), "--out", str(out), "--config", str(file), "--steps", "1", *more]
        assert cli.main(line) == 0
        training = AgentFolder(out).info().training
        assert (training.seed, training.steps, training.minutes) == (seed, 1, None)


def test_a_model_or_data_of_another_env_are_refused(agent: Path, run: Path, tmp_path: Path) -> None:
    data = dot_store(tmp_path / "data", size=9)
    with pytest.raises(WorldganError, match=r"expected a model for dot.*\(9, 9, 3\).* got one of .*\(8, 8, 3\)"):
        dream(run, SMALL, tmp_path / "agent", data=data)
    other = train(data, tiny("mse", "training.steps=1"), tmp_path / "run").path
    with pytest.raises(WorldganError, match=r"expected an agent for dot.*\(9, 9, 3\).* got one of .*\(8, 8, 3\)"):
        dream(other, SMALL, agent, resume=True)


def test_damage_is_named(agent: Path, run: Path, tmp_path: Path) -> None:
    def refused(name: str, data: bytes) -> str:
        folder = shutil.copytree(agent, tmp_path / "agent", dirs_exist_ok=True)
        (folder / name).write_bytes(data)
        with pytest.raises(WorldganError) as caught:
            (AgentFolder(folder).state(), AgentFolder(folder).networks())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    for name in ("agent.json", "weights.safetensors", "state.pt"):
        whole = (agent / name).read_bytes()
        assert f"{name} is damaged" in refused(name, whole[: len(whole) // 2])
    assert "agent.json is damaged" in refused("agent.json", b'{"format": 2}')
    info = json.loads((agent / "agent.json").read_text())
    info["training"]["units"] = 16
    assert "weights.safetensors does not fit agent.json" in refused("agent.json", json.dumps(info).encode())


@pytest.mark.parametrize("path", [("training", "units"), ("training", "width"), ("frames",)])
def test_networks_that_weights_do_not_have_take_no_memory(path: tuple[str, ...], agent: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(agent, tmp_path / "agent")
    alter(folder / "agent.json", 2**40, *path)
    for held in (weights(agent), {}):
        write_tensors(folder / "weights.safetensors", held)
        with pytest.raises(WorldganError, match=r"weights\.safetensors does not fit agent\.json"):
            AgentFolder(folder).networks()


def test_a_state_of_something_else_is_named(agent: Path, run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(agent, tmp_path / "agent")
    write_state(folder / "state.pt", {"someone": "else's"})
    with pytest.raises(WorldganError, match=r"state\.pt does not fit agent\.json"):
        dream(run, SMALL, folder, resume=True)


def test_an_agent_that_is_none(run: Path, tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match=r"expected an agent at .*, found no agent.json: run dream first"):
        AgentFolder(run).networks()
    with pytest.raises(WorldganError, match="expected a run at"):
        dream(tmp_path / "none", SMALL, tmp_path / "agent")
    lost = shutil.copytree(run, tmp_path / "run")
    alter(lost / "run.json", str(tmp_path / "moved"), "data")
    with pytest.raises(WorldganError, match=r"expected a data set at .*moved"):
        dream(lost, SMALL, tmp_path / "agent")
