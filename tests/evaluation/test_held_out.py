"""Models are compared on the same windows, and only those that can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import PerfectModel, dot_spec
from tiny import dot_store

from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.evaluation.frames import PSNR_CEILING
from worldgan.evaluation.held_out import evaluate


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    return EpisodeStore.open(dot_store(tmp_path / "data", length=30))


def test_a_perfect_model_has_no_error_and_copying_has(store: EpisodeStore, tmp_path: Path) -> None:
    seen: list[float] = []
    report = lambda done, note="": seen.append(done)  # noqa: E731
    models, sizes = {"perfect": PerfectModel(), "twin": PerfectModel()}, {"horizon": 4, "windows": 8, "samples": 2}
    curves = evaluate(models, store, tmp_path / "out", **sizes, report_progress=report)
    assert seen == [1, 2]
    assert curves["perfect"] == curves["twin"]
    assert set(curves["perfect"]["psnr"]) == {PSNR_CEILING}
    assert all(error > 0 for error in curves["copy-last"]["changed_pixel_error"] if error is not None)
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == curves
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"metrics.json", "horizons.png", "strip.png", "rollout.gif"}


def test_the_same_seed_gives_the_same_report(store: EpisodeStore, tmp_path: Path) -> None:
    made = [evaluate({"a": PerfectModel()}, store, tmp_path / str(i), horizon=2, windows=3) for i in range(2)]
    assert made[0] == made[1]
    for name in ("metrics.json", "strip.png", "rollout.gif"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ({"a": PerfectModel(), "b": PerfectModel(3)}, {}, r"one context length to compare, got \[2, 3\]"),
        ({}, {}, "one context length"),
        ({"a": PerfectModel(), "b": PerfectModel(spec=dot_spec(9))}, {}, r"expected b to be trained on .*\(8, 8, 3\)"),
        ({"a": PerfectModel()}, {"horizon": 0}, ">= 1, got 0, 64, 1"),
        ({"a": PerfectModel()}, {"windows": 0}, ">= 1, got 5, 0, 1"),
        ({"a": PerfectModel()}, {"samples": 0}, ">= 1, got 5, 64, 0"),
        ({"a": PerfectModel()}, {"horizon": 31}, "at least 31 steps in the val split"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_written(
    models: dict[str, Any], options: dict[str, int], message: str, store: EpisodeStore, tmp_path: Path
) -> None:
    with pytest.raises(WorldganError, match=message):
        evaluate(models, store, tmp_path / "out", **({"horizon": 5} | options))
    assert not (tmp_path / "out").exists()
