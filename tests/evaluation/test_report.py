import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fakes import PerfectModel, dot_window
from PIL import Image

from worldgan import pictures, pixels
from worldgan.errors import WorldganError
from worldgan.evaluation import report
from worldgan.evaluation.rollouts import Curves, measure
from worldgan.rollout import copy_last, rollout


@pytest.fixture
def families() -> dict[str, Curves]:
    window = dot_window(horizon=6)
    perfect = rollout(PerfectModel(), window, torch.Generator())
    return {"perfect": measure(perfect, window), report.REFERENCE: measure(copy_last(window), window)}


def moving(channels: int = 3, steps: int = 6) -> np.ndarray:
    """uint8 [4, steps, 8, 8, C]"""
    return pixels.to_array(dot_window(4, horizon=steps - 2, channels=channels, seed=2).frames)


def test_report_files(tmp_path: Path, families: dict[str, Curves]) -> None:
    report.write_report(tmp_path / "new", families)
    assert json.loads((tmp_path / "new/metrics.json").read_text()) == families
    with Image.open(tmp_path / "new/horizons.png") as image:
        assert image.size == (1100, 1155)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"metrics.json", "horizons.png"}


def test_table_shows_measured_horizons_and_defined_metrics(families: dict[str, Curves]) -> None:
    lines = report.table(families).splitlines()
    assert lines[0].split() == ["horizon", "1", "5"]
    assert lines[1:4] == [report.NAMES["psnr"], "  perfect      60.00    60.00", lines[3]]
    undefined = {name: {"termination_recall": [None] * 6} for name in families}
    assert "recall" not in report.table(undefined)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_strip_has_a_cell_per_row_and_horizon(tmp_path: Path, channels: int) -> None:
    real = moving(channels)
    path = tmp_path / "strip.png"
    pictures.strip(path, {"real": real, "gan": real, "mse": np.zeros_like(real)}, horizons=(1, 3, 5, 50), scale=4)
    with Image.open(path) as image:
        width, height = image.size
        shades = np.asarray(image.convert("RGB"))
    left = width - 3 * (8 * 4 + 3) - 3
    assert 12 < left < 60
    assert height == 24 + 4 * (3 * (8 * 4 + 3) + 12) - 9
    cell = shades[24 : 24 + 32, left : left + 32]
    np.testing.assert_array_equal(cell[::4, ::4], pixels.to_rgb(real[0, 0]))


def test_a_strip_with_heads_shows_every_column(tmp_path: Path) -> None:
    real = moving()
    pictures.strip(tmp_path / "a.png", {"real": real}, heads=["now", *"12345"], scale=4)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 6 * 8 * 4


def test_gif_holds_every_frame(tmp_path: Path) -> None:
    clip = np.stack([np.roll(moving()[0, 0], step, 1) for step in range(7)])
    pictures.animate(tmp_path / "a.gif", {"real": clip, "copy-last": clip}, fps=10, scale=6)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 7
        assert image.info["duration"] == 100
    assert (tmp_path / "a.gif").stat().st_size < 50_000


def test_webm_holds_every_frame(tmp_path: Path) -> None:
    clip = np.stack([np.roll(moving(1)[0, 0], step, 1) for step in range(7)])
    pictures.animate(tmp_path / "a.webm", {"real": clip, "gan": clip}, fps=15, scale=5)
    video = cv2.VideoCapture(str(tmp_path / "a.webm"))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == 7
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(15)
    video.release()


def test_large_gifs_lose_colours_not_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    pictures.animate(tmp_path / "full.gif", {"noise": clip})
    monkeypatch.setattr(pictures, "GIF_BYTES", 1)
    pictures.animate(tmp_path / "small.gif", {"noise": clip})
    assert (tmp_path / "small.gif").stat().st_size < (tmp_path / "full.gif").stat().st_size
    with Image.open(tmp_path / "small.gif") as image:
        assert image.n_frames == 3


def test_bad_requests_are_named(tmp_path: Path) -> None:
    clip = moving()[0]
    with pytest.raises(WorldganError, match=r"\.gif or \.webm"):
        pictures.animate(tmp_path / "a.mp4", {"real": clip})
    with pytest.raises(WorldganError, match="one 4-dimensional shape"):
        pictures.animate(tmp_path / "a.gif", {"real": clip, "gan": clip[1:]})
    with pytest.raises(WorldganError, match="one 5-dimensional shape"):
        pictures.strip(tmp_path / "a.png", {})
    assert not list(tmp_path.iterdir())
