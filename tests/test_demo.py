"""The demo does what the README says it does; with as little of everything as there can be."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from PIL import Image
from tiny import tiny

from worldgan import demo
from worldgan.agents import PlannerConfig
from worldgan.training.trainer import Experiment


def little(kind: type[Experiment], preset: str, settings: tuple[str, ...]) -> Experiment:
    assert (kind, preset) == (Experiment, "demo")
    family, *more = settings
    return tiny(family.removeprefix("family="), "training.steps=2", *more)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)
    monkeypatch.setattr(demo, "load", little)
    monkeypatch.setattr(demo, "PLANNER", PlannerConfig(horizon=2, candidates=2, samples=1))
    for name, value in {"STEPS": 300, "HORIZON": 3, "EPISODES": 2, "MAX_STEPS": 4}.items():
        monkeypatch.setattr(demo, name, value)


def test_tables_numbers_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.run(tmp_path)
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("copy-last", "plan in gan", "plan in mse", "random", "strip.png"))
    found = json.loads((tmp_path / "demo.json").read_text())
    assert found["returns"].keys() == {"random", "plan in gan", "plan in mse"}
    assert found["curves"].keys() == {"gan", "mse", "copy-last"}
    for name in ("report/strip.png", "report/rollout.gif", "report/horizons.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 30
    assert cv2.VideoCapture(str(tmp_path / "plan.webm")).read()[0]


def test_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path)
    before = (tmp_path / "gan" / "weights.safetensors").read_bytes()
    monkeypatch.undo()
    monkeypatch.setattr(demo, "load", little)
    monkeypatch.setattr(demo, "evaluate", interrupted)
    monkeypatch.setattr(demo, "STEPS", 300)
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path)
    assert (tmp_path / "gan" / "weights.safetensors").read_bytes() == before


def interrupted(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt
