from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from data_fakes import COUNTING, SPEC, CountingEnv
from numpy.typing import NDArray

from worldgan.actions import ActionSpec
from worldgan.data.collect import RandomPolicy, collect
from worldgan.data.store import EpisodeStore
from worldgan.errors import WorldganError
from worldgan.executor import Executor


def contents(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(f.relative_to(path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


class Echo:
    """Acts on what it sees: the parity of the step that the frame shows."""

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        return observation[:, 0, 0, 1].astype(np.int64) % 2

    def reset(self, rows: NDArray[np.bool_]) -> None:
        assert rows.any()


def test_episodes_are_what_the_env_did(tmp_path: Path) -> None:
    store = collect(CountingEnv, COUNTING, tmp_path, steps=200, num_envs=3, seed=5)
    assert store.steps >= 200
    for index in store.indices():
        episode = store.episode(index)
        assert (episode.terminated, episode.truncated) == (True, False)
        assert (episode.frames[1:, 0, 0, 1] == np.arange(1, len(episode) + 1)).all()
        for t, action in enumerate(episode.actions):
            row = (t + 1) % 6
            assert (episode.frames[t + 1, row, :, 0] == action).all()


class Told(Echo):
    """Notes what was played in place of what it said."""

    def __init__(self) -> None:
        self.played: list[int] = []

    def took(self, actions: NDArray[Any]) -> None:
        self.played += actions.tolist()


def test_a_policy_is_told_what_was_played(tmp_path: Path) -> None:
    policy = Told()
    store = collect(CountingEnv, COUNTING, tmp_path, steps=60, num_envs=1, policy=policy, epsilon=0.5)
    assert policy.played == [action for index in store.indices() for action in store.actions(index).tolist()]


@pytest.mark.parametrize("policy", [None, Echo()])
def test_the_bytes_do_not_depend_on_the_number_of_envs(tmp_path: Path, policy: Echo | None) -> None:
    made = []
    for number in (1, 4, 7):
        out = tmp_path / str(number)
        collect(CountingEnv, COUNTING, out, steps=300, num_envs=number, policy=policy, epsilon=0.3)
        made.append(contents(out))
    assert made[0] == made[1] == made[2]


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    for processes in (False, True):
        out = tmp_path / str(processes)
        collect(CountingEnv, COUNTING, out, steps=60, num_envs=2, processes=processes)
    assert contents(tmp_path / "True") == contents(tmp_path / "False")


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_give_the_same_bytes_and_go_on_where_one_process_stopped(tmp_path: Path, workers: int) -> None:
    collect(CountingEnv, COUNTING, tmp_path / "one", steps=600)
    collect(CountingEnv, COUNTING, tmp_path / "many", steps=100)
    (tmp_path / "many" / "episodes" / "00000001.ep").unlink()
    collect(CountingEnv, COUNTING, tmp_path / "many", steps=600, executor=Executor(workers))
    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_what_workers_cannot_play_is_said(tmp_path: Path) -> None:
    class Broken(CountingEnv):
        def step(self, action: Any) -> Any:
            raise RuntimeError("broken")

    with pytest.raises(WorldganError, match="random play"):
        collect(CountingEnv, COUNTING, tmp_path, steps=9, policy=Echo(), executor=Executor(1))
    with pytest.raises(WorldganError, match=r"could not be played \(RuntimeError: broken"):
        collect(Broken, COUNTING, tmp_path, steps=9, executor=Executor(1))


def test_the_data_set_is_the_shortest_prefix_that_suffices(tmp_path: Path) -> None:
    store = collect(CountingEnv, COUNTING, tmp_path, steps=250, num_envs=5)
    indices = store.indices()
    assert indices == list(range(len(indices)))
    assert store.steps - store.length(indices[-1]) < 250 <= store.steps
    assert not list(tmp_path.rglob("*.ahead"))


def test_more_steps_extend_and_fewer_change_nothing(tmp_path: Path) -> None:
    collect(CountingEnv, COUNTING, tmp_path / "a", steps=100, num_envs=3)
    small = contents(tmp_path / "a")
    collect(CountingEnv, COUNTING, tmp_path / "a", steps=300, num_envs=2)
    large = contents(tmp_path / "a")
    assert small.items() < large.items()
    collect(CountingEnv, COUNTING, tmp_path / "a", steps=50)
    assert contents(tmp_path / "a") == large
    collect(CountingEnv, COUNTING, tmp_path / "b", steps=300)
    assert contents(tmp_path / "b") == large


def test_a_deleted_episode_is_played_again(tmp_path: Path) -> None:
    store = collect(CountingEnv, COUNTING, tmp_path, steps=200)
    before = contents(tmp_path)
    store.file(2).unlink()
    collect(CountingEnv, COUNTING, tmp_path, steps=200, num_envs=2)
    assert contents(tmp_path) == before


def test_a_failing_env_leaves_finished_episodes_to_resume_from(tmp_path: Path) -> None:
    calls = 0

    class Failing(CountingEnv):
        def step(self, action: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 150:
                raise KeyboardInterrupt
            return super().step(action)

    with pytest.raises(KeyboardInterrupt):
        collect(Failing, COUNTING, tmp_path / "a", steps=300, num_envs=3)
    kept = contents(tmp_path / "a")
    assert len(kept) > 3
    collect(CountingEnv, COUNTING, tmp_path / "a", steps=300, num_envs=3)
    collect(CountingEnv, COUNTING, tmp_path / "b", steps=300, num_envs=3)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


SCRIPT = """
import sys; from functools import partial; from pathlib import Path
sys.path.insert(0, {here!r})
from data_fakes import COUNTING, CountingEnv
from worldgan.data.collect import collect
collect(partial(CountingEnv, delay=0.002), COUNTING, Path({out!r}), steps=700, num_envs=4)
"""


def test_kill_and_resume_gives_the_bytes_of_an_uninterrupted_run(tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", tmp_path / "whole"
    code = SCRIPT.format(here=str(Path(__file__).parent), out=str(out))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob("episodes/*.ep"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    store = EpisodeStore.open(out)
    assert store.indices() == list(range(len(store.indices())))
    assert store.steps < 700
    collect(CountingEnv, COUNTING, out, steps=700, num_envs=2)
    collect(CountingEnv, COUNTING, whole, steps=700, num_envs=4)
    assert contents(out) == contents(whole)


def test_long_episodes_are_cut(tmp_path: Path) -> None:
    store = collect(partial(CountingEnv, 30), COUNTING, tmp_path, steps=100, max_episode_steps=7, num_envs=2)
    for index in store.indices():
        assert store.length(index) <= 7
        assert store.truncated(index) != store.terminated(index)
    assert any(store.truncated(index) for index in store.indices())


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"policy_name": "other"}, {"repeat": 2}, {"max_episode_steps": 9}, {"epsilon": 0.5}],
)
def test_another_recipe_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    collect(CountingEnv, COUNTING, tmp_path, steps=20)
    before = contents(tmp_path)
    with pytest.raises(WorldganError, match="use another path"):
        collect(CountingEnv, COUNTING, tmp_path, steps=50, **change)
    assert contents(tmp_path) == before


def test_every_part_of_the_recipe_matters(tmp_path: Path) -> None:
    recipes: list[dict[str, Any]] = [{}, {"seed": 1}, {"repeat": 1}, {"max_episode_steps": 9}]
    recipes += [{"policy": Echo()}, {"policy": Echo(), "epsilon": 0.5}]
    made = []
    for i, recipe in enumerate(recipes):
        collect(CountingEnv, COUNTING, tmp_path / str(i), steps=60, **recipe)
        made.append({k: v for k, v in contents(tmp_path / str(i)).items() if k.endswith(".ep")})
    assert all(made[i] != made[j] for i in range(len(made)) for j in range(i))


def test_an_env_of_another_spec_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match=r"expected an env with uint8 \(4, 5, 3\) frames"):
        collect(CountingEnv, SPEC, tmp_path / "new", steps=20)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("change", [{"steps": 0}, {"num_envs": 0}, {"epsilon": 1.5}, {"repeat": 0}])
def test_senseless_numbers_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(WorldganError):
        collect(CountingEnv, COUNTING, tmp_path, **({"steps": 20} | change))


def test_progress_grows_to_the_wanted_steps(tmp_path: Path) -> None:
    seen: list[float] = []
    collect(CountingEnv, COUNTING, tmp_path, steps=400, report=lambda done, note="": seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] >= 400
    collect(CountingEnv, COUNTING, tmp_path, steps=400, report=lambda done, note="": seen.append(done))
    assert seen[-1] == seen[-2]


@pytest.mark.parametrize(
    "actions",
    [
        ActionSpec("discrete", (5,)),
        ActionSpec("multidiscrete", (3, 4)),
        ActionSpec("box", (1,), (-2.0,), (2.0,)),
    ],
)
def test_random_actions_are_uniform_and_held(actions: ActionSpec) -> None:
    policy, frames = RandomPolicy(actions, repeat=3, seed=0), np.zeros((4, 2, 2, 1), np.uint8)
    policy.reset(np.ones(4, np.bool_))
    played = np.stack([policy.act(frames) for _ in range(1500)])
    assert (played.shape, played.dtype) == ((1500, 4, *actions.shape), actions.dtype)
    encoded = actions.encode(played)
    changed = (encoded[1:] != encoded[:-1]).any(-1).mean()
    chance = 0 if actions.kind == "box" else 1 / np.prod(actions.sizes)
    assert changed == pytest.approx((1 - chance) / 2, abs=0.03)  # the mean hold is 2 steps
    if actions.kind == "discrete":
        assert np.bincount(played.ravel()) / 6000 == pytest.approx(np.full(5, 0.2), abs=0.03)
    assert not np.array_equal(played[:, 0], played[:, 1])


def test_every_space_can_be_collected(tmp_path: Path) -> None:
    class Pushed(CountingEnv):
        def __init__(self, space: gymnasium.Space[Any]) -> None:
            super().__init__()
            self.action_space = space

        def step(self, action: Any) -> Any:
            assert self.action_space.contains(action)
            return super().step(0)

    for actions in (ActionSpec("multidiscrete", (3, 4)), ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 3.0))):
        spec = type(COUNTING)("pushed", COUNTING.frame, actions)
        store = collect(partial(Pushed, actions.space()), spec, tmp_path / actions.kind, steps=50, num_envs=2)
        assert store.actions(0).shape == (store.length(0), 2)
