"""Commands that have to fail, and what they are given."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
from command_lines import Refused
from tiny import dot_store

from worldgan import cli
from worldgan.training.checkpoint import Run


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


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """A data set that no Paddle model fits."""
    return dot_store(tmp_path / "dots")


@pytest.fixture
def paddle(paddle_run: Run, tmp_path: Path) -> Path:
    """A run of one's own to harm."""
    return shutil.copytree(paddle_run.path, tmp_path / "gan")
