"""Shards: many play a data set side by side, without a word to each other, and it is that of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from data_fakes import COUNTING, SPEC, CountingEnv, make_episode

from worldgan.data.collect import RandomPolicy, collect
from worldgan.data.shards import Shard, ShardShelf
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.executor import Executor
from worldgan.files import PAUSE, sole_writer

STEPS = 600


def play(out: Path, shard: str | None = None, **options: Any) -> None:
    """A shard; without one, put in place what all have played."""
    collect(CountingEnv, COUNTING, out, steps=STEPS, shard=Shard.named(shard) if shard else None, **options)


def whole(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture
def one(tmp_path: Path) -> dict[str, bytes]:
    """All that a process leaves that plays alone."""
    play(tmp_path / "one")
    return whole(tmp_path / "one")


@pytest.mark.parametrize("executor", [None, Executor()])
@pytest.mark.parametrize("order", [(1,), (2, 1), (3, 1, 4, 2)])
def test_what_shards_play_is_what_one_plays(
    tmp_path: Path, one: dict[str, bytes], order: tuple[int, ...], executor: Executor | None
) -> None:
    out = tmp_path / "out"
    for number in order:
        play(out, f"{number}/{len(order)}", executor=executor)
    assert not list(out.glob("episodes/*.ep"))
    play(out)
    assert whole(out) == one


def test_shards_play_what_is_needed_and_little_more(tmp_path: Path, one: dict[str, bytes]) -> None:
    for number in (3, 1, 4, 2):
        play(tmp_path / "out", f"{number}/4", num_envs=1)
    needed = {Path(name).stem for name in one if name.endswith(".ep")}
    played = {file.stem for file in tmp_path.glob("out/episodes/*.ahead")}
    assert len(needed - played) <= 4
    assert len(played - needed) <= 4


def test_a_shard_goes_by_what_others_have_finished(tmp_path: Path) -> None:
    shelf = ShardShelf(EpisodeStore.create(tmp_path, SPEC, seed=0, policy="p"), 100, Shard(1, 2))
    others = EpisodeStore.create(tmp_path, SPEC, seed=0, policy="p")
    while not shelf.complete:
        shelf.put(shelf.claim(), 10, bytes)
        if shelf.count == 4:  # with others as long as these, one more would do
            for index in range(1, 40, 2):
                others.add(index, make_episode(index, 1))
                others.file(index).rename(others.file(index).with_suffix(".ahead"))
    assert (shelf.count, shelf.steps) == (10, 100)  # and as many of the others', of a step each


SCRIPT = """
import sys; from functools import partial; from pathlib import Path
sys.path.insert(0, {here!r})
from data_fakes import COUNTING, CountingEnv
from worldgan.data.collect import collect
from worldgan.data.shards import Shard
collect(partial(CountingEnv, delay=0.002), COUNTING, Path({out!r}), steps={steps}, num_envs=2, shard=Shard(2, 3))
"""


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Episodes that wait, and what would change if they were written again."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.glob("episodes/*.ahead")}


def test_a_killed_shard_keeps_what_it_had_and_plays_the_rest(tmp_path: Path, one: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    code = SCRIPT.format(here=str(Path(__file__).parent), out=str(out), steps=STEPS)
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 60
        while len(finished(out)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = finished(out)
    for shard in ("2/3", "1/3", "3/3"):
        play(out, shard)
        assert kept.items() < finished(out).items()
    play(out)
    assert whole(out) == one


def test_one_that_was_thought_dead_does_no_harm(
    tmp_path: Path, one: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sync, twins = tmp_path / "out", os.fsync, list[str]()
    play(out, "2/2")

    def meanwhile(descriptor: int) -> None:
        """The first file of the shard is written, and not yet in place: its twin plays the same."""
        if not twins:
            twins.append("1/2")
            play(out, "1/2")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", meanwhile)
    play(out, "1/2")
    assert twins
    play(out)
    assert whole(out) == one


def test_nothing_is_put_in_place_while_shards_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    play(out, "1/2")
    with sole_writer(out, shared=True):
        play(out, "2/2")
        with pytest.raises(WorldganError, match="another process is at work"):
            play(out)
    monkeypatch.setattr("worldgan.data.store.PATIENCE", 0.0)
    with sole_writer(out), pytest.raises(WorldganError, match="another process is at work"):
        play(out, "2/2")


def test_of_shards_that_begin_at_once_one_describes_the_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with ExitStack() as other:
        other.enter_context(sole_writer(out))

        def wait(seconds: float) -> None:
            EpisodeStore.create(out, COUNTING, seed=1, policy="p")
            other.close()

        monkeypatch.setattr("time.sleep", wait)
        with pytest.raises(WorldganError, match="expected seed 1 as in the data set"):
            play(out, "1/2")


def test_one_that_begins_while_another_describes_the_data_set_waits_for_it(
    tmp_path: Path, one: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, waited = tmp_path / "out", list[float]()
    play(out, "1/2")
    with ExitStack() as other:
        other.enter_context(sole_writer(out))

        def wait(seconds: float) -> None:
            if seconds:  # the env's own pauses are none
                waited.append(seconds)
            other.close()

        monkeypatch.setattr("time.sleep", wait)
        play(out, "2/2")
    assert waited == [PAUSE]
    play(out)
    assert whole(out) == one


@pytest.mark.parametrize("words", ["3", "0/3", "4/3", "a/3", "3/", "1/2/3", "-1/3", ""])
def test_words_that_mean_no_shard_are_refused(words: str) -> None:
    with pytest.raises(WorldganError, match="shard"):
        Shard.named(words)


def test_a_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="random play"):
        play(tmp_path / "out", "1/2", policy=RandomPolicy(COUNTING.actions))
    assert not (tmp_path / "out").exists()
