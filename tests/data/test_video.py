"""Videos and a table become episodes: which frame, action and reward go together, and what is wrong in which row."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import FPS, FRAMES, STEP, TOLERANCE, film, plain
from tiny import tiny

from worldgan.actions import ActionSpec
from worldgan.data.store import EpisodeStore
from worldgan.data.video import import_videos
from worldgan.data.windows import WindowSampler
from worldgan.errors import WorldganError
from worldgan.evaluation.held_out import evaluate
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import train


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name in ("a.webm", "b.mp4", "c.gif"):
        film(folder / name)
    return folder


@pytest.fixture
def folder(films: Path, tmp_path: Path) -> Path:
    return shutil.copytree(films, tmp_path / "films")


def shown(store: EpisodeStore, index: int) -> list[int]:
    """Which frame of its video each frame of an episode is; none may be far from it."""
    frames = store.episode(index).frames.astype(int)
    numbers = np.rint(frames[..., 0].mean((1, 2)) / STEP).astype(int)
    assert all(np.abs(f - plain(int(n), *f.shape[:2])).max() <= TOLERANCE for f, n in zip(frames, numbers, strict=True))
    return list(map(int, numbers))


def table(folder: Path, *lines: str, head: str = "video,step,action,reward,terminated") -> Path:
    path = folder / "moves.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def steps(video: str, numbers: range, *, end: int | None = None) -> list[str]:
    """Rows whose action is the step modulo 4, and whose reward is the step."""
    return [f"{video},{n},{n % 4},{n},{int(n == end)}" for n in numbers]


def said(folder: Path, tmp_path: Path, **options: Any) -> str:
    """The one line of a refusal."""
    with pytest.raises(WorldganError) as caught:
        import_videos(folder, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.webm", "b.mp4", "c.gif"])
def test_an_action_leads_from_its_frame_to_the_next(name: str, folder: Path, tmp_path: Path) -> None:
    table(folder, *steps(name, range(FRAMES - 1), end=FRAMES - 2))
    store = import_videos(folder, tmp_path / "out")
    assert shown(store, 0) == list(range(FRAMES))
    assert store.actions(0).tolist() == [n % 4 for n in range(FRAMES - 1)]
    assert store.rewards(0).tolist() == list(range(FRAMES - 1))
    assert (store.terminated(0), store.truncated(0)) == (True, False)
    assert store.spec.frame == (24, 32, 3)
    assert store.spec.actions == ActionSpec("discrete", (4,))
    assert store.spec.id == "video/films"


def test_rows_may_come_in_any_order_and_gaps_part_episodes(folder: Path, tmp_path: Path) -> None:
    rows = [*steps("a.webm", range(6, 9)), *steps("b.mp4", range(3)), *steps("a.webm", range(1, 4), end=3)]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    table(folder, "b.mp4,8,3,0,0", *rows)
    store = import_videos(folder, tmp_path / "out")
    assert {i: shown(store, i) for i in store.indices()} == {
        0: [0, 1, 2, 3], 1: [8, 9], 2: [1, 2, 3, 4], 3: [6, 7, 8, 9],
    }  # fmt: skip
    assert [store.terminated(i) for i in store.indices()] == [False, False, True, False]
    assert [store.truncated(i) for i in store.indices()] == [True, True, False, True]


def test_a_step_beyond_the_end_is_left_out(folder: Path, tmp_path: Path) -> None:
    table(folder, *steps("a.webm", range(FRAMES)), f"b.mp4,{FRAMES - 1},0,0,0")
    store = import_videos(folder, tmp_path / "out")
    assert shown(store, 0) == list(range(FRAMES))
    assert store.indices() == [0]


def test_frames_are_thinned(folder: Path, tmp_path: Path) -> None:
    table(folder, *steps("a.webm", range(1, 9)))
    store = import_videos(folder, tmp_path / "out", every=3)
    assert shown(store, 0) == [1, 4, 7]
    assert store.actions(0).tolist() == [1, 0]
    assert store.rewards(0).tolist() == [1 + 2 + 3, 4 + 5 + 6]
    same = import_videos(folder, tmp_path / "fps", fps=FPS / 3)
    assert np.array_equal(same.episode(0).frames, store.episode(0).frames)


def test_thinning_keeps_the_end(folder: Path, tmp_path: Path) -> None:
    table(folder, *steps("a.webm", range(8), end=7))
    store = import_videos(folder, tmp_path / "out", every=3)
    assert shown(store, 0) == [0, 3, 6, 8]
    assert store.rewards(0).tolist() == [3, 12, 13]
    assert store.terminated(0)


def test_frames_are_resized_as_everywhere(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    film(tmp_path / "big" / "a.webm", 3, 96, 128)
    table(tmp_path / "big", *steps("a.webm", range(2)))
    assert import_videos(tmp_path / "big", tmp_path / "rule").spec.frame == (64, 64, 3)
    store = import_videos(tmp_path / "big", tmp_path / "own", size=16)
    assert store.spec.frame == (16, 16, 3)
    assert shown(store, 0) == [0, 1, 2]


@pytest.mark.parametrize(
    ("actions", "spec"),
    [
        (("0", "2"), ActionSpec("discrete", (3,))),
        (("0 1", "4 0"), ActionSpec("multidiscrete", (5, 2))),
        (("0.5", "-1"), ActionSpec("box", (1,), (-1.0,), (0.5,))),
        (("0.5 3", "-1 2"), ActionSpec("box", (2,), (-1.0, 2.0), (0.5, 3.0))),
    ],
)
def test_the_action_space_is_read_off_the_actions(
    actions: tuple[str, str], spec: ActionSpec, folder: Path, tmp_path: Path
) -> None:
    table(folder, *(f"a.webm,{step},{action}" for step, action in enumerate(actions)), head="video,frame,action")
    store = import_videos(folder, tmp_path / "out")
    assert store.spec.actions == spec
    raw = [[float(number) for number in action.split()] for action in actions]
    assert store.actions(0).reshape(2, -1).tolist() == raw


def known(store: EpisodeStore, index: int = 0) -> list[bool] | None:
    mask = store.reward_known(index)
    return None if mask is None else mask.tolist()


def test_a_reward_that_nobody_wrote_down_is_unknown(folder: Path, tmp_path: Path) -> None:
    table(folder, "a.webm,0,1", "a.webm,1,0", head="video,step,action")
    assert known(import_videos(folder, tmp_path / "none")) == [False, False]
    table(folder, "a.webm,0,1,0,0", "a.webm,1,0,,0", "a.webm,2,0,-1,1", "b.mp4,0,1,0,0")
    store = import_videos(folder, tmp_path / "some")
    assert known(store) == [True, False, True]
    assert store.rewards(0)[[0, 2]].tolist() == [0, -1]
    assert known(store, 1) is None


def test_a_sum_with_an_unknown_reward_is_unknown(folder: Path, tmp_path: Path) -> None:
    rewards = ["1", "2", "4", "", "8", "16"]
    table(folder, *(f"a.webm,{step},0,{reward},0" for step, reward in enumerate(rewards)))
    store = import_videos(folder, tmp_path / "out", every=2)
    assert known(store) == [True, False, True]
    assert store.rewards(0)[[0, 2]].tolist() == [3, 24]


def test_videos_without_rewards_are_trained_on_and_measured(folder: Path, tmp_path: Path) -> None:
    rows = [(video, step) for video in ("a.webm", "b.mp4") for step in range(8)]
    table(folder, *(f"{video},{step},{step % 2}" for video, step in rows), head="video,step,action")
    store = import_videos(folder, tmp_path / "out", size=16)
    window = WindowSampler(store, context=2, horizon=2, batch=4, seed=0, unlabelled="drop").batch(0)
    assert window.action_known is None
    assert window.reward_known is not None
    assert not (window.reward_known & window.valid).any()
    train(store.path, tiny("gan", "training.steps=2"), tmp_path / "run")
    curves = evaluate({"gan": Run(tmp_path / "run").model()}, store, tmp_path / "report", horizon=2, windows=2)
    assert set(curves["gan"]["reward_mae"]) == set(curves["gan"]["reward_accuracy"]) == {None}
    assert None not in curves["gan"]["psnr"]


def test_more_actions_than_were_taken(folder: Path, tmp_path: Path) -> None:
    table(folder, *steps("a.webm", range(5)))
    assert import_videos(folder, tmp_path / "out", actions=18).spec.actions == ActionSpec("discrete", (18,))
    assert "moves.csv row 4: expected an action of 0..1, got 2" in said(folder, tmp_path, actions=2)


def test_an_import_goes_on_where_it_was_interrupted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(folder, *steps("a.webm", range(3)), *steps("a.webm", range(5, 8)), *steps("b.mp4", range(4)))
    whole = import_videos(folder, tmp_path / "whole")
    add = EpisodeStore.add_encoded

    def killed(self: EpisodeStore, index: int, data: bytes) -> None:
        if index == 1:
            raise KeyboardInterrupt
        add(self, index, data)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeStore, "add_encoded", killed)
        with pytest.raises(KeyboardInterrupt):
            import_videos(folder, tmp_path / "out")
    store = import_videos(folder, tmp_path / "out")
    assert store.indices() == [0, 1, 2]
    assert all(store.file(i).read_bytes() == whole.file(i).read_bytes() for i in store.indices())
    table(folder, *steps("a.webm", range(3)))
    assert "use another path" in said(folder, tmp_path)


GOOD = "a.webm,0,1,0,0"


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["a.webm,x,1,0,0"], "row 2: expected the number of a frame, from 0, got 'x'"),
        ([GOOD, "a.webm,-1,1,0,0"], "row 3: expected the number of a frame, from 0, got '-1'"),
        ([GOOD, "a.webm,1,,0,0"], "row 3: expected a number for action"),
        ([GOOD, "a.webm,1,left,0,0"], "row 3: expected a finite number for action, got 'left'"),
        ([GOOD, "a.webm,1,nan,0,0"], "row 3: expected a finite number for action, got 'nan'"),
        ([GOOD, "a.webm,1,-1,0,0"], "row 3: expected an action of 0 or more, got -1"),
        ([GOOD, "a.webm,1,1 2,0,0"], "row 3: expected an action of 1 numbers as in row 2, got 2"),
        ([GOOD, "a.webm,1,1,much,0"], "row 3: expected a finite number for reward, got 'much'"),
        ([GOOD, "a.webm,1,1,0,perhaps"], "row 3: expected terminated to be 0 or 1, got 'perhaps'"),
        ([GOOD, "a.webm,1,1,0,0,9"], "row 3: expected 5 cells, got more"),
        ([GOOD, "z.webm,1,1,0,0"], "row 3: expected a video (.mp4, .webm, .gif) in"),
        ([GOOD, "moves.csv,1,1,0,0"], "row 3: expected a video (.mp4, .webm, .gif) in"),
        ([GOOD, "a.webm,1,1,0,0", GOOD], "row 4: expected one row for step 0 of a.webm, row 2 is another"),
        (["a.webm,0,1,0,1", "a.webm,1,1,0,0"], "row 3: expected no action at the last frame of an episode"),
        ([], "expected rows in"),
    ],
)
def test_bad_rows_are_named(lines: list[str], word: str, folder: Path, tmp_path: Path) -> None:
    table(folder, *lines)
    assert word in said(folder, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([f"a.webm,{FRAMES},1,0,0"], f"row 2: expected frame {FRAMES} in a.webm, which has {FRAMES} frames"),
        (steps("a.webm", range(FRAMES + 1)), f"row 14: expected frame {FRAMES} in a.webm, which has {FRAMES} frames"),
        (steps("a.webm", range(FRAMES), end=FRAMES - 1), "row 13: expected frame 12 after the end of an episode"),
        ([f"a.webm,{FRAMES - 1},1,0,0"], "expected videos that go on after the actions"),
    ],
)
def test_videos_that_are_too_short(lines: list[str], word: str, folder: Path, tmp_path: Path) -> None:
    table(folder, *lines)
    assert word in said(folder, tmp_path)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        ("video,step", "expected columns video, step and action"),
        ("video,action", "expected columns video, step and action"),
        ("video,step,frame,action", "expected columns video, step and action"),
        ("video,step,action,action", "expected columns video, step and action"),
        ("video,step,action,rewrd", "unknown column of moves.csv 'rewrd': did you mean 'reward'?"),
    ],
)
def test_bad_heads(head: str, word: str, folder: Path, tmp_path: Path) -> None:
    table(folder, head=head)
    assert word in said(folder, tmp_path)


def test_files_that_are_no_videos_and_no_tables(folder: Path, tmp_path: Path) -> None:
    assert "expected one CSV file in" in said(folder, tmp_path)
    assert "cannot read" in said(folder, tmp_path, table=folder / "none.csv")
    table(folder, GOOD).with_name("moves2.csv").write_bytes(b"\xff\xfe\x00")
    assert "got moves.csv, moves2.csv: name it with --table" in said(folder, tmp_path)
    assert "cannot read" in said(folder, tmp_path, table=folder / "moves2.csv")
    (folder / "a.webm").write_bytes(b"no video")
    assert "cannot read" in said(folder, tmp_path, table=folder / "moves.csv")


def test_videos_of_other_sizes_need_a_size(folder: Path, tmp_path: Path) -> None:
    film(folder / "wide.webm", 3, 24, 48)
    table(folder, *steps("a.webm", range(2)), *steps("wide.webm", range(2)))
    assert "wide.webm as in the first video, got (24, 48, 3): give all one --size" in said(folder, tmp_path)
    assert import_videos(folder, tmp_path / "same", size=16).indices() == [0, 1]


@pytest.mark.parametrize("options", [{"every": 0}, {"fps": 0.0}, {"every": 2, "fps": 3.0}, {"size": 4}])
def test_options_that_make_no_sense(options: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    table(folder, GOOD)
    assert "expected" in said(folder, tmp_path, **options)
