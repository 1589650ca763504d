"""The online loop: stopped anywhere and taken up again it comes to the same, and it plays as long as it may."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_states import differing
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import settings

from worldgan import envs
from worldgan.agents import AgentFolder, Dreamer
from worldgan.config import load
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.files import sole_writer
from worldgan.learn import LearnConfig, Progress, learn
from worldgan.models.learning import RolloutLearner
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import Trainer

PADDLE = "worldgan/Paddle-v0"
SMALL = load(
    LearnConfig,
    None,
    [
        *settings("mse"), "family=mse", "budget=130", "every=50", "updates=2", "dreams=2",
        "dream.batch=4", "dream.horizon=2", "dream.width=4", "dream.units=8",
    ],
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)


def loop(out: Path, config: LearnConfig = SMALL, *, resume: bool = False, size: int = 8) -> Progress:
    options = {"size": size}
    return learn(lambda: envs.make(PADDLE, **options), envs.spec(PADDLE, options), config, out, resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted loop of three rounds."""
    out = tmp_path_factory.mktemp("learn") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        patch.setattr("worldgan.training.trainer.SHOWN_STEPS", 3)
        loop(out)
    return out


def results(out: Path) -> dict[str, str]:
    """All that was played and learnt."""
    files = [*out.glob("data/episodes/*"), *out.glob("*/weights.safetensors"), *out.glob("returns.jsonl")]
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_budget_is_kept_to_within_an_episode(whole: Path) -> None:
    store = EpisodeStore.open(whole / "data")
    assert 130 <= store.steps < 130 + store.length(store.indices()[-1])


def test_every_round_is_written_down(whole: Path) -> None:
    rounds = json.loads((whole / "learn.json").read_text())["rounds"]
    assert [each["updates"] for each in rounds] == [each["dreams"] for each in rounds] == [2, 4, 6]
    lines = [json.loads(line) for line in (whole / "returns.jsonl").read_text().splitlines()]
    store = EpisodeStore.open(whole / "data")
    assert [line["return"] for line in lines] == [store.rewards(i).sum() for i in store.indices()]
    assert lines[-1]["steps"] == rounds[-1]["steps"] == store.steps
    last = [line["return"] for line in lines[rounds[-2]["episodes"] :]]
    assert rounds[-1]["mean_return"] == pytest.approx(sum(last) / len(last))
    events = EventAccumulator(str(whole / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("rollout/ep_rew_mean")] == [each["steps"] for each in rounds]


def stopped(method: Callable[..., Any], after: int) -> Callable[..., Any]:
    """The same, until it was called often enough."""
    calls = iter(range(after))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return method(*arguments, **options)

    return call


PLACES: dict[str, tuple[Any, str, int]] = {
    "before playing": (EpisodeStore, "add_encoded", 0),
    "between episodes": (EpisodeStore, "add_encoded", 3),
    "training": (Trainer, "advance", 3),
    "dreaming": (Dreamer, "update", 3),
    "writing down": (Progress, "write", 2),
}
"""What is interrupted, and at which call: of three rounds mostly the second."""


@pytest.mark.parametrize("place", PLACES)
def test_stopped_and_taken_up_again_it_comes_to_the_same(
    place: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, calls = PLACES[place]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped(getattr(owner, name), after=calls))
        with pytest.raises(KeyboardInterrupt):
            loop(tmp_path / "again")
    assert results(tmp_path / "again") != results(whole)
    loop(tmp_path / "again", resume=True)
    assert results(tmp_path / "again") == results(whole)
    assert differing(Run(tmp_path / "again" / "model"), Run(whole / "model")) == []
    assert differing(AgentFolder(tmp_path / "again" / "agent"), AgentFolder(whole / "agent")) == []


def test_who_comes_when_all_is_done_changes_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def late(folder: Path) -> Iterator[None]:
        if not folder.exists():  # another process was at work until now
            shutil.copytree(whole, folder)
        with sole_writer(folder):
            yield

    monkeypatch.setattr("worldgan.learn.sole_writer", late)
    refused("was begun before: add --resume", tmp_path / "refused")
    loop(tmp_path / "late", resume=True)
    assert (tmp_path / "late" / "learn.json").read_bytes() == (whole / "learn.json").read_bytes()


def test_a_larger_budget_goes_on(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "longer").mkdir()
    (tmp_path / "longer" / ".learn.tmp.json").touch()  # it was killed once, as it began
    loop(tmp_path / "longer", replace(SMALL, budget=50))
    loop(tmp_path / "longer", replace(SMALL, budget=100), resume=True)
    first = [(tmp_path / "longer" / f"data/episodes/{i:08d}.ep").read_bytes() for i in range(2)]
    assert first == [(whole / f"data/episodes/{i:08d}.ep").read_bytes() for i in range(2)]
    assert len(loop(tmp_path / "longer", replace(SMALL, budget=100), resume=True).rounds) == 2


def test_the_learning_rate_of_the_model_cools_down_in_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    monkeypatch.setattr(RolloutLearner, "pace", lambda learner, share: shares.append(round(share, 3)))
    loop(tmp_path / "loop", replace(SMALL, updates=4))
    assert shares == [1, 1, 1, 0.5] * 3


def test_exploration_and_seed_matter(whole: Path, tmp_path: Path) -> None:
    for name, value in {"seed": 1, "epsilon": 0.9}.items():
        loop(tmp_path / name, replace(SMALL, **{name: value}))
        assert results(tmp_path / name) != results(whole)


def refused(message: str, out: Path, config: LearnConfig = SMALL, **options: Any) -> None:
    with pytest.raises(WorldganError, match=message) as caught:
        loop(out, config, **options)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused(whole: Path, tmp_path: Path) -> None:
    refused("was begun before: add --resume", whole)
    refused("expected every 50, as .* got 60", whole, replace(SMALL, every=60), resume=True)
    refused(
        "expected dream.horizon 2, as .* got 3",
        whole,
        replace(SMALL, dream=replace(SMALL.dream, horizon=3)),
        resume=True,
    )
    refused(r"expected frame \[8, 8, 3\], as .* got \[16, 16, 3\]", whole, resume=True, size=16)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    refused("a new or an empty folder", tmp_path / "photos", resume=True)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "learn.json").write_text("{")
    refused("learn.json is damaged", broken, resume=True)
    (broken / "learn.json").write_text((whole / "learn.json").read_text().replace('"format": 1', '"format": 9'))
    refused("of another version of worldgan .expected format 1", broken, resume=True)
    refused("unknown family", tmp_path / "new", replace(SMALL, family="gna"))
    refused("at least 3 steps for windows of 2 [+] 2 frames, got 2: raise", tmp_path / "new", replace(SMALL, budget=2))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("budget=0", "expected budget at least 1, got 0"),
        ("epsilon=2.0", "expected epsilon within 0..1, got 2.0"),
        ("training.steps=3", "expected no training.steps or training.minutes"),
        ("dream.minutes=3", "expected no dream.steps or dream.minutes"),
        ("evry=3", "did you mean 'every'"),
        ("training.recent=2.0", "expected training.recent of a share of at most 1"),
    ],
)
def test_wrong_settings(setting: str, message: str) -> None:
    with pytest.raises(WorldganError, match=message):
        load(LearnConfig, None, [setting])
