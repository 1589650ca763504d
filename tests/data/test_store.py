from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_fakes import LENGTHS, SPEC, make_episode

from worldgan.actions import ActionSpec
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec, Episode

SPECS = [
    SPEC,
    EnvSpec("ten", (10, 10, 10), ActionSpec("discrete", (6,))),
    EnvSpec("grey", (7, 3, 1), ActionSpec("multidiscrete", (3, 2))),
    EnvSpec("box", (8, 8, 3), ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 2.5))),
]


MASKS = ("action_known", "reward_known", "visible")


def same(a: Episode, b: Episode) -> bool:
    arrays = all(
        np.array_equal(getattr(a, name), getattr(b, name)) and getattr(a, name).dtype == getattr(b, name).dtype
        for name in ("frames", "actions", "rewards")
    )
    masks = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in MASKS)  # two None are equal too
    return arrays and masks and (a.terminated, a.truncated) == (b.terminated, b.truncated)


def partial(length: int, *names: str, index: int = 1) -> Episode:
    """An episode with random masks of these names."""
    rng = np.random.default_rng(length)
    shapes = dict(zip(MASKS, [(length,), (length,), (length + 1, *SPEC.frame[:2])], strict=True))
    return replace(make_episode(index, length), **{name: rng.random(shapes[name]) < 0.5 for name in names})


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
@pytest.mark.parametrize("length", [1, 7, 8, 20])
def test_what_was_saved_is_loaded(tmp_path: Path, spec: EnvSpec, length: int) -> None:
    rng = np.random.default_rng(length)
    actions = spec.actions.decode(spec.actions.sample((length,), rng))
    frames = rng.integers(0, 256, (length + 1, *spec.frame), np.uint8)
    saved = Episode(frames, actions, rng.normal(size=length).astype(np.float32), False, True)
    EpisodeStore.create(tmp_path, spec, seed=1, policy="p").add(5, saved)
    loaded = EpisodeStore.open(tmp_path)
    assert same(loaded.episode(5), saved)
    assert (loaded.spec, loaded.seed, loaded.policy) == (spec, 1, "p")
    assert (loaded.indices(), loaded.steps, loaded.length(5)) == ([5], length, length)


@pytest.mark.parametrize("names", [(), MASKS[:1], MASKS[1:2], MASKS[2:], MASKS[1:], MASKS])
@pytest.mark.parametrize("length", [1, 7, 8, 20])
def test_masks_are_kept(tmp_path: Path, names: tuple[str, ...], length: int) -> None:
    saved = partial(length, *names)
    EpisodeStore.create(tmp_path, SPEC, seed=1, policy="p").add(5, saved)
    loaded = EpisodeStore.open(tmp_path)
    assert same(loaded.episode(5), saved)
    assert (saved.visible is None) == (loaded.visible(5, 0, 1) is None)
    if saved.visible is not None:
        for start in range(length + 1):
            assert np.array_equal(loaded.visible(5, start, length + 1), saved.visible[start:])


def header(data: bytes) -> dict[str, Any]:
    return dict(json.loads(data[16 : 16 + int.from_bytes(data[8:12], "little")]))


def test_files_without_masks_are_as_they_were_before_there_were_any(store: EpisodeStore) -> None:
    store.add(60, partial(LENGTHS[0], *MASKS, index=0))
    plain, masked = (store.file(index).read_bytes() for index in (0, 60))
    keys = {"length", "frame", "actions", "terminated", "truncated", "frames_per_block", "sizes", "crc32"}
    assert header(plain).keys() == keys
    assert header(masked).keys() == keys | {"masks"}
    count = len(header(plain)["sizes"])
    assert header(masked)["crc32"][:count] == header(plain)["crc32"]
    assert plain[-sum(header(plain)["sizes"]) :] in masked


@pytest.mark.parametrize("names", ["visible", ["visible", "visible"], ["invisible"], ["action_known"], 3])
def test_masks_that_do_not_fit_the_header_are_damage(store: EpisodeStore, names: Any) -> None:
    store.add(60, partial(20, "visible"))
    data = store.file(60).read_bytes()
    size = int.from_bytes(data[8:12], "little")
    text = json.dumps(header(data) | {"masks": names}).encode()
    prefix = data[:8] + len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little")
    store.file(60).write_bytes(prefix + text + data[16 + size :])
    with pytest.raises(WorldganError, match=r"00000060\.ep is damaged"):
        EpisodeStore.open(store.path)


def test_parts_equal_slices_of_the_whole(store: EpisodeStore) -> None:
    whole = store.episode(0).frames
    for start in range(24):
        for stop in range(start + 1, 25):
            assert np.array_equal(store.frames(0, start, stop), whole[start:stop])


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 3), (4, 3), (0, 25)])
def test_frames_outside_the_episode_are_refused(store: EpisodeStore, start: int, stop: int) -> None:
    with pytest.raises(WorldganError, match="expected frames within"):
        store.frames(0, start, stop)


@pytest.mark.parametrize("masks", [(), MASKS])
def test_any_damage_is_an_error_and_never_wrong_data(store: EpisodeStore, masks: tuple[str, ...]) -> None:
    file, truth = store.file(4), partial(15, *masks)
    file.unlink()
    EpisodeStore.open(store.path).add(4, truth)
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    cuts = [data[:n] for n in [0, 1, 7, 8, 12, 15, 16, 40, len(data) // 2, len(data) - 1]]
    flips = [bytes([*data[:i], data[i] ^ (1 << bit), *data[i + 1 :]]) for i, bit in
             zip(rng.permutation(len(data))[:150], rng.integers(8, size=150), strict=True)]  # fmt: skip
    for wrong in [*cuts, *flips, data + b"x", b"foreign" * 100]:
        file.write_bytes(wrong)
        with pytest.raises(WorldganError, match=r"00000004\.ep.* is damaged .*data repair") as caught:
            EpisodeStore.open(store.path).episode(4)
        assert "\n" not in str(caught.value)
    file.write_bytes(data)
    assert same(EpisodeStore.open(store.path).episode(4), truth)


def test_a_file_that_vanishes_is_an_error(store: EpisodeStore) -> None:
    store.file(4).unlink()
    with pytest.raises(WorldganError, match="cannot read"):
        store.episode(4)


def test_an_episode_of_another_env_is_refused(store: EpisodeStore, tmp_path: Path) -> None:
    other = EpisodeStore.create(tmp_path / "other", SPECS[1], seed=3, policy="random")
    other.add(0, make_episode(0, 5, SPECS[1]))
    shutil.copy(other.file(0), store.file(77))
    with pytest.raises(WorldganError, match=r"00000077.*expected frame and action shapes"):
        EpisodeStore.open(store.path)


def test_leftovers_are_ignored_and_cleared_when_writing(store: EpisodeStore) -> None:
    leftover = store.path / "episodes" / ".00000099.tmp.ep"
    leftover.write_bytes(b"half")
    (store.path / "episodes" / "notes.txt").write_text("mine")
    assert len(EpisodeStore.open(store.path).indices()) == len(LENGTHS)
    EpisodeStore.create(store.path, SPEC, seed=3, policy="random").tidy()
    assert not leftover.exists()
    assert (store.path / "episodes" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("spec", "seed", "policy", "word"),
    [
        (
            EnvSpec("other", SPEC.frame, SPEC.actions, SPEC.options),
            3,
            "random",
            r"spec\.id fake .* got other",
        ),
        (
            EnvSpec("fake", (8, 8, 3), SPEC.actions, SPEC.options),
            3,
            "random",
            r"spec\.frame .*4, 5, 3.*8, 8, 3",
        ),
        (EnvSpec("fake", SPEC.frame, SPECS[1].actions, SPEC.options), 3, "random", r"spec\.actions"),
        (EnvSpec("fake", SPEC.frame, SPEC.actions, {"skip": 2}), 3, "random", r"spec\.options"),
        (SPEC, 4, "random", "seed 3 .* got 4"),
        (SPEC, 3, "agent", "policy random .* got agent"),
    ],
)
def test_another_data_set_is_never_overwritten(
    store: EpisodeStore, spec: EnvSpec, seed: int, policy: str, word: str
) -> None:
    before = (store.path / "dataset.json").read_bytes()
    with pytest.raises(WorldganError, match=word):
        EpisodeStore.create(store.path, spec, seed=seed, policy=policy)
    assert (store.path / "dataset.json").read_bytes() == before
    assert same(EpisodeStore.open(store.path).episode(0), store.episode(0))


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(WorldganError, match="empty directory"):
        EpisodeStore.create(tmp_path, SPEC, seed=0, policy="p")
    with pytest.raises(WorldganError, match="empty directory"):
        EpisodeStore.create(tmp_path / "thesis.tex", SPEC, seed=0, policy="p")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="run collect first"):
        EpisodeStore.open(tmp_path / "missing")
    EpisodeStore.create(tmp_path / "empty", SPEC, seed=0, policy="p")
    with pytest.raises(WorldganError, match="found none"):
        EpisodeStore.open(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 9}', '{"format": 1}', '{"format": 1, "spec": 3}'])
def test_a_bad_description_is_one_line(store: EpisodeStore, text: str) -> None:
    (store.path / "dataset.json").write_text(text)
    with pytest.raises(WorldganError) as caught:
        EpisodeStore.open(store.path)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused(store: EpisodeStore) -> None:
    good = make_episode(1, 4)
    bad = [
        (0, good),
        (-1, good),
        (50, Episode(good.frames[:, :2], good.actions, good.rewards, True, False)),
        (50, Episode(good.frames.astype(np.int64), good.actions, good.rewards, True, False)),  # type: ignore[arg-type]
        (50, Episode(good.frames[:-1], good.actions, good.rewards, True, False)),
        (50, Episode(good.frames, good.actions + 50, good.rewards, True, False)),
        (50, Episode(good.frames, good.actions / 2, good.rewards, True, False)),
        (50, Episode(good.frames, good.actions, good.rewards * np.float32(np.nan), True, False)),
        (50, Episode(good.frames[:1], good.actions[:0], good.rewards[:0], True, False)),
        (50, replace(good, action_known=np.ones(5, np.bool_))),
        (50, replace(good, reward_known=np.ones(4, np.uint8))),
        (50, replace(good, visible=np.ones((5, 4, 4), np.bool_))),
    ]
    for index, episode in bad:
        with pytest.raises(WorldganError):
            store.add(index, episode)
    assert EpisodeStore.open(store.path).indices() == list(range(len(LENGTHS)))


def test_files_are_on_the_disk_before_they_get_their_name(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), store.file(60).exists()))

    monkeypatch.setattr("os.fsync", fsync)
    store.add(60, make_episode(60, 4))
    assert synced == [(False, False), (True, True)]  # the file without its name, then the directory with it


def test_a_full_disk_is_one_line_and_leaves_nothing(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(store.path.rglob("*"))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WorldganError, match=r"cannot write .*00000060\.ep: No space left"):
        store.add(60, make_episode(60, 4))
    assert sorted(store.path.rglob("*")) == before
    assert 60 not in store


def test_the_header_is_readable(store: EpisodeStore) -> None:
    data = store.file(0).read_bytes()
    assert [header(data)[key] for key in ("length", "frame", "terminated")] == [23, [4, 5, 3], True]


def test_opening_thousands_of_episodes_is_quick(store: EpisodeStore) -> None:
    data = store.file(5).read_bytes()
    for index in range(100, 3100):
        store.file(index).write_bytes(data)
    began = time.perf_counter()
    assert EpisodeStore.open(store.path).steps == sum(LENGTHS) + 3000 * 40
    assert time.perf_counter() - began < 3  # 0.2 s on an idle core


def test_reading_keeps_no_frames(store: EpisodeStore) -> None:
    for index in store.indices():
        store.episode(index)
    held = [array for cache in (store._actions, store._rewards) for array in cache.values()]
    assert sum(array.nbytes for array in held) == sum(LENGTHS) * (8 + 4)
