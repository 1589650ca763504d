"""Training can be stopped anywhere and goes on as if it had not been; what is wrong is said before it costs time."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_states import differing, files, stop_at
from tiny import alter, dot_store, tiny

from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.learning import Optimiser
from worldgan.training import trainer
from worldgan.training.charts import CHARTS
from worldgan.training.checkpoint import Run
from worldgan.training.interrupt import deferred
from worldgan.training.pulse import PAST, Pulse
from worldgan.training.trainer import Experiment, Trainer, TrainingConfig, train

each = pytest.mark.parametrize("family", FAMILIES)


@each
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_run_that_was_stopped_equals_one_that_was_not(
    family: str, precision: str, data: Path, tmp_path: Path
) -> None:
    experiment = tiny(family, "training.steps=6", f"model.precision={precision}")
    whole = train(data, experiment, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(data, experiment, tmp_path / "stopped", report=stop_at(0.5))
    assert Run(tmp_path / "stopped").state()["step"] == 3
    stopped = train(data, experiment, tmp_path / "stopped", resume=True)
    assert differing(whole, stopped) == []
    assert files(whole)["weights.safetensors"] == files(stopped)["weights.safetensors"]
    assert whole.state()["step"] == 6


FRESH = """
import sys; from pathlib import Path; from tiny import tiny; from worldgan.training import trainer
trainer.SHOWN_STEPS = 3
trainer.train(Path(sys.argv[1]), tiny("gan", "training.steps=3"), Path(sys.argv[2]))
"""


def test_fresh_processes_learn_the_same(data: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path.cwd()), *(path for path in sys.path if path)])
    fixed = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", FRESH, str(data), str(tmp_path / salt)], env={**fixed, "PYTHONHASHSEED": salt}
        )
        for salt in ("1", "2")
    ]
    assert [process.wait() for process in begun] == [0, 0]
    one, two = (Run(tmp_path / salt) for salt in ("1", "2"))
    assert differing(one, two) == []
    for name in ("weights.safetensors", "starts.safetensors"):
        assert files(one)[name] == files(two)[name]


def press_ctrl_c() -> None:
    """What Python does on SIGINT. A real one is for ``ranks``: in a long process of tests it has come to kill it."""
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


@each
def test_an_interrupt_waits_for_the_update_it_falls_into(
    family: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, real, calls = tiny(family, "training.steps=4"), Optimiser.step, []
    whole = train(data, experiment, tmp_path / "whole")

    def interrupted(self: Optimiser) -> float:
        calls.append(self)
        if len(calls) == 2:  # one network has moved, the others have not
            press_ctrl_c()
        return real(self)

    monkeypatch.setattr(Optimiser, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, experiment, tmp_path / "stopped")
    assert Run(tmp_path / "stopped").state()["step"] == 1
    stopped = train(data, experiment, tmp_path / "stopped", resume=True)
    assert differing(whole, stopped) == []


def test_deferring_gives_the_handler_back() -> None:
    before, reached = signal.getsignal(signal.SIGINT), []

    def fail() -> None:
        with deferred():
            assert signal.getsignal(signal.SIGINT) is not before
            raise ValueError("mine")

    def interrupt() -> None:
        with deferred():
            press_ctrl_c()
            reached.append(True)

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert reached
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred():
            press_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


@each
def test_a_finished_run_stays_as_it_is_and_can_be_given_more(family: str, data: Path, tmp_path: Path) -> None:
    run = train(data, tiny(family, "training.steps=2"), tmp_path / "run")
    kept, before = Run(shutil.copytree(run.path, tmp_path / "kept")), files(run)
    train(data, tiny(family, "training.steps=2"), tmp_path / "run", resume=True)
    assert differing(kept, run) == []
    assert {name for name, content in files(run).items() if content != before[name]} <= {"state.pt"}
    train(data, tiny(family, "training.steps=3"), tmp_path / "run", resume=True)
    assert run.state()["step"] == run.info().progress["step"] == 3


@each
def test_a_run_without_all_labels_goes_on_as_if_it_had_not_been_stopped(
    family: str, data: Path, tmp_path: Path
) -> None:
    experiment = tiny(family, "training.steps=4", "training.labels=0.5")
    whole = train(data, experiment, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(data, experiment, tmp_path / "stopped", report=stop_at(0.5))
    stopped = train(data, experiment, tmp_path / "stopped", resume=True)
    assert differing(whole, stopped) == []
    assert "inverse" in whole.state()["learner"]
    assert whole.state()["learner"]["inverse"]["optimiser"]["steps"] == 4
    whole.model()  # which the inverse model is no part of


def test_with_all_labels_there_is_no_inverse_model(finished: Run) -> None:
    assert "inverse" not in finished.state()["learner"]


def test_a_run_from_before_a_setting_existed_goes_on(data: Path, tmp_path: Path) -> None:
    run = train(data, tiny("mse", "training.steps=2"), tmp_path / "run")
    known = {key: value for key, value in run.info().training.items() if key not in {"labels", "unlabelled"}}
    run.write_info(replace(run.info(), training=known))
    train(data, tiny("mse", "training.steps=3"), run.path, resume=True)
    assert run.state()["step"] == 3
    with pytest.raises(WorldganError, match=r"expected training\.labels 1\.0"):
        train(data, tiny("mse", "training.steps=3", "training.labels=0.5"), run.path, resume=True)


def test_labels_that_are_missing_later_are_recovered_from_then_on(data: Path, tmp_path: Path) -> None:
    run = train(data, tiny("mse", "training.steps=2"), tmp_path / "run")
    store = EpisodeStore.open(Path(shutil.copytree(data, tmp_path / "more")))
    store.add(max(store.indices()) + 1, replace(store.episode(0), action_known=np.zeros(store.length(0), np.bool_)))
    train(store.path, tiny("mse", "training.steps=4"), run.path, resume=True)
    assert run.state()["learner"]["inverse"]["optimiser"]["steps"] == 2


def test_held_out_episodes_without_labels_are_not_shown(data: Path, tmp_path: Path) -> None:
    store = EpisodeStore.create(tmp_path / "data", EpisodeStore.open(data).spec, seed=0, policy="random")
    for index in (0, 1):
        episode = EpisodeStore.open(data).episode(index)
        store.add(index, replace(episode, action_known=np.full(len(episode), index == 0)))
    run = train(store.path, tiny("mse", "training.steps=1"), tmp_path / "run")
    assert not events(run).Tags()["images"]


def test_a_run_stopped_before_its_first_checkpoint_begins_again(data: Path, tmp_path: Path) -> None:
    whole = train(data, tiny("mse", "training.steps=2"), tmp_path / "whole")
    run = train(data, tiny("mse", "training.steps=2"), tmp_path / "run")
    run.write_info(replace(run.info(), progress={}))
    train(data, tiny("mse", "training.steps=2"), tmp_path / "run", resume=True)
    assert differing(whole, run) == []


def test_monitors_move_nothing(data: Path, tmp_path: Path) -> None:
    """However often they look."""
    often = ["training.log_steps=1", "training.sample_minutes=0"]
    runs = [
        train(data, tiny("gan", "training.steps=4", *settings), tmp_path / name)
        for name, settings in (("seldom", []), ("often", often))
    ]
    assert differing(*runs) == []


def test_a_folder_that_holds_a_run_is_left_alone(finished: Run, data: Path, tmp_path: Path) -> None:
    before = files(finished)
    with pytest.raises(WorldganError, match="already holds a run: add --resume"):
        train(data, tiny("gan", "training.steps=9"), finished.path)
    assert files(finished) == before


OTHER = [
    ("training.batch=5", r"expected training\.batch 4, .* got 5"),
    ("training.seed=1", r"expected training\.seed 0"),
    ("training.rollout=[1]", r"expected training\.rollout \[1, 2\]"),
    ("model.outcome_width=32", r"expected model\.outcome_width 16"),
    ("model.optimiser.rate=0.5", r"expected model\.optimiser\.rate .* got 0\.5"),
]


@pytest.mark.parametrize(("setting", "message"), OTHER, ids=[setting for setting, _ in OTHER])
def test_going_on_with_other_options_is_refused(setting: str, message: str, finished: Run, data: Path) -> None:
    before = files(finished)
    with pytest.raises(WorldganError, match=message) as caught:
        train(data, tiny(finished.info().family, "training.steps=2", setting), finished.path, resume=True)
    assert "\n" not in str(caught.value)
    assert files(finished) == before


def test_going_on_with_another_family_is_refused(finished: Run, data: Path) -> None:
    family = finished.info().family
    other = next(name for name in FAMILIES if name != family)
    with pytest.raises(WorldganError, match=f"expected family '{family}', .* got '{other}'"):
        train(data, tiny(other, "training.steps=2"), finished.path, resume=True)


def test_going_on_with_other_data_is_refused(finished: Run, tmp_path: Path) -> None:
    before = files(finished)
    experiment = tiny(finished.info().family, "training.steps=2")
    with pytest.raises(WorldganError, match=r"expected spec\.frame \[8, 8, 3\], .* got \[9, 9, 3\]"):
        train(dot_store(tmp_path / "large", size=9), experiment, finished.path, resume=True)
    altered = dot_store(tmp_path / "actions")
    alter(altered / "dataset.json", [6], "spec", "actions", "sizes")
    with pytest.raises(WorldganError, match=r"expected spec\.actions\.sizes \[5\], .* got \[6\]"):
        train(altered, experiment, finished.path, resume=True)
    assert files(finished) == before


def test_more_of_the_same_data_is_welcome(finished: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    more = dot_store(tmp_path / "more", episodes=14, seed=1)
    train(more, tiny(finished.info().family, "training.steps=3"), run.path, resume=True)
    assert run.info().data == str(more)


WRONG = [
    ([], "either steps or minutes, got steps=None, minutes=None"),
    (["training.steps=3", "training.minutes=1"], "either steps or minutes, got steps=3, minutes=1.0"),
    (["training.steps=0"], r"training\.steps of at least 1, got 0"),
    (["training.steps=-5"], r"training\.steps of at least 1, got -5"),
    (["training.minutes=0"], r"training\.minutes of above 0, got 0"),
    (["training.steps=1", "training.batch=0"], r"training\.batch of at least 1, got 0"),
    (["training.steps=1", "training.rollout=[]"], r"training\.rollout of a list .* got \(\)"),
    (["training.steps=1", "training.rollout=[1,0]"], r"training\.rollout of a list .* got \(1, 0\)"),
    (["training.steps=1", "training.log_steps=0"], r"training\.log_steps of at least 1, got 0"),
    (["training.steps=1", "training.starts=0"], r"training\.starts of at least 1, got 0"),
    (["training.steps=1", "training.labels=0"], r"training\.labels of a share above 0 and at most 1, got 0"),
    (["training.steps=1", "training.labels=1e-9"], r"expected known actions in the train split .* found none"),
    (["training.steps=1", "training.labels=1e-9", "training.unlabelled=drop"], r"2 \+ 2 frames that lack no label"),
    (["training.steps=1", "training.sample_minutes=-1"], r"training\.sample_minutes of at least 0"),
    (["training.steps=1", "training.rollout=[300]"], r"at least 301 steps for windows of 2 \+ 300 frames"),
    (
        ["training.steps=1", "model.optimizer.rate=1"],
        "unknown config key 'model.optimizer': did you mean 'model.optimiser'",
    ),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[" ".join(settings) for settings, _ in WRONG])
def test_senseless_settings_are_refused_before_anything_is_written(
    settings: list[str], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorldganError, match=message) as caught:
        train(data, tiny("mse", *settings), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_unknown_family_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="unknown family 'gna': did you mean 'gan'"):
        train(data, Experiment("gna", {}, TrainingConfig(steps=1)), tmp_path / "run")


def test_minutes_are_a_budget(data: Path, tmp_path: Path) -> None:
    began, seen = time.monotonic(), []
    run = train(
        data,
        tiny("mse", "training.minutes=0.005"),
        tmp_path / "run",
        report=lambda done, note="": seen.append(done),
    )
    spent = run.state()["seconds"]
    assert 0.3 <= spent < time.monotonic() - began
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert all(0 < done <= 1 for done in seen)


def events(run: Run) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return found.Reload()


@each
def test_the_log_holds_scalars_and_a_moving_picture(family: str, data: Path, tmp_path: Path) -> None:
    run = train(data, tiny(family, "training.steps=4", "training.log_steps=2"), tmp_path / "run")
    found = events(run)
    tags = found.Tags()
    assert {
        "train/reconstruction", "train/frames_per_second", "val/error_to_copy_last/h1",
        "health/error_to_best", "health/obedience", "health/miss",
    } <= {*tags["scalars"]}  # fmt: skip
    assert [event.step for event in found.Scalars("train/reconstruction")] == [2, 4]
    assert "custom_scalars__config__" in tags["tensors"]
    [video] = found.Images("rollout/video")
    with Image.open(io.BytesIO(video.encoded_image_string)) as image:
        assert image.format == "GIF"
        assert image.n_frames == trainer.SHOWN_STEPS
        assert image.size == (video.width, video.height)


def test_every_chart_has_a_curve(data: Path, tmp_path: Path) -> None:
    run, pulse = train(data, tiny("gan", "training.steps=2", "training.log_steps=2"), tmp_path / "run"), Pulse()
    for _ in range(PAST):  # what is logged after many updates alone
        pulse.beat({"reconstruction": 1.0, "norm/generator": 1.0, "told_apart": 0.5, "eagerness": 1.0})
    logged = {*events(run).Tags()["scalars"], *(f"health/{name}" for name in pulse.numbers())}
    wanted = {tag for charts in CHARTS.values() for tags in charts.values() for tag in tags}
    assert {tag for tag in wanted if not any(each.startswith(tag) for each in logged)} == set()


def traces(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> dict[str, Any]:
    """All that can be seen of a short run."""
    counts = {"save": 0, "show": 0}
    for name in counts:
        real = getattr(Trainer, name)

        def counted(self: Trainer, *rest: Any, real: Any = real, name: str = name) -> None:
            counts[name] += 1
            real(self, *rest)

        monkeypatch.setattr(Trainer, name, counted)
    run = train(data, tiny("mse", "training.steps=4", *settings), out)
    monkeypatch.undo()
    logged = [event.step for event in events(run).Scalars("train/outcome")]
    starts = run.starts(beginnings=False)[0].shape
    return counts | {"step": run.state()["step"], "weights": files(run)["weights.safetensors"],
                     "logged": logged, "starts": starts}  # fmt: skip


def test_every_field_of_the_training_changes_what_happens(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {
        "steps": ("5", "step"), "minutes": None, "batch": ("6", "weights"), "rollout": ("[2]", "weights"),
        "seed": ("1", "weights"), "checkpoint_minutes": ("0", "save"), "log_steps": ("2", "logged"),
        "sample_minutes": ("0", "show"), "starts": ("3", "starts"), "labels": ("1.0", "weights"),
        "unlabelled": ("drop", "weights"), "recent": ("0.25", "weights"), "newest": ("60", "weights"),
        "cooldown": ("0", "weights"), "device": None,
    }  # fmt: skip
    assert set(other) == {field.name for field in fields(TrainingConfig)}
    usual = ["training.log_steps=1", "training.labels=0.6"]  # with all labels there is nothing to drop
    usual += ["training.recent=0.5", "training.newest=1"]
    base = traces(data, tmp_path / "base", monkeypatch, *usual)
    assert base["weights"] == traces(data, tmp_path / "again", monkeypatch, *usual)["weights"]
    for name, change in other.items():
        if change is not None:  # minutes and device have tests of their own
            value, trace = change
            now = traces(data, tmp_path / name, monkeypatch, *usual, f"training.{name}={value}")
            assert now[trace] != base[trace], name
