"""Families are trained alike, judged alike, written up together, and never trained twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from worldgan import cli, compare
from worldgan.cli.modelling import of_family
from worldgan.errors import WorldganError
from worldgan.evaluation import yardstick
from worldgan.evaluation.figures import Panel, chart
from worldgan.training.checkpoint import Run

SMALL = ["model.backbone.width=16", "model.backbone.context=2", "model.outcome_width=16", "training.batch=4"]
SMALL += ["training.rollout=[1]", "training.starts=8", "gan.model.adversary.width=16"]


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, with as little of everything as there can be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)
    for name, value in {"JUDGE_UPDATES": 2, "JUDGE_BATCH": 4, "SPEED_SECONDS": 0.0}.items():
        monkeypatch.setattr(compare, name, value)
    for name, value in {"SINGLE": 8, "ROLLOUTS": 3, "USUAL": 40, "CONTEXTS": 2, "SAMPLES": 4, "GALLERY": 2}.items():
        monkeypatch.setattr(yardstick, name, value)
    monkeypatch.setattr("worldgan.evaluation.write_up.chart", once)


DRAWN: dict[str, Image.Image] = {}


def once(panel: Panel) -> Image.Image:
    """Charts take longest, so each is drawn in one test alone."""
    if panel.title not in DRAWN:
        DRAWN[panel.title] = chart(panel)
    return DRAWN[panel.title]


def command(data: Path, *more: object, out: str = "out", families: tuple[str, ...] = ("gan", "mse")) -> list[str]:
    sizes = ("--horizon", 4, "--windows", 3, "--samples", 2, "--drift", 6)
    line = ["compare", "--data", data, "--families", *families, "--out", out, *sizes, "--set", *SMALL, *more]
    return [str(word) for word in line]


def refused(line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(line) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def finite(value: Any) -> bool:
    """Whether something was measured, and all that was is a number."""
    if isinstance(value, dict | list):
        items = list(value.values()) if isinstance(value, dict) else value
        return bool(items) and all(finite(item) or item is None for item in items)
    return isinstance(value, int | float)


def test_families_are_compared_and_not_trained_twice(paddle_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command(paddle_data, "--steps", 2)) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("gan", "mse", "copy-last", "PSNR", "page at out/index.html"))
    found = json.loads(Path("out/metrics.json").read_text())
    assert list(found["measures"]) == ["gan", "mse", "copy-last", "real"]
    for family in ("gan", "mse"):
        measures = found["measures"][family]
        assert all(finite(value) for value in measures.values())
        assert measures["cost"]["updates"] == 2
        assert {len(values) for values in measures["horizons"].values()} == {4}
        assert {len(values) for values in measures["drift"].values()} == {3}  # at 1, 3 and 6 steps
    assert found["measures"]["gan"]["cost"]["parameters"] > found["measures"]["mse"]["cost"]["parameters"]
    for name in ("horizons.png", "spectrum.png", "drift.png", "known.png", "strip.png", "rollout.gif"):
        with Image.open(Path("out", name)) as image:
            assert min(image.size) > 30
    html = Path("out/index.html").read_text()
    assert "worldgan compare --data" in html
    assert "gan and mse on worldgan/Paddle-v0" in html
    assert all(f">energy score, step {step}<" in html for step in (1, 4))
    assert html.count("<section>") == 8
    assert "src=" in html
    assert html.count("src=") == html.count('src="data:image/')

    weights = {family: Path("out/runs", family, "weights.safetensors").read_bytes() for family in ("gan", "mse")}
    judge = Path("out/judge.safetensors").stat().st_mtime_ns
    assert cli.main(command(paddle_data, "--steps", 2)) == 0
    again = json.loads(Path("out/metrics.json").read_text())
    for family, before in weights.items():
        assert Path("out/runs", family, "weights.safetensors").read_bytes() == before
        assert Run(Path("out/runs", family)).info().progress["step"] == 2
        for name in ("horizons", "spectrum", "feature_distance", "actions", "drift", "known"):
            assert again["measures"][family][name] == found["measures"][family][name]
    assert Path("out/judge.safetensors").stat().st_mtime_ns == judge


def test_what_was_measured_survives_a_family_that_fails(
    paddle_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = compare.train

    def train(data: Path, experiment: Any, out: Path, **options: Any) -> Run:
        if experiment.family == "mse":
            raise WorldganError("training diverged")
        return trained(data, experiment, out, **options)

    monkeypatch.setattr(compare, "train", train)
    assert "training diverged" in refused(command(paddle_data, "--steps", 1), capsys)
    assert list(json.loads(Path("out/metrics.json").read_text())["measures"]) == ["gan", "copy-last", "real"]


@pytest.mark.parametrize(
    ("families", "more", "message"),
    [
        (("gan", "msee"), ["--steps", 1], "unknown family 'msee': did you mean 'mse'?"),
        ((), ["--steps", 1], "expected at least one family to compare, got none"),
        (("mse", "mse"), ["--steps", 1], "expected different families, got mse, mse"),
        (("gan", "mse"), [], "the same for all families, got steps=None, minutes=None"),
        (
            ("gan", "mse"),
            ["--steps", 1, "--minutes", 1],
            "either steps or minutes, the same for all families, got steps=1",
        ),
        (
            ("gan", "mse"),
            ["--steps", 1, "--drift", 0],
            "expected horizon, windows, samples and drift >= 1, got 4, 3, 2, 0",
        ),
        (
            ("gan", "mse"),
            ["--steps", 1, "--horizon", 900],
            "expected an episode of at least 900 steps in the val split",
        ),
        (("gan", "mse"), ["--steps", 1, "--set", "mse.model.backbone.context=3"], r"one context length to compare"),
        (("gan", "mse"), ["--set", "training.steps=3", "mse.training.steps=2"], "the same for all families"),
        (("gan", "mse"), ["--steps", 1, "--set", "model.events=2"], "unknown config key 'model.events'"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(
    families: tuple[str, ...], more: list[object], message: str, paddle_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(command(paddle_data, *more, families=families), capsys)
    assert not Path("out").exists()


def test_only_a_folder_of_this_comparison_is_written_to(paddle_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("dear")
    for out in ("mine", "mine/diary.txt"):
        assert "new or an empty folder" in refused(command(paddle_data, "--steps", 1, out=out), capsys)
    Path("out").mkdir()
    Path("out/comparison.json").write_text('{"format": 1')
    assert "comparison.json is damaged" in refused(command(paddle_data, "--steps", 1), capsys)
    Path("out/comparison.json").write_text('{"format": 1, "spec": {"id": "other"}}')
    assert "expected spec {'id': 'other'} as in the comparison at out" in refused(
        command(paddle_data, "--steps", 1), capsys
    )
    assert {path.name for path in Path("out").iterdir()} == {"comparison.json"}


def test_settings_are_for_all_families_or_for_one() -> None:
    given = ["training.batch=4", "gan.model.events=2", "mse.model.average=0.5"]
    assert of_family("gan", ("gan", "mse"), given) == ["training.batch=4", "model.events=2"]
    assert of_family("mse", ("gan", "mse"), given) == ["training.batch=4", "model.average=0.5"]
