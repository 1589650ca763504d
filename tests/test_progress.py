"""Progress is a bar on a terminal and a few plain lines elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from worldgan import progress as display
from worldgan.progress import part, progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number, the time."""
    now = [0.0]
    monkeypatch.setattr("worldgan.progress.time.monotonic", lambda: now[0])
    return now


@pytest.fixture(params=[True, False])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    shown = io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=shown, force_terminal=request.param, width=120))
    return shown


def test_names_are_no_markup(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with progress("collect [/red] mine[bold]", 10, every=0) as report:
        report(5, "at [/] 7")
    assert "collect [/red] mine[bold]" in screen.getvalue()
    assert "at [/] 7" in screen.getvalue()


def test_lines_come_at_intervals_and_say_how_far(
    capsys: pytest.CaptureFixture[str], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress("train", 1000, every=15) as report:
        for second in range(61):
            clock[0] = second
            report(10 * second, f"loss {second}")
    out, lines = capsys.readouterr()
    assert out == ""
    assert lines.splitlines() == [
        f"train: {10 * t:,} of 1,000, 10.0 steps/s  loss {t}" for t in (15, 30, 45, 60)
    ]  # fmt: skip


def test_the_rate_is_of_this_session(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with progress("train", 1000, every=5, unit="%") as report:
        for second in range(11):
            clock[0] = second
            report(900 + 2 * second)
    assert all("2.0 %/s" in line for line in capsys.readouterr().err.splitlines())


def test_what_is_quick_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 3) as report:
        for step in range(4):
            report(step)
    assert capsys.readouterr() == ("", "")


def test_errors_pass_through(screen: io.StringIO) -> None:
    def fail() -> None:
        with progress("train", 3) as report:
            report(1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()


def test_a_part_moves_the_whole_within_its_share() -> None:
    seen: list[tuple[float, str]] = []

    def whole(done: float, note: str = "") -> None:
        seen.append((done, note))

    report = part(whole, 40, 60, 10)
    for done in (0, 5, 10):
        report(done, "here")
    assert seen == [(40, "here"), (50, "here"), (60, "here")]
    part(None, 0, 1, 1)(0.5)  # nobody listens
