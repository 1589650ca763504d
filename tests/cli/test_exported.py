"""An exported file is measured, imagined with and planned in where a run is, or one line says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_lines import PADDLE, Refused, plan_line

from worldgan import cli
from worldgan.data.store import EpisodeStore
from worldgan.export import product
from worldgan.play.run import real, worlds
from worldgan.play.session import Session
from worldgan.training.checkpoint import Run

MEASURING = ["--horizon", "3", "--windows", "2", "--samples", "1"]


@pytest.fixture(scope="module")
def file(paddle_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return product.save(product.produce(paddle_run, seconds=0.01), tmp_path_factory.mktemp("exported"))


def done(*arguments: object) -> None:
    assert cli.main([str(argument) for argument in arguments]) == 0


def test_it_measures_as_its_run_does(file: Path, paddle_run: Run, paddle_data: Path) -> None:
    for out, model in (("run", paddle_run.path), ("file", file)):
        done("evaluate", "--runs", model, "--data", paddle_data, "--out", out, *MEASURING)
    run, exported = (json.loads(Path(out, "metrics.json").read_text()) for out in ("run", "file"))
    assert exported["gan"]["psnr"] == pytest.approx(run["gan"]["psnr"], abs=0.1)
    done("evaluate", "--runs", file, paddle_run.path, "--data", paddle_data, "--out", "both", *MEASURING)
    both = json.loads(Path("both", "metrics.json").read_text())
    assert both.keys() == {str(file), str(paddle_run.path), "copy-last"}


def test_it_imagines_a_data_set_that_names_it(file: Path) -> None:
    done("imagine", file, "--steps", 6, "--out", "data", "--num-envs", 2, "--horizon", 3)
    store = EpisodeStore.open(Path("data"))
    assert store.steps >= 6
    assert store.policy.startswith(f"imagined by {file} of crc32 ")


@pytest.mark.parametrize("planner", [["shooting"], ["mcts", "--set", "simulations=3"]])
def test_it_is_planned_in(file: Path, planner: list[str]) -> None:
    small = ["--horizon", 2, "--candidates", 4, "--episodes", 1, "--max-steps", 2, "--planner", *planner]
    done(*plan_line(file, PADDLE, *map(str, small)))
    assert len(json.loads(Path("plan", "returns.json").read_text())["returns"]) == 1


def test_it_is_played_without_a_critic(file: Path, paddle_run: Run) -> None:
    found = worlds([file, paddle_run.path])
    assert [*found] == [str(file), str(paddle_run.path)]
    spec = paddle_run.info().spec
    session = Session(found, real(spec)[0], None, 0)
    assert session.step(1).realism is None
    assert session.futures(2).probability.sum(1) == pytest.approx(1)
    session.switch(str(paddle_run.path))
    assert session.step(1).realism is not None


def test_what_takes_more_than_a_file_says_so(file: Path, refused: Refused) -> None:
    for distrust in ("realism", "surprise"):
        line = refused(*plan_line(file, PADDLE, "--pessimism", "1", "--distrust", distrust))
        assert f"the exported file {file} cannot tell its {distrust}" in line
    assert "it needs an ensemble" in refused(*plan_line(file, PADDLE, "--pessimism", "1", "--distrust", "disagreement"))
    for verb in (["export", file, "--onnx"], ["push", file, "me/none"]):
        assert f"expected the folder of a run, got {file}, which is a file" in refused(*verb)
