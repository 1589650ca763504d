"""A short sample of ``make faults``, in a process of its own: it forks, which a process with threads must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from page import page
from tally import NOT_TRIED

HERE = Path(__file__).parent
VERBS = ("collect", "train", "learn", "bench")
SKIP = (
    *("step train", "step learn", "clock"),
    *(f"{fault} {verb}" for fault in ("two", "full", "read-only") for verb in VERBS[1:]),
)
"""Seconds each, or a minute: only the whole suite has them."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, kills and limits memory as Linux does")


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("faults") / "faults.json"
    command = [sys.executable, str(HERE / "run.py"), "--share", "0.002", "--out", str(out), "--skip", *SKIP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert out.exists(), done.stderr
    return dict(json.loads(out.read_text()))


def test_what_has_to_hold_does(found: dict[str, Any]) -> None:
    assert not [failure for each in found.values() for failure in each["failures"]]
    assert all(each["tried"] > 1 for each in found.values() if NOT_TRIED not in each["counts"])
    assert len(found) > 15


def test_kills_meet_every_verb_at_work(found: dict[str, Any]) -> None:
    assert [found[f"kill {verb}"]["counts"]["at work"] for verb in VERBS] == [2] * len(VERBS)
    assert "at work 8 times (collect 2, train 2, learn 2, bench 2) at a random moment" in page(found)


def test_parts_are_put_together(found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(found)
    for part in (names[:5], names[3:]):
        (tmp_path / f"{len(part)}.json").write_text(json.dumps({name: found[name] for name in part}))
    parts = list(map(str, tmp_path.iterdir()))
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which it adds folders
    import run

    monkeypatch.setattr(sys, "argv", ["run.py", "--out", str(tmp_path / "all.json"), "--merge", *parts])
    assert run.main() == 0
    assert json.loads((tmp_path / "all.json").read_text()) == found
    assert {"commit", "seconds"} < found["cut"].keys()


def test_folders_that_may_not_be_written_are_among_it(found: dict[str, Any]) -> None:
    if NOT_TRIED in found["read-only collect"]["counts"]:
        pytest.skip(NOT_TRIED)
    assert found["read-only collect"]["tried"] > 1
