"""A short sample of ``make faults``, in a process of its own: it forks, which a process with threads must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SKIP = ("step train", "full train", "read-only train", "clock")  # seconds each, and only the whole suite has them


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("faults") / "faults.json"
    command = [sys.executable, str(HERE / "run.py"), "--share", "0.005", "--out", str(out), "--skip", *SKIP]
    done = subprocess.run(command, capture_output=True, text=True)
    assert out.exists(), done.stderr
    return dict(json.loads(out.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="forks, kills and limits memory as Linux does")
def test_what_has_to_hold_does(found: dict[str, Any]) -> None:
    assert not [failure for each in found.values() for failure in each["failures"]]
    assert all(each["tried"] > 1 or "not tried: it takes root and mount" in each["counts"] for each in found.values())
    assert len(found) > 15
