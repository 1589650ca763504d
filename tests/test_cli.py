"""What a user types either works or is answered in one line that says what to do; nothing is ever overwritten."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from PIL import Image
from tiny import alter, dot_store, settings

from worldgan import cli
from worldgan.data.store import EpisodeStore
from worldgan.training.checkpoint import Run

PADDLE = "worldgan/Paddle-v0"
Refused = Callable[..., str]


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in its own empty folder, and does not wait for the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Run a command that has to fail -> its one line."""

    def run(*arguments: object) -> str:
        before = contents(tmp_path)
        assert cli.main([str(argument) for argument in arguments]) == 2
        out, line = capsys.readouterr()
        assert out == ""
        assert line.startswith("worldgan: ")
        assert line.endswith("\n")
        assert line.count("\n") == 1
        assert "Traceback" not in line
        assert len(line) < 600
        assert contents(tmp_path) == before
        return line

    return run


class Blind(gym.Env[Any, Any]):
    """Nothing to look at."""

    metadata = {"render_modes": []}
    observation_space, action_space = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """A data set that no Paddle model fits."""
    return dot_store(tmp_path / "dots")


@pytest.fixture
def paddle(paddle_run: Run, tmp_path: Path) -> Path:
    """A run of one's own to harm."""
    return shutil.copytree(paddle_run.path, tmp_path / "gan")


def train_line(data: Path, out: Path | str = "run", *more: str) -> list[object]:
    """As ``tiny.tiny`` trains."""
    return ["train", "--data", data, "--out", out, "--set", *settings("gan"), *more]


def plan_line(model: Path | str, env: str = PADDLE, *more: str) -> list[object]:
    return ["plan", "--model", model, "--env", env, "--out", "plan", *more]


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
    assert f"the '{extra}' extra is missing: run pip install 'worldgan[{extra}]'" in line


def test_data_of_another_frame_size(dots: Path, paddle: Path, refused: Refused) -> None:
    evaluated = refused("evaluate", "--runs", paddle, "--data", dots, "--out", "report", "--horizon", 3)
    assert "(8, 8, 3)" in evaluated
    assert "(32, 32, 3)" in evaluated
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
    (["model.digitz=3", "training.steps=2"], "unknown config key 'model.digitz': did you mean 'model.digits'?"),
    (["trainning.steps=2"], "unknown config key 'trainning': did you mean 'training'?"),
    (["training.step=2"], "unknown config key 'training.step': did you mean 'training.steps'?"),
    (["family=gna", "training.steps=2"], "unknown family 'gna': did you mean 'gan'?"),
    (["training.steps=many"], "expected int for training.steps, got 'many'"),
    (["training.steps=[1"], "expected YAML in 'training.steps=[1'"),
    (["training.steps"], "expected an override like key=value, got 'training.steps'"),
    (["training.batch=8"], "expected either steps or minutes, got steps=None, minutes=None"),
    (["training.steps=0"], "expected training.steps of at least 1, got 0"),
    (["training.steps=1", "model.adversary.objective=hing"], "unknown objective 'hing': did you mean 'hinge'?"),
    (["training.steps=1", "model.digits=0"], "expected model.digits >= 1, model.values >= 2 and values"),
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
    assert "expected Box actions for mppi" in refused(*plan_line(paddle, PADDLE, "--planner", "mppi"))
    assert "did you mean 'elites'" in refused(*plan_line(paddle, PADDLE, "--set", "elite=0.2"))
    pessimistic = plan_line(paddle, PADDLE, "--pessimism", "1", "--distrust", "disagreement")
    assert "it needs an ensemble (--ensemble, two runs or more)" in refused(*pessimistic)
    assert "at least two runs that may disagree, got 1" in refused(*pessimistic, "--ensemble", paddle)
    assert "pessimism of at least 0, got -1" in refused(*plan_line(paddle, PADDLE, "--pessimism", "-1"))
    evaluate = ("evaluate", "--runs", paddle, "--data", paddle_data, "--out", "report")
    for option in ("--horizon", "--windows", "--samples"):
        assert "expected horizon, windows and samples >= 1" in refused(*evaluate, option, 0)
    collect = ("collect", "--env", PADDLE, "--out", "data")
    assert "expected steps" in refused(*collect, "--steps", 0)
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
    "arguments",
    [
        [],
        ["trian"],
        ["train"],
        ["train", "--data", "x", "--out", "y", "--steps", "many"],
        ["plan", "--planner", "dreams"],
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("verb", ["", *cli.VERBS, "data to-minari", "data from-minari", "data from-video"])
def test_help_is_there_for_every_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*verb.split(), "--help"])
    assert caught.value.code in {0, None}
    assert "usage: worldgan" in capsys.readouterr().out


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
    assert "pip install 'worldgan[minari]'" in refused("data", "to-minari", dots, "--id", "a-v0")
    assert "pip install 'worldgan[minari]'" in refused("data", "from-minari", "a-v0", "--out", "data")
    assert "pip install 'worldgan[hub]'" in refused("push", paddle, "me/none")
    assert "pip install 'worldgan[hub]'" in refused("pull", "me/none", "out")


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("worldgan.envs.diagnose", interrupted)
    assert cli.main(["doctor", "--env", PADDLE]) == 130
    line = capsys.readouterr().err
    assert "--resume" in line
    assert line.count("\n") == 1


def test_a_process_of_its_own_says_one_line_too(tmp_path: Path) -> None:
    code = "import sys; from worldgan.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "plan", "--model", "none", "--env", PADDLE, "--out", "plan"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "worldgan: expected a run at none, found no run.json: train one first\n"


def settings_seen(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """The experiment that a train command asks for."""
    seen: list[Any] = []
    monkeypatch.setattr(
        "worldgan.training.trainer.train", lambda data, experiment, out, **options: seen.append(experiment)
    )
    assert cli.main(["train", "--data", "d", "--out", "o", *arguments]) == 0
    return seen[0]


def test_settings_may_follow_one_flag_or_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one = settings_seen(monkeypatch, "--set", "model.digits=3", "training.batch=7", "training.rollout=[1, 2]")
    many = settings_seen(
        monkeypatch, "--set", "model.digits=3", "--set", "training.batch=7", "--set", "training.rollout=[1, 2]"
    )
    assert one == many
    assert (one.model, one.training.batch, one.training.rollout) == ({"digits": 3}, 7, (1, 2))


def test_options_win_over_settings_and_settings_over_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = settings_seen(monkeypatch, "--config", "demo")
    assert preset.training.minutes is not None
    changed = settings_seen(monkeypatch, "--config", "demo", "--set", "family=gan", "--family", "mse", "--steps", "3")
    assert (changed.family, changed.training.steps, changed.training.minutes) == ("mse", 3, None)
    assert changed.training.batch == preset.training.batch


def test_from_nothing_to_a_played_episode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline: collect, train twice, evaluate, plan."""

    def run(*arguments: object) -> str:
        assert cli.main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    assert "steps in" in run("collect", "--env", PADDLE, "--steps", 300, "--out", "data", "--num-envs", 3)
    store = EpisodeStore.open(tmp_path / "data")
    assert store.steps >= 300
    for family in ("gan", "mse"):
        given = ("--data", "data", "--out", family, "--family", family, "--set", *settings(family))
        assert f"run at {family}" in run("train", *given, "--steps", 2)
        assert f"run at {family}" in run("train", *given, "--steps", 3, "--resume")
        assert Run(tmp_path / family).info().progress["step"] == 3
        assert list((tmp_path / family / "tensorboard").iterdir())
    printed = run(
        "evaluate", "--runs", "gan", "mse", "--data", "data", "--out", "report", "--horizon", 5, "--windows", 4
    )
    assert all(word in printed for word in ("gan", "mse", "copy-last", "PSNR"))
    curves = json.loads(Path("report/metrics.json").read_text())
    assert curves.keys() == {"gan", "mse", "copy-last"}
    assert all(len(values) == 5 for curve in curves.values() for values in curve.values())
    for name in ("horizons.png", "strip.png", "rollout.gif"):
        with Image.open(tmp_path / "report" / name) as image:
            assert min(image.size) > 30
    planning = ("--horizon", 4, "--candidates", 4, "--episodes", 1, "--max-steps", 5)
    cautious = ("--pessimism", 0.5)
    plans = {"shooting": (*cautious, "--distrust", "disagreement", "--ensemble", "mse", "mse"), "icem": ()}
    plans["mcts"] = ("--set", "simulations=3", *cautious)
    for planner, more in plans.items():
        line = ("plan", "--model", "gan", "--env", PADDLE, "--out", planner, "--planner", planner, *planning, *more)
        printed = run(*line)
        assert "over 1 episodes" in printed
        found = json.loads(Path(planner, "returns.json").read_text())
        assert found["returns"] == [found["mean"]]
        assert np.isfinite(found["mean"])
        video = cv2.VideoCapture(str(tmp_path / planner / "plan.webm"))
        assert video.read()[0]
        video.release()
    assert "steps in" in run(
        "collect", "--env", PADDLE, "--steps", 5, "--out", "own", "--policy", "gan", "--num-envs", 1
    )
    assert EpisodeStore.open(tmp_path / "own").policy.startswith("gan, epsilon 0.1")


def test_runs_of_one_family_keep_their_names(
    paddle_run: Run, paddle_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for parent in ("a", "b"):
        shutil.copytree(paddle_run.path, Path(parent, "run"))
    line = ["evaluate", "--runs", "a/run", "b/run", "--data", str(paddle_data), "--out", "report", "--horizon", "2"]
    assert cli.main([*line, "--windows", "2", "--samples", "1"]) == 0
    assert "a/run" in capsys.readouterr().out
    assert json.loads(Path("report/metrics.json").read_text()).keys() == {"a/run", "b/run", "copy-last"}
