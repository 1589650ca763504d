"""Damage anywhere in a data set is found and named; set aside, what is gone is made again, bit for bit."""

from __future__ import annotations

import errno
import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_fakes import COUNTING, LENGTHS, SPEC, CountingEnv, make_episode
from fakes import PerfectModel, dot_window

from worldgan import cli
from worldgan.data.collect import collect
from worldgan.data.damage import repair, verify
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.files import sole_writer
from worldgan.imagine import imagine


def flip(file: Path, place: int, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)


def same(file: Path, told: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(file.read_bytes()) == told)
    except ValueError:
        return False


def whole(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.glob("episodes/*")}


def test_a_sound_data_set_has_no_damage(store: EpisodeStore) -> None:
    found = verify(store.path)
    assert (found.episodes, found.steps) == (len(LENGTHS), sum(LENGTHS))
    assert not found.damaged
    assert not found.missing


def test_every_byte_is_read(tmp_path: Path) -> None:
    store = EpisodeStore.create(tmp_path, SPEC, seed=0, policy="p")
    store.add(0, make_episode(0, 1))
    file = store.file(0)
    data = file.read_bytes()
    for place in range(len(data)):
        flip(file, place, bit=place % 8)
        assert list(verify(store.path).damaged) == [file]
        file.write_bytes(data)
    for size in range(len(data)):
        file.write_bytes(data[:size])
        assert list(verify(store.path).damaged) == [file]


def test_a_bit_of_the_description_is_not_missed(store: EpisodeStore) -> None:
    file = store.path / "dataset.json"
    data = file.read_bytes()
    told = json.loads(data)
    for place in np.random.default_rng(0).integers(len(data), size=100).tolist():
        flip(file, place, bit=place % 8)
        blank = data[place : place + 1].isspace()  # another one between words says the same
        with nullcontext() if blank and same(file, told) else pytest.raises(WorldganError, match=r"dataset\.json"):
            verify(store.path)
        file.write_bytes(data)


def test_a_description_without_a_checksum_is_read(store: EpisodeStore) -> None:
    file = store.path / "dataset.json"
    told = json.loads(file.read_bytes())
    del told["crc32"]
    file.write_text(json.dumps(told))
    assert not verify(store.path).damaged
    assert EpisodeStore.create(store.path, SPEC, seed=3, policy="random").indices() == store.indices()


@pytest.mark.parametrize("harmed", [(4,), (0, 3, 9)])
def test_what_was_set_aside_is_played_again(tmp_path: Path, harmed: tuple[int, ...]) -> None:
    store = collect(CountingEnv, COUNTING, tmp_path, steps=200, num_envs=3)
    before = whole(tmp_path)
    for index in harmed:
        flip(store.file(index), -9)
    (tmp_path / "episodes" / ".00000003.tmp.ep").write_bytes(b"half")
    (tmp_path / ".dataset.tmp.json").write_bytes(b"half")
    found = repair(tmp_path)
    assert found.missing == harmed
    assert len(found.leftovers) == 2
    assert [file.name for file in sorted((tmp_path / "damaged").iterdir())] == [f"{i:08d}.ep" for i in harmed]
    sound = verify(tmp_path)
    assert not sound.damaged
    assert not sound.leftovers
    assert sound.missing == harmed
    assert EpisodeStore.open(tmp_path).steps == found.steps
    collect(CountingEnv, COUNTING, tmp_path, steps=200, num_envs=3)
    assert whole(tmp_path) == before


def test_imagined_episodes_are_imagined_again(tmp_path: Path) -> None:
    window = dot_window(16, context=2, horizon=1)
    starts = (window.frames[:, :2], torch.zeros(16, 1, 5))

    def make(path: Path) -> EpisodeStore:
        return imagine(PerfectModel(), starts, path, steps=200, name="perfect", num_envs=4, horizon=30)

    store = make(tmp_path)
    before = whole(tmp_path)
    index = min(store.indices(), key=store.length)  # without it there may still be enough steps
    flip(store.file(index), -1)
    repair(tmp_path)
    make(tmp_path)
    assert whole(tmp_path) == before


def test_what_waits_for_others_is_looked_at(store: EpisodeStore) -> None:
    waiting = store.file(50).with_suffix(".ahead")
    store.file(3).rename(waiting)
    assert not verify(store.path).damaged
    flip(waiting, -1)
    assert list(verify(store.path).damaged) == [waiting]


@pytest.mark.parametrize("name", ["000000001.ep", "\u0661" * 8 + ".ep", "1x2.ahead", "000000099.ahead"])
def test_files_that_are_not_named_as_episodes_are_let_be(tmp_path: Path, name: str) -> None:
    collect(CountingEnv, COUNTING, tmp_path, steps=30)
    stray = tmp_path / "episodes" / name
    stray.write_bytes(b"other")
    collect(CountingEnv, COUNTING, tmp_path, steps=60)
    assert not verify(tmp_path).damaged
    assert stray.read_bytes() == b"other"


def test_what_its_writer_moves_meanwhile_is_not_damaged(store: EpisodeStore) -> None:
    for index in (3, 11):
        store.file(index).rename(store.file(index).with_suffix(".ahead"))

    def write(done: float, note: str = "") -> None:
        """One that waited is put in place, as the first of all files has been read; another is not needed."""
        if store.file(3).with_suffix(".ahead").exists():
            store.file(3).with_suffix(".ahead").rename(store.file(3))
            store.file(11).with_suffix(".ahead").unlink()

    found = verify(store.path, report=write)
    assert (found.episodes, found.steps) == (len(LENGTHS) - 1, sum(LENGTHS[:-1]))
    assert not found.damaged
    assert not found.missing


def test_what_cannot_be_read_is_not_called_damaged_and_stays(
    store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.pread

    def failing(descriptor: int, size: int, place: int) -> bytes:
        if place:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, size, place)

    for broken in (failing, lambda descriptor, size, place: failing(descriptor, size, 1)):  # in the body, in the header
        monkeypatch.setattr("os.pread", broken)
        for look in (verify, repair):
            with pytest.raises(WorldganError, match=r"cannot read .*\.ep: Input/output error"):
                look(store.path)
    assert len(list(store.path.glob("episodes/*.ep"))) == len(LENGTHS)


def test_what_was_set_aside_earlier_stays(store: EpisodeStore) -> None:
    for _ in range(3):
        flip(store.file(4), -1)
        repair(store.path)
        store = EpisodeStore.open(store.path)
        store.add(4, make_episode(4, LENGTHS[4]))
    names = {file.name for file in (store.path / "damaged").iterdir()}
    assert names == {"00000004.ep", "00000004.ep.1", "00000004.ep.2"}


def test_nothing_is_moved_under_a_writer(store: EpisodeStore) -> None:
    flip(store.file(4), -1)
    with sole_writer(store.path), pytest.raises(WorldganError, match="another process"):
        repair(store.path)
    assert store.file(4).exists()


def test_the_verbs_name_what_is_damaged(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(store.path)
    assert cli.main(["data", "verify", path]) == 0
    flip(store.file(4), -1)
    capsys.readouterr()
    assert cli.main(["data", "verify", path]) == 2
    out, line = capsys.readouterr()
    assert "00000004.ep is damaged (checksum of a block)" in out
    assert "got 1 file damaged: " in line
    assert cli.main(["data", "repair", path]) == 0
    assert "1 file moved" in capsys.readouterr().out
    assert cli.main(["data", "verify", path]) == 0
    assert cli.main(["data", "verify", f"{path}/none"]) == 2
