"""Everything that docs/interchange.md shows is done, in order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from films import film
from hub_stub import Hub
from pages import blocks, perform

from worldgan.data.store import EpisodeStore
from worldgan.training.checkpoint import Run

pytest.importorskip("minari", reason="the extra is not installed")
pytest.importorskip("huggingface_hub", reason="the extra is not installed")

PAGE = "interchange.md"


def episodes(store: EpisodeStore) -> list[bytes]:
    return [store.file(index).read_bytes() for index in store.indices()]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_the_page(
    paddle_run: Run, paddle_data: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    shutil.copytree(paddle_run.path, "runs/paddle-gan")
    shutil.copytree(paddle_data, "data/paddle")
    Path("recordings").mkdir()
    for name in ("morning", "evening"):
        film(Path("recordings", f"{name}.webm"), 4)
    [table] = [text for language, text in blocks(PAGE) if language == "csv"]
    Path("recordings/moves.csv").write_text(table)
    perform(PAGE)
    again, before = (EpisodeStore.open(tmp_path / "data" / name) for name in ("paddle-again", "paddle"))
    assert episodes(again) == episodes(before)
    assert again.spec == before.spec
    recorded = EpisodeStore.open(tmp_path / "data" / "recordings")
    assert [recorded.rewards(i).tolist() for i in recorded.indices()] == [[0, 0.5, 1], [0]]
    assert EpisodeStore.open(tmp_path / "data" / "imagined").steps >= 500
    assert Run("runs/theirs").model().spec == Run("runs/again").model().spec == before.spec
    assert hub.repos.keys() == {"someone/paddle-gan"}
