"""What cannot be done is answered in one line that says what to do; nothing is ever overwritten."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from command_lines import PADDLE, Refused, plan_line, train_line
from fakes import dot_spec
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from tiny import alter, dot_store

from worldgan.agents import AgentFolder, AgentInfo, DreamConfig
from worldgan.data.store import EpisodeStore
from worldgan.files import sole_writer
from worldgan.training.checkpoint import Run


class Blind(gym.Env[Any, Any]):
    """Nothing to look at."""

    metadata = {"render_modes": []}
    observation_space, action_space = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)


@pytest.mark.parametrize("verb", ["doctor", "collect", "plan"])
def test_an_unknown_env(verb: str, refused: Refused, paddle_run: Run) -> None:
    more = {
        "doctor": [],
        "collect": ["--steps", 9, "--out", "data"],
        "plan": ["--model", paddle_run.path, "--out", "p"],
    }
    line = refused(verb, "--env", "worldgan/Padle-v0", *more[verb])
    assert "unknown environment 'worldgan/Padle-v0': did you mean 'worldgan/Paddle-v0'?" in line


def test_an_env_without_images(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gym.registry, "Blind-v0", EnvSpec("Blind-v0", Blind))
    line = refused("collect", "--env", "Blind-v0", "--steps", 9, "--out", "data")
    assert "expected 'Blind-v0' to have image observations or an rgb_array render" in line


@pytest.mark.parametrize(
    ("env", "package", "extra"),
    [
        ("ALE/Pong-v5", "ale_py", "atari"),
        ("MinAtar/Breakout-v1", "minatar", "minatar"),
        ("MiniGrid-Empty-5x5-v0", "minigrid", "minigrid"),
        ("CrafterReward-v1", "crafter", "crafter"),
        ("CartPole-v1", "pygame", "control"),
    ],
)
def test_a_missing_extra(env: str, package: str, extra: str, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    line = refused("collect", "--env", env, "--steps", 9, "--out", "data")
    assert f"the '{extra}' extra is missing: run pip install -e '.[{extra}]'" in line


def test_data_of_another_frame_size(dots: Path, paddle: Path, refused: Refused) -> None:
    evaluated = refused("evaluate", "--runs", paddle, "--data", dots, "--out", "report", "--horizon", 3)
    assert "(8, 8, 3)" in evaluated
    assert "(32, 32, 3)" in evaluated
    assert "nobody" in refused("evaluate", "--runs", paddle, "--data", dots, "--out", "report", "--agent", "nobody")
    resumed = refused(*train_line(dots, paddle, "training.steps=9"), "--resume")
    assert "spec." in resumed
    planned = refused(*plan_line(paddle, PADDLE, "--env-args", "size=16"))
    assert "(16, 16, 3) frames" in planned


def test_another_action_space(paddle_data: Path, paddle: Path, refused: Refused) -> None:
    data = shutil.copytree(paddle_data, Path("fewer"))
    alter(data / "dataset.json", [4], "spec", "actions", "sizes")
    assert EpisodeStore.open(data).spec.actions.sizes == (4,)
    line = refused("evaluate", "--runs", paddle, "--data", data, "--out", "report")
    assert "discrete[4]" in line
    assert "discrete[3]" in line
    assert "expected spec.actions.sizes [3]" in refused(*train_line(data, paddle, "training.steps=9"), "--resume")
    played = refused(*plan_line(paddle, "worldgan/Turners-v0"))
    assert "discrete[2] actions" in played


def test_an_agent_of_another_env(paddle: Path, paddle_data: Path, refused: Refused) -> None:
    info = AgentInfo(dot_spec(), 2, DreamConfig(steps=1, width=4, units=8), "run", "data")
    AgentFolder("agent").write(info, info.networks(), {})
    for planner in ("actor", "cem"):
        line = refused(*plan_line(paddle, PADDLE, "--planner", planner, "--agent", "agent"))
        assert "expected an agent for worldgan/Paddle-v0, of (32, 32, 3) frames and discrete[3] actions" in line
    dream = ("dream", paddle, "--data", paddle_data, "--out", "agent", "--steps", 2)
    assert "expected an agent for worldgan/Paddle-v0" in refused(*dream, "--resume", "--set", "width=4", "units=8")


def test_an_agent_of_a_game_that_looks_alike_or_that_sees_more(paddle: Path, refused: Refused) -> None:
    model = Run(paddle).model()
    for spec, frames, message in (
        (
            replace(model.spec, id="worldgan/Ball-v0"),
            2,
            "expected --env worldgan/Ball-v0, on which the agent was trained",
        ),
        (model.spec, model.context + 1, f"an agent that sees at most {model.context} frames"),
    ):
        info = AgentInfo(spec, frames, DreamConfig(steps=1, width=4, units=8), "run", "data")
        AgentFolder("agent").write(info, info.networks(), {})
        assert message in refused(*plan_line(paddle, PADDLE, "--planner", "cem", "--agent", "agent"))


def test_watching_an_agent_that_is_none(paddle: Path, refused: Refused) -> None:
    assert "an agent at none, found no agent.json" in refused("play", paddle, "--port", 0, "--agents", "none")


def test_playing_another_env_whose_frames_and_actions_fit(paddle: Path, refused: Refused) -> None:
    alter(paddle / "run.json", "worldgan/Ball-v0", "spec", "id")
    line = refused(*plan_line(paddle, PADDLE))
    assert "expected --env worldgan/Ball-v0, on which the model was trained, got worldgan/Paddle-v0" in line


def test_collecting_with_a_model_of_another_env(paddle: Path, refused: Refused) -> None:
    line = ("collect", "--env", "worldgan/Turners-v0", "--steps", 9, "--out", "data", "--policy", paddle)
    assert "expected a model for worldgan/Turners-v0" in refused(*line)
    assert not Path("data").exists()


@pytest.mark.parametrize("harm", ["truncated", "foreign", "empty"])
def test_a_damaged_episode(harm: str, paddle_data: Path, paddle: Path, refused: Refused) -> None:
    data = shutil.copytree(paddle_data, "data")
    file = EpisodeStore.open(data).file(1)
    file.write_bytes({"truncated": file.read_bytes()[:-50], "foreign": b"GIF89a" * 99, "empty": b""}[harm])
    for line in (
        refused(*train_line(data, "run", "training.steps=2")),
        refused("evaluate", "--runs", paddle, "--data", data, "--out", "report"),
        refused("collect", "--env", PADDLE, "--steps", 400, "--out", data),
    ):
        assert "00000001.ep is damaged" in line


def test_a_second_writer(paddle_data: Path, paddle: Path, refused: Refused) -> None:
    data, dreams = Path(shutil.copytree(paddle_data, "data")), Path("dreams")
    lines: dict[Path, list[object]] = {
        data: ["collect", "--env", PADDLE, "--steps", 400, "--out", data],
        dreams: ["imagine", paddle, "--steps", 50, "--out", dreams],
        paddle: train_line(paddle_data, paddle, "training.steps=4"),
    }
    lines[paddle].insert(1, "--resume")
    for folder, line in lines.items():
        with sole_writer(folder):
            assert f"the only writer of {folder}, but another process is at work there" in refused(*line)


def test_data_that_are_none(paddle: Path, refused: Refused, dots: Path) -> None:
    Path("empty").mkdir()
    for data in ("empty", "missing"):
        for command in (train_line(Path(data)), ["evaluate", "--runs", paddle, "--data", data, "--out", "report"]):
            assert f"expected a data set at {data}" in refused(
                *command, *(["training.steps=2"] * (command[0] == "train"))
            )
    shutil.rmtree(dots / "episodes")
    assert "expected episodes in" in refused(*train_line(dots, "run", "training.steps=2"))
    (dots / "dataset.json").write_text("{")
    assert "expected readable JSON" in refused(*train_line(dots, "run", "training.steps=2"))


def test_data_shorter_than_a_window(tmp_path: Path, paddle: Path, paddle_data: Path, refused: Refused) -> None:
    short = dot_store(tmp_path / "short", episodes=1, length=2)
    line = refused(*train_line(short, "run", "training.steps=2", "training.rollout=[5]"))
    assert "expected at least 6 steps for windows of 2 + 5 frames, got a data set of 2" in line
    line = refused("evaluate", "--runs", paddle, "--data", paddle_data, "--out", "report", "--horizon", 5000)
    assert "expected an episode of at least 5000 steps" in line


def test_a_corrupt_checkpoint(paddle: Path, paddle_data: Path, refused: Refused) -> None:
    evaluate = ["evaluate", "--runs", paddle, "--data", paddle_data, "--out", "report"]
    resume = [*train_line(paddle_data, paddle, "training.steps=9"), "--resume"]
    collect = ["collect", "--env", PADDLE, "--steps", 9, "--out", "data", "--policy", paddle]
    data = (paddle / "state.pt").read_bytes()
    (paddle / "state.pt").write_bytes(data[: len(data) // 2])
    assert "state.pt is damaged" in refused(*resume)
    data = (paddle / "weights.safetensors").read_bytes()
    (paddle / "weights.safetensors").write_bytes(data[:-9] + b"\x00\xff\x17" + data[-6:])
    for command in (evaluate, plan_line(paddle), collect):
        assert "weights.safetensors is damaged (checksum)" in refused(*command)
    (paddle / "run.json").write_text('{"name": "a web page"}')
    for command in (evaluate, plan_line(paddle), collect, resume):
        assert "run.json" in refused(*command)


def test_folders_that_hold_no_run(paddle_data: Path, refused: Refused) -> None:
    Path("photos").mkdir()
    for command in (
        ["evaluate", "--runs", "photos", "--data", paddle_data, "--out", "report"],
        plan_line("photos"),
        ["collect", "--env", PADDLE, "--steps", 9, "--out", "data", "--policy", "photos"],
    ):
        assert "expected a run at photos, found no run.json" in refused(*command)
    assert not Path("data").exists()


SETTINGS = [
    (["model.eventz=3", "training.steps=2"], "unknown config key 'model.eventz': did you mean 'model.events'?"),
    (["trainning.steps=2"], "unknown config key 'trainning': did you mean 'training'?"),
    (["training.step=2"], "unknown config key 'training.step': did you mean 'training.steps'?"),
    (["family=gna", "training.steps=2"], "unknown family 'gna': did you mean 'gan'?"),
    (["training.steps=many"], "expected int for training.steps, got 'many'"),
    (["training.steps=[1"], "expected YAML in 'training.steps=[1'"),
    (["training.steps"], "expected an override like key=value, got 'training.steps'"),
    (["training.batch=8"], "expected either steps or minutes, got steps=None, minutes=None"),
    (["training.steps=0"], "expected training.steps of at least 1, got 0"),
    (["training.steps=1", "model.adversary.objective=hing"], "unknown objective 'hing': did you mean 'hinge'?"),
    (["training.steps=1", "model.events=0"], "expected model.events and kinds from 1 and favourites from 0"),
    (["training.steps=1", "model.rarest=1"], "expected model.rarest from 0 to below 1, got 1.0"),
    (["training.steps=1", "model.backbone.context=0"], "expected model.backbone.context of at least 1, got 0"),
    (["training.steps=1", "model.backbone.width=50"], "expected widths that are multiples of 16, got 50"),
    (["training.steps=1", "model.adversary.width=8"], "expected widths that are multiples of 16, got 8"),
    (["training.steps=1", "model.optimiser.rate=-1e-3"], "expected rate and clip above 0"),
]


@pytest.mark.parametrize(("given", "message"), SETTINGS, ids=[" ".join(given) for given, _ in SETTINGS])
def test_wrong_settings(given: list[str], message: str, paddle_data: Path, refused: Refused) -> None:
    assert message in refused("train", "--data", paddle_data, "--out", "run", "--set", *given)
    assert not Path("run").exists()


def test_wrong_options(paddle_data: Path, paddle: Path, refused: Refused) -> None:
    train = ("train", "--data", paddle_data, "--out", "run")
    assert "unknown family 'gna': did you mean 'gan'?" in refused(*train, "--family", "gna", "--steps", 2)
    assert "unknown preset 'dmo': did you mean 'demo'?" in refused(*train, "--config", "dmo")
    assert "expected a YAML file at mine.yaml, found none" in refused(*train, "--config", "mine.yaml")
    assert "expected either steps or minutes" in refused(*train)
    assert "expected either steps or minutes" in refused(*train, "--steps", 2, "--minutes", 1)
    assert "training.steps of at least 1, got -1" in refused(*train, "--steps", "-1")
    assert "already holds a run: add --resume" in refused(*train_line(paddle_data, paddle, "training.steps=9"))
    assert "expected horizon at least 1, got 0" in refused(*plan_line(paddle, PADDLE, "--horizon", "0"))
    assert "expected candidates at least 2, got 1" in refused(*plan_line(paddle, PADDLE, "--candidates", "1"))
    assert "episodes" in refused(*plan_line(paddle, PADDLE, "--episodes", "0"))
    assert "max_steps" in refused(*plan_line(paddle, PADDLE, "--max-steps", "0"))
    assert "unknown planner 'shoting': did you mean 'shooting'?" in refused(
        *plan_line(paddle, PADDLE, "--planner", "shoting")
    )
    imagine = ("imagine", paddle, "--steps", 9, "--out", "data", "--policy")
    assert "unknown planner 'cme': did you mean 'cem'?" in refused(*imagine, "cme")
    assert "unknown planner 'rnadom': did you mean 'random'?" in refused(*imagine, "rnadom")
    assert "expected Box actions for mppi" in refused(*plan_line(paddle, PADDLE, "--planner", "mppi"))
    assert "did you mean 'elites'" in refused(*plan_line(paddle, PADDLE, "--set", "elite=0.2"))
    assert "unknown sign of distrust 'realsm': did you mean 'realism'?" in refused(
        *plan_line(paddle, PADDLE, "--distrust", "realsm")
    )
    pessimistic = plan_line(paddle, PADDLE, "--pessimism", "1", "--distrust", "disagreement")
    assert "it needs an ensemble (--ensemble, two runs or more)" in refused(*pessimistic)
    assert "at least two runs that may disagree, got 1" in refused(*pessimistic, "--ensemble", paddle)
    assert "pessimism of at least 0, got -1" in refused(*plan_line(paddle, PADDLE, "--pessimism", "-1"))
    assert "expected --agent, the folder of an agent" in refused(*plan_line(paddle, PADDLE, "--planner", "actor"))
    reckless = plan_line(paddle, PADDLE, "--planner", "actor", "--pessimism", "1")
    assert "expected a planner with --pessimism or --ensemble, got actor" in refused(*reckless)
    assert "no agent.json" in refused(*plan_line(paddle, PADDLE, "--agent", paddle))
    dream = ("dream", paddle, "--out", "agent", "--data", paddle_data)
    assert "expected either steps or minutes" in refused(*dream)
    assert "did you mean 'horizon'" in refused(*dream, "--steps", 2, "--set", "horizn=3")
    learn = ("learn", "--env", PADDLE, "--out", "learnt", "--budget")
    assert "expected budget at least 1, got 0" in refused(*learn, 0)
    assert "expected a first round of at least" in refused(*learn, 3)
    assert "did you mean 'updates'" in refused(*learn, 300, "--set", "update=3")
    assert "unknown environment" in refused("learn", "--env", "worldgan/Padle-v0", "--out", "learnt", "--budget", 300)
    assert "expected a run at none" in refused("dream", "none", "--out", "agent", "--steps", 2)
    evaluate = ("evaluate", "--runs", paddle, "--data", paddle_data, "--out", "report")
    for option in ("--horizon", "--windows", "--samples"):
        assert "expected horizon, windows and samples >= 1" in refused(*evaluate, option, 0)
    assert "expected a number of workers, or ray, got 'two'" in refused(*evaluate, "--workers", "two")
    collect = ("collect", "--env", PADDLE, "--out", "data")
    assert "expected steps" in refused(*collect, "--steps", 0)
    assert "expected a shard such as 3/100" in refused(*collect, "--steps", 9, "--shard", "3")
    assert "expected env args like size=64, got 'size'" in refused(*collect, "--steps", 9, "--env-args", "size")
    assert "expected YAML in 'size=['" in refused(*collect, "--steps", 9, "--env-args", "size=[")
    assert "did you mean 'options.size'" in refused(*collect, "--steps", 9, "--env-args", "sise=9")


def test_another_recipe_is_refused(paddle_data: Path, refused: Refused) -> None:
    data = shutil.copytree(paddle_data, "data")
    line = refused("collect", "--env", PADDLE, "--steps", 400, "--out", data, "--seed", 5)
    assert "expected seed 0 as in the data set at data, got 5: use another path" in line


def test_a_place_that_cannot_be_written(paddle_data: Path, refused: Refused) -> None:
    Path("file").write_text("mine")
    assert "file" in refused("collect", "--env", PADDLE, "--steps", 9, "--out", "file")
    assert "file" in refused(*train_line(paddle_data, "file", "training.steps=2"))
    assert "file" in refused(*train_line(paddle_data, "file/run", "training.steps=2"))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (["data", "to-minari", "none", "--id", "a-v0"], "expected a data set at none"),
        (["data", "from-minari", "none-v0", "--out", "data"], "found none"),
        (["data", "from-video", "none", "--out", "data"], "expected one CSV file in none"),
        (["imagine", "none", "--steps", 9, "--out", "data"], "expected a run at none"),
        (["push", "none", "me/none"], "expected a run at none"),
    ],
)
def test_nothing_to_hand_over(
    line: list[object], word: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    assert word in refused(*line)


def test_an_extra_that_is_missing_is_named(
    refused: Refused, dots: Path, monkeypatch: pytest.MonkeyPatch, paddle: Path
) -> None:
    for name in ("minari", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install -e '.[minari]'" in refused("data", "to-minari", dots, "--id", "a-v0")
    assert "pip install -e '.[minari]'" in refused("data", "from-minari", "a-v0", "--out", "data")
    assert "pip install -e '.[hub]'" in refused("push", paddle, "me/none")
    assert "pip install -e '.[hub]'" in refused("pull", "me/none", "out")
