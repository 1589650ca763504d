from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_fakes import LENGTHS, SPEC, make_episode

from worldgan.actions import ActionSpec
from worldgan.data.labels import STRETCH, Labels
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import Split, WindowSampler, cut, episodes, loader, longest, sequences, starts
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec, Episode, Window


def sampler(
    store: EpisodeStore, split: Split = "all", *, batch: int = 64, seed: int = 0, rare: bool = False
) -> WindowSampler:
    return WindowSampler(store, context=3, horizon=4, batch=batch, seed=seed, split=split, rare=rare)


def check(window: Window, row: int, *, context: int, horizon: int) -> tuple[int, int]:
    """Derive (episode, t) from the pixels of the last context frame; everything else must follow from it."""
    pixels = window.frames[row, :, :2, 0, 0].int()
    episode, t = int(pixels[context - 1, 0]) - 1, int(pixels[context - 1, 1])
    length = LENGTHS[episode]
    assert 0 <= t < length
    for k in range(context + horizon):
        place = min(max(t - context + 1 + k, 0), length)
        assert pixels[k].tolist() == [episode + 1, place]
    for i in range(context + horizon - 1):
        step = t - context + 1 + i  # action `step` leads from frame `step` to frame `step` + 1
        inside = 0 <= step < length
        assert bool(window.valid[row, i]) == inside
        assert window.actions[row, i].tolist() == [float(inside and a == step % 50) for a in range(50)]
        reward = make_episode(episode, length).rewards[step] if inside else 0.0
        assert float(window.rewards[row, i]) == reward
        assert bool(window.terminated[row, i]) == (step == length - 1 and episode % 2 == 0)
    assert window.valid[row, context - 1]
    return episode, t


def test_every_window_is_the_slice_of_its_episode(store: EpisodeStore) -> None:
    made = sampler(store)
    for number in range(10):
        window = made.batch(number)
        assert (window.context, window.horizon) == (3, 4)
        assert window.frames.shape == (64, 7, 3, 4, 5)
        assert (window.frames.dtype, window.actions.dtype) == (torch.uint8, torch.float32)
        for row in range(64):
            check(window, row, context=3, horizon=4)


def test_every_position_is_equally_likely(store: EpisodeStore) -> None:
    made, seen = sampler(store, batch=2000), Counter[tuple[int, int]]()
    for number in range(5):
        frames = made.batch(number).frames[:, 2, :2, 0, 0].tolist()
        seen.update((int(e) - 1, int(t)) for e, t in frames)
    assert seen.keys() == {(e, t) for e, length in enumerate(LENGTHS) for t in range(length)}
    expected = 10_000 / sum(LENGTHS)
    chi_square = sum((n - expected) ** 2 / expected for n in seen.values())
    assert chi_square < 240  # 168 positions: 167 +- 18


def test_a_share_of_each_batch_is_of_the_newest_episodes(store: EpisodeStore) -> None:
    made = WindowSampler(
        store, context=3, horizon=4, batch=400, seed=0, split="all", recent=0.25, newest=LENGTHS[-1] + 1
    )  # fmt: skip
    found = [int(e) - 1 for e in made.batch(0).frames[:, 2, 0, 0, 0].tolist()]
    assert set(found[300:]) == {len(LENGTHS) - 2, len(LENGTHS) - 1}
    assert set(found[:300]) > set(found[300:])
    plain = sampler(store, batch=300).batch(0).frames
    assert torch.equal(made.batch(0).frames[:300], plain)


@pytest.mark.parametrize("context", [1, 4])
@pytest.mark.parametrize("horizon", [1, 9])
def test_shapes_at_the_extremes(store: EpisodeStore, context: int, horizon: int) -> None:
    places = [(e, t) for e, length in enumerate(LENGTHS) for t in (0, length // 2, length - 1)]
    window = cut(store, places, context=context, horizon=horizon)
    assert [check(window, row, context=context, horizon=horizon) for row in range(len(places))] == places


def test_padding_has_no_action_in_a_box_either(tmp_path: Path) -> None:
    spec = EnvSpec("box", (2, 2, 1), ActionSpec("box", (2,), (0.0, 0.0), (1.0, 1.0)))
    store = EpisodeStore.create(tmp_path, spec, seed=0, policy="p")
    frames = np.zeros((3, 2, 2, 1), np.uint8)
    store.add(0, Episode(frames, np.ones((2, 2), np.float32), np.ones(2, np.float32), True, False))
    window = cut(store, [(0, 0)], context=2, horizon=3)
    assert window.actions[0, :, 0].tolist() == [0, 1, 1, 0]
    assert window.rewards[0].tolist() == [0, 1, 1, 0]


def equal(a: Window, b: Window) -> bool:
    names = ("frames", "actions", "rewards", "terminated", "valid")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def test_a_batch_is_a_function_of_seed_and_number(store: EpisodeStore) -> None:
    first = [sampler(store).batch(number) for number in range(3)]
    again = sampler(EpisodeStore.open(store.path))
    assert all(equal(again.batch(number), first[number]) for number in (2, 0, 1))
    assert not equal(first[0], first[1])
    assert not equal(first[0], sampler(store, seed=1).batch(0))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_loader_keeps_order_and_its_threads_end(store: EpisodeStore, threads: int) -> None:
    before, made = threading.active_count(), sampler(store)
    windows = loader(made, 5, threads=threads)
    got = list(islice(windows, 12))
    assert all(equal(window, made.batch(5 + i)) for i, window in enumerate(got))
    windows.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_the_loader_passes_errors_on(store: EpisodeStore) -> None:
    before, made = threading.active_count(), sampler(store)
    for index in store.indices():
        store.file(index).write_bytes(b"")
    with pytest.raises(WorldganError, match="damaged"):
        next(loader(made))
    assert threading.active_count() == before


def known(length: int, index: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Steps 5..24 lack labels."""
    return (np.arange(length) < 5) | (np.arange(length) >= 25)


def seen(index: int, length: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Pixel (0, 0) of odd frames is missing."""
    mask = np.ones((length + 1, *SPEC.frame[:2]), np.bool_)
    mask[1::2, 0, 0] = False
    return mask


@pytest.fixture
def partial(tmp_path: Path) -> EpisodeStore:
    """Episodes 0 and 1 lack actions and pixels, 2 lacks rewards, 3 nothing."""
    made = EpisodeStore.create(tmp_path / "partial", SPEC, seed=0, policy="p")
    for i in range(4):
        masks = {"action_known": known(40, i), "visible": seen(i, 40)} if i < 2 else {}
        made.add(i, replace(make_episode(i, 40), **masks, **({"reward_known": known(40, i)} if i == 2 else {})))
    return made


def test_windows_say_what_they_lack(partial: EpisodeStore) -> None:
    places = [(i, t) for i in range(4) for t in range(40)]
    window, whole = cut(partial, places, context=3, horizon=4), cut(partial, places[-80:], context=3, horizon=4)
    assert window.action_known is not None
    assert window.reward_known is not None
    assert window.visible is not None
    for row, (i, t) in enumerate(places):
        for j in range(6):
            step = t - 2 + j
            lacks = 5 <= step < 25
            assert bool(window.action_known[row, j]) == (not lacks or i >= 2)
            assert bool(window.reward_known[row, j]) == (not lacks or i != 2)
            if lacks:
                assert bool(window.actions[row, j].any()) == (i >= 2)
                assert bool(window.rewards[row, j]) == (i != 2)
        shown = window.visible[row, :, 0]
        clipped = np.clip(np.arange(t - 2, t + 5), 0, 40)
        assert shown[:, 0, 0].tolist() == [i >= 2 or k % 2 == 0 for k in clipped]
        assert shown.flatten(1)[:, 1:].all()
    assert whole.action_known is whole.visible is None  # episodes 2 and 3 lack none
    short = window.first(2)
    assert short.action_known is not None
    assert short.visible is not None
    assert (short.action_known.shape, short.visible.shape) == ((160, 4), (160, 5, 1, 4, 5))


def test_dropping_draws_every_window_that_lacks_nothing_and_no_other(partial: EpisodeStore) -> None:
    made = WindowSampler(partial, context=3, horizon=4, batch=3000, seed=0, split="all", unlabelled="drop")
    window = made.batch(0)
    assert made.complete
    assert window.action_known is window.reward_known is None
    found = {(int(e) - 1, int(t)) for e, t in window.frames[:, 2, :2, -1, -1].tolist()}
    lacking = {(i, t) for i in range(3) for t in range(40) if t + 4 > 5 and t - 2 < 25}
    assert found == {(i, t) for i in range(4) for t in range(40)} - lacking


def test_recovering_draws_all_and_knows_whether_actions_lack(partial: EpisodeStore, store: EpisodeStore) -> None:
    made = WindowSampler(partial, context=3, horizon=4, batch=3000, seed=0, split="all")
    assert not made.complete
    assert len({*map(tuple, made.batch(0).frames[:, 2, :2, -1, -1].tolist())}) == 160
    assert sampler(store).complete
    assert not WindowSampler(store, context=3, horizon=4, batch=1, seed=0, labels=0.5).complete


def test_hidden_labels_are_a_function_of_seed_episode_and_place(store: EpisodeStore, partial: EpisodeStore) -> None:
    long = fill(store.path.parent / "long", dict.fromkeys(range(40), 5 * STRETCH))
    made, again, other = (Labels(long, share=0.3, seed=seed) for seed in (1, 1, 2))
    rows = [[labels.actions(i) for i in range(40)] for labels in (made, again, other)]
    kept = np.stack([row for row in rows[0] if row is not None])
    assert np.array_equal(kept, np.stack(rows[1]))
    assert not np.array_equal(kept, np.stack(rows[2]))
    assert np.array_equal(kept, kept[:, ::STRETCH].repeat(STRETCH, 1))
    assert kept[:, ::STRETCH].mean() == pytest.approx(0.3, abs=0.1)
    assert np.array_equal(made.rewards(3), kept[3])
    both = Labels(partial, share=0.5, seed=0).actions(0)
    assert both is not None
    assert not both[5:25].any()
    assert Labels(store).actions(0) is None
    with pytest.raises(WorldganError, match="share of labels"):
        Labels(store, share=1.5)


def test_hiding_leaves_the_windows_themselves_as_they_are(store: EpisodeStore) -> None:
    places = [(e, t) for e, length in enumerate(LENGTHS) for t in range(length)]
    plain = cut(store, places, context=3, horizon=4)
    hidden = cut(store, places, context=3, horizon=4, labels=Labels(store, share=0.5))
    assert torch.equal(plain.frames, hidden.frames)
    assert hidden.action_known is not None
    assert torch.equal(hidden.actions, plain.actions * hidden.action_known[..., None])
    assert torch.equal(hidden.rewards, plain.rewards * hidden.action_known)


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_half_of_a_batch_lacks_nothing_where_labels_are_missing(store: EpisodeStore, batch: int) -> None:
    made = WindowSampler(store, context=3, horizon=4, batch=batch, seed=0, labels=0.3)
    window = made.batch(0)
    assert len(window.frames) == batch
    known = torch.ones_like(window.valid) if window.action_known is None else window.action_known
    assert known[: batch // 2].all()
    if batch == 200:
        assert 0.1 < known[100:].all(1).float().mean() < 0.7


def test_evaluation_looks_at_what_is_labelled(partial: EpisodeStore) -> None:
    window = sequences(partial, context=3, horizon=15, count=50, seed=0, split="all")
    assert {int(e) - 1 for e in window.frames[:, 2, 0, -1, -1]} == {3}
    window = sequences(partial, context=3, horizon=12, count=50, seed=0, split="all")
    assert window.action_known is window.reward_known is None
    assert {int(e) - 1 for e in window.frames[:, 2, 0, -1, -1]} == {0, 1, 2, 3}
    one = fill(partial.path.parent / "one", {})
    one.add(0, replace(make_episode(0, 40), reward_known=known(40, 0)))
    assert longest(one, "val") == 15
    assert sequences(one, context=3, horizon=15, count=4, seed=0).reward_known is not None  # of the context
    with pytest.raises(WorldganError, match=r"at least 16 steps in .* longest has 15 labelled"):
        sequences(one, context=3, horizon=16, count=4, seed=0)


def fill(path: Path, lengths: dict[int, int]) -> EpisodeStore:
    made = EpisodeStore.create(path, SPEC, seed=0, policy="p")
    for index, length in lengths.items():
        made.add(index, make_episode(index, length))
    return made


def test_splits(store: EpisodeStore, tmp_path: Path) -> None:
    assert episodes(store, "val") == [9]
    assert episodes(store, "train") == [i for i in range(12) if i != 9]
    assert episodes(store, "all") == list(range(12))
    few = fill(tmp_path / "few", {0: 9, 1: 9, 2: 9})
    assert (episodes(few, "train"), episodes(few, "val")) == ([0, 1], [2])
    one = fill(tmp_path / "one", {4: 9})
    assert episodes(one, "train") == episodes(one, "val") == [4]
    window = sampler(store, "val").batch(0)
    assert (window.frames[:, :, 0] == 10).all()
    assert not (sampler(store, "train").batch(0).frames[:, :, 0] == 10).any()


def test_less_than_a_window_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match=r"at least 6 steps .* data set of 5") as caught:
        sampler(fill(tmp_path / "short", {0: 5}))
    assert "\n" not in str(caught.value)
    sampler(fill(tmp_path / "enough", {0: 6}))


def test_sequences_are_valid_fixed_and_distinct(store: EpisodeStore) -> None:
    window = sequences(store, context=3, horizon=20, count=30, seed=1, split="all")
    assert window.valid.all()
    places = {check(window, row, context=3, horizon=20) for row in range(30)}
    # Episodes of 22 steps or more: 2 + 19 + 9 positions.
    assert places == {(e, t) for e in (0, 5, 10) for t in range(2, LENGTHS[e] - 19)}
    again = sequences(store, context=3, horizon=20, count=30, seed=1, split="all")
    assert equal(window, again)
    assert len(sequences(store, context=3, horizon=20, count=31, seed=1, split="all").frames) == 31


def test_sequences_fall_back_to_beginnings_then_refuse(store: EpisodeStore) -> None:
    window = sequences(store, context=3, horizon=40, count=2, seed=1, split="all")
    assert [check(window, row, context=3, horizon=40) for row in range(2)] == [(5, 0), (5, 0)]
    assert window.valid[:, 2:].all()
    with pytest.raises(WorldganError, match=r"at least 50 steps .* longest has 40"):
        sequences(store, context=3, horizon=50, count=2, seed=1, split="all")
    with pytest.raises(WorldganError, match=r"val split .* longest has 12"):
        sequences(store, context=3, horizon=50, count=2, seed=1)


@pytest.mark.parametrize("context", [1, 3])
def test_starts(store: EpisodeStore, context: int) -> None:
    frames, actions = starts(store, context=context, count=20, seed=0, beginnings=True)
    assert (frames.shape, actions.shape) == ((20, context, 3, 4, 5), (20, context - 1, 50))
    assert (frames[:, :, 1] == 0).all()
    assert not actions.any()
    frames, actions = starts(store, context=context, count=20, seed=0, beginnings=False)
    assert (frames.shape, actions.shape) == ((20, context, 3, 4, 5), (20, context - 1, 50))
    assert len(frames[:, -1, 1, 0, 0].unique()) > 5
    if context > 1:
        late = frames[:, 0, 1, 0, 0] > 0
        assert torch.equal(actions.argmax(-1)[late], frames[late, :-1, 1, 0, 0].long())


def scarce(path: Path, *, earns: int = 40, unlabelled: int | None = None) -> EpisodeStore:
    """Five episodes of 60 steps; every ``earns``-th step of all brings a reward of -2, and the first two end."""
    made = EpisodeStore.create(path, SPEC, seed=0, policy="p")
    for index in range(5):
        steps = index * 60 + np.arange(60)
        episode = replace(make_episode(index, 60), rewards=np.where(steps % earns == 0, -2, 0).astype(np.float32))
        labels = {} if index != unlabelled else {"reward_known": np.arange(60) > 3}
        made.add(index, replace(episode, terminated=index < 2, truncated=index >= 2, **labels))
    return made


def test_more_windows_of_what_is_rare(tmp_path: Path) -> None:
    made = sampler(scarce(tmp_path / "data"), rare=True)
    rewards, ends = Counter[tuple[int, int]](), Counter[int]()
    for number in range(30):
        rare = made.batch(number).rare
        assert rare is not None
        assert (rare.rewarded, rare.window.horizon, len(rare.window.valid)) == (8, 1, 16)
        # 8 of 300 steps bring a reward and 2 end an episode; a quarter of all that is learnt from is added to each.
        assert rare.oversampled == pytest.approx((1 + 0.25 * 300 / 8, 1 + 0.25 * 300 / 2))
        assert rare.weight == 0.25
        step = rare.window.context - 1
        assert (rare.window.rewards[:8, step] == -2).all()
        assert rare.window.terminated[8:, step].all()
        assert rare.window.valid[:, step].all()
        places = [(int(row[0]) - 1, int(row[1])) for row in rare.window.frames[:, step, :2, 0, 0]]
        rewards.update(places[:8])
        ends.update(episode for episode, _ in places[8:])
    assert {episode * 60 + t for episode, t in rewards} == set(range(0, 300, 40))
    assert ends.keys() == {0, 1}
    assert min(rewards.values()) > 10


def test_what_is_not_rare_known_or_asked_for_is_not_looked_for(tmp_path: Path) -> None:
    often = sampler(scarce(tmp_path / "often", earns=5), rare=True).batch(0).rare
    assert often is not None
    assert (often.rewarded, often.oversampled[0]) == (0, 1.0)
    assert len(often.window.valid) == 8
    assert sampler(scarce(tmp_path / "unknown", unlabelled=0), rare=True).batch(0).rare is None
    single = EpisodeStore.create(tmp_path / "none", SPEC, seed=0, policy="p")
    single.add(0, replace(make_episode(0, 60), rewards=np.zeros(60, np.float32), terminated=False, truncated=True))
    assert sampler(single, rare=True).batch(0).rare is None
    assert sampler(scarce(tmp_path / "unasked")).batch(0).rare is None


def test_parts_of_a_batch_have_rare_windows_of_their_own(tmp_path: Path) -> None:
    data = scarce(tmp_path / "data")
    parts = [
        WindowSampler(data, context=3, horizon=4, batch=64, seed=0, part=(i, 2), rare=True).batch(5).rare
        for i in range(2)
    ]
    assert parts[0] is not None
    assert parts[1] is not None
    assert len(parts[0].window.valid) == len(parts[1].window.valid) == 8
    assert not torch.equal(parts[0].window.frames, parts[1].window.frames)
