"""The judge reads actions off real frames, the same one every time, and says nothing where nothing shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import dot_spec, dot_window

from worldgan.actions import ActionSpec
from worldgan.errors import WorldganError
from worldgan.evaluation.judge import Judge, blind, load_judge, naming, save_judge, train_judge
from worldgan.inverse import FEATURES
from worldgan.types import EnvSpec, Window

DISCRETE, MANY = ActionSpec("discrete", (4,)), ActionSpec("multidiscrete", (2, 3))
BOX = ActionSpec("box", (2,), (-1.0, -1.0), (1.0, 1.0))


def dots(batch: int = 32) -> Iterator[Window]:
    return (dot_window(batch, context=2, horizon=1, seed=seed) for seed in count(1))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return train_judge(dot_spec(), dots(), updates=120, seed=0)


def test_it_learns_to_name_actions(judge: Judge) -> None:
    window = dot_window(300, context=2, horizon=1)
    moved = window.valid.all(1)
    assert judge.score(window.frames[moved], window.actions[moved, -1]) > 0.95
    wrong = window.actions[moved, -1].roll(1, dims=-1)
    assert judge.score(window.frames[moved], wrong) < 0.05


def test_the_same_seed_makes_the_same_judge() -> None:
    seen: list[float] = []
    made = [
        train_judge(dot_spec(), dots(4), updates=3, seed=seed, report=lambda n, _="": seen.append(n))
        for seed in (5, 5, 6)
    ]
    frames = dot_window(3, context=2, horizon=1).frames
    opinions = [each.opinion(frames) for each in made]
    assert opinions[0].equal(opinions[1])
    assert not opinions[0].equal(opinions[2])
    assert seen == [1, 2, 3] * 3


def test_saved_and_loaded_it_says_the_same(judge: Judge, tmp_path: Path) -> None:
    save_judge(tmp_path / "judge.safetensors", judge)
    again = load_judge(tmp_path / "judge.safetensors", dot_spec())
    frames = dot_window(5, context=2, horizon=1).frames
    assert judge.opinion(frames).equal(again.opinion(frames))
    assert judge.features(frames).shape == (5, FEATURES)
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("harm", ["damaged", "other", "missing"])
def test_a_judge_that_cannot_be_read_is_named(harm: str, judge: Judge, tmp_path: Path) -> None:
    file, spec = tmp_path / "judge.safetensors", dot_spec()
    if harm != "missing":
        save_judge(file, judge)
    if harm == "damaged":
        file.write_bytes(file.read_bytes()[:-40])
    if harm == "other":
        spec = replace(spec, actions=DISCRETE)
    with pytest.raises(WorldganError, match="delete it to train it again"):
        load_judge(file, spec)


def test_a_judge_of_frames_that_weights_do_not_fit_takes_no_memory(judge: Judge, tmp_path: Path) -> None:
    save_judge(tmp_path / "judge.safetensors", judge)
    with pytest.raises(WorldganError, match="of another env"):
        load_judge(tmp_path / "judge.safetensors", replace(dot_spec(), frame=(1, 1, 2**28)))


def test_naming_of_classes_is_a_share() -> None:
    actions = torch.eye(4)
    assert naming(actions * 9, actions, DISCRETE) == 1
    assert naming(torch.tensor([[1.0, 0, 0, 0]]).expand(4, 4), actions, DISCRETE) == blind(DISCRETE) == 0.25
    both = torch.from_numpy(MANY.encode(np.asarray([[0, 1], [1, 2]])))
    half = torch.from_numpy(MANY.encode(np.asarray([[0, 0], [1, 0]])))
    assert naming(half, both, MANY) == 0.5
    assert blind(MANY) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_naming_of_a_box_is_its_variance_explained() -> None:
    actions = torch.tensor([[-1.0, 0.5], [1.0, 0.5], [0.0, -1.0]])
    assert naming(actions, actions, BOX) == 1
    assert naming(actions.mean(0).expand(3, 2), actions, BOX) == pytest.approx(blind(BOX), abs=1e-6)
    assert naming(-actions, actions, BOX) < 0


@pytest.mark.parametrize("actions", [MANY, BOX])
@pytest.mark.parametrize("frame", [(10, 10, 4), (17, 20, 1), (32, 40, 3)])
def test_any_frames_and_actions(actions: ActionSpec, frame: tuple[int, int, int]) -> None:
    spec = EnvSpec("any", frame, actions)
    window = dot_window(6, context=2, horizon=1)
    height, width, channels = frame
    window = replace(
        window,
        frames=torch.randint(256, (6, 3, channels, height, width), dtype=torch.uint8),
        actions=torch.from_numpy(actions.sample((6, 2), np.random.default_rng(0))),
    )
    judge = train_judge(spec, iter([window] * 2), updates=2, seed=0)
    assert judge.opinion(window.frames).shape == (6, actions.size)
    assert judge.score(window.frames, window.actions[:, -1]) <= 1
