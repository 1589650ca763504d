"""What a user types works, and the help says how."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_lines import PADDLE
from PIL import Image
from tiny import settings

from worldgan import cli
from worldgan.agents import PLANNERS, SIGNALS
from worldgan.data.store import EpisodeStore
from worldgan.learn import LearnConfig, Progress, Round
from worldgan.training.checkpoint import Run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train"],
        ["train", "--data", "x", "--out", "y", "--steps", "many"],
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


@pytest.mark.parametrize(("verb", "names"), [("plan", {*PLANNERS, *SIGNALS}), ("imagine", {*PLANNERS})])
def test_help_lists_all_names(verb: str, names: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert words >= names


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
    one = settings_seen(monkeypatch, "--set", "model.events=4", "training.batch=7", "training.rollout=[1, 2]")
    many = settings_seen(
        monkeypatch, "--set", "model.events=4", "--set", "training.batch=7", "--set", "training.rollout=[1, 2]"
    )
    assert one == many
    assert (one.model, one.training.batch, one.training.rollout) == ({"events": 4}, 7, (1, 2))


def test_options_win_over_settings_and_settings_over_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = settings_seen(monkeypatch, "--config", "demo")
    assert preset.training.minutes is not None
    changed = settings_seen(monkeypatch, "--config", "demo", "--set", "family=gan", "--family", "mse", "--steps", "3")
    assert (changed.family, changed.training.steps, changed.training.minutes) == ("mse", 3, None)
    assert changed.training.batch == preset.training.batch


def test_a_seed_is_that_of_the_settings_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[LearnConfig] = []

    def learn(make_env: Any, spec: Any, config: LearnConfig, out: Path, **options: Any) -> Progress:
        seen.append(config)
        return Progress(spec, config, (Round(9, 1, 1, 1, 0.0, None),))

    monkeypatch.setattr("worldgan.learn.learn", learn)
    line = ["learn", "--env", PADDLE, "--budget", "9", "--out", "o", "--set", "seed=2", "dream.seed=3", "budget=5"]
    for more in ([], ["--seed", "4"]):
        assert cli.main([*line, *more]) == 0
    asked = [(config.budget, config.seed, config.training.seed, config.dream.seed) for config in seen]
    assert asked == [(9, 2, 0, 3), (9, 4, 4, 4)]


def test_from_nothing_to_a_played_episode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline: collect, train twice, evaluate, learn in imagination, plan."""

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
    assert all(word in printed for word in ("gan", "mse", "copy-last", "PSNR", "ranking of 10 policies over 5 steps"))
    assert json.loads(Path("report/ranking.json").read_text()).keys() == {"gan", "mse"}
    curves = json.loads(Path("report/metrics.json").read_text())
    assert curves.keys() == {"gan", "mse", "copy-last"}
    assert all(len(values) == 5 for curve in curves.values() for values in curve.values())
    for name in ("horizons.png", "strip.png", "rollout.gif", "ranking.png"):
        with Image.open(tmp_path / "report" / name) as image:
            assert min(image.size) > 30
    planning = ("--horizon", 4, "--candidates", 4, "--episodes", 1, "--max-steps", 5)
    cautious = ("--pessimism", 0.5)
    plans = {"shooting": (*cautious, "--distrust", "disagreement", "--ensemble", "mse", "mse"), "icem": ()}
    plans["mcts"] = ("--set", "simulations=3", *cautious)
    assert "agent at" in run("dream", "gan", "--out", "agent", "--steps", 2, "--set", "batch=4", "units=8")
    assert "agent at" in run("dream", "gan", "--out", "agent", "--steps", 3, "--resume", "--set", "batch=4", "units=8")
    ranked = ("--agent", "agent", "--policies", 3, "--horizon", 3, "--windows", 2)
    run("evaluate", "--runs", "gan", "--data", "data", "--out", "ranked", *ranked)
    policies = json.loads(Path("ranked/ranking.json").read_text())["gan"]["policies"]
    assert policies == ["random", "planner, epsilon 0", "actor, epsilon 0"]
    plans |= {"actor": ("--agent", "agent"), "cem": ("--agent", "agent")}
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
    assert EpisodeStore.open(tmp_path / "own").policy.startswith("gan at step 3, epsilon 0.1")


def test_shards_are_played_and_put_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["collect", "--env", PADDLE, "--steps", "60", "--out", "data"]
    for shard, said in {"2/2": "without --shard", "1/2": "shard 1/2 has", "": "steps in"}.items():
        assert cli.main([*line, *(["--shard", shard] if shard else [])]) == 0
        assert said in capsys.readouterr().out
    assert EpisodeStore.open(Path("data")).steps >= 60


def test_learning_online(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("updates=1", "dreams=1", "dream.batch=4", "dream.units=8", "dream.horizon=2", "training.recent=0.5")
    line = ("learn", "--env", PADDLE, "--env-args", "size=8", "--out", "learnt", "--family", "mse", "--set", *small)
    for more in (("--budget", "10"), ("--budget", "20", "--resume")):
        assert cli.main([*line, *settings("mse"), "every=10", *more]) == 0
        assert "at learnt" in capsys.readouterr().out
    assert len(json.loads(Path("learnt/learn.json").read_text())["rounds"]) == 2


def test_runs_of_one_family_keep_their_names(
    paddle_run: Run, paddle_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for parent in ("a", "b"):
        shutil.copytree(paddle_run.path, Path(parent, "run"))
    line = ["evaluate", "--runs", "a/run", "b/run", "--data", str(paddle_data), "--out", "report", "--horizon", "2"]
    assert cli.main([*line, "--windows", "2", "--samples", "1"]) == 0
    assert "a/run" in capsys.readouterr().out
    assert json.loads(Path("report/metrics.json").read_text()).keys() == {"a/run", "b/run", "copy-last"}
