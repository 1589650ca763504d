"""A learned model is a gymnasium env like any other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from fakes import PerfectModel, dot_spec, draw
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from torch import Tensor

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.errors import WorldganError
from worldgan.simulator import SimulatedEnv, SimulatedVectorEnv
from worldgan.training.checkpoint import Run
from worldgan.types import EnvSpec, Prediction

ID = "worldgan/Simulator-v0"
PLACES = torch.tensor([[1, 1], [2, 5], [3, 3], [6, 2]])
UP, STAY = 1, 0  # actions of the dot world


def starts(model: PerfectModel) -> tuple[Tensor, Tensor]:
    """A dot that has rested at each of PLACES."""
    frames = draw(PLACES, model.spec)[:, None].repeat(1, model.context, 1, 1, 1)
    return frames, torch.zeros(len(PLACES), model.context - 1, model.spec.actions.size)


@dataclass(frozen=True)
class Ending(PerfectModel):
    """Rewards 1 a step and ends with a chance."""

    chance: float = 1.0

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        prediction, state = super().step(state, action, generator)
        one = torch.ones(len(state))
        return replace(prediction, reward=one, terminated=one * self.chance), state


@dataclass(frozen=True)
class Hearing(PerfectModel):
    """Notes the encoded actions of every step."""

    heard: list[Tensor] = field(default_factory=list)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        self.heard.append(action.clone())
        return super().step(state, action, generator)


def vector(model: Any = None, num_envs: int = 3, **options: Any) -> SimulatedVectorEnv:
    model = model or PerfectModel()
    return SimulatedVectorEnv(model, num_envs, starts=starts(model), **options)


def test_check_env_finds_nothing_wrong(paddle_run: Run) -> None:
    env = gym.make(ID, model=paddle_run.path, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()
    check_env(SimulatedEnv(PerfectModel(), starts=starts(PerfectModel())), skip_render_check=True)


def test_it_is_made_by_name(paddle_run: Run) -> None:
    env = gym.make(ID, model=str(paddle_run.path), horizon=5)
    assert env.observation_space == spaces.Box(0, 255, (32, 32, 3), np.uint8)
    assert env.action_space == spaces.Discrete(3)
    frame, info = env.reset(seed=1)
    assert frame in env.observation_space
    for step in range(5):
        frame, reward, _, truncated, info = env.step(env.action_space.sample())
        assert frame in env.observation_space
        assert isinstance(reward, float)
        assert info == {}
        assert truncated <= (step == 4)


def test_many_are_made_by_name(paddle_run: Run) -> None:
    envs = gym.make_vec(ID, num_envs=3, model=paddle_run.path)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.num_envs == 3
    assert envs.observation_space.shape == (3, 32, 32, 3)
    frames, _ = envs.reset(seed=1)
    assert frames in envs.observation_space
    for _ in range(4):
        frames, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert frames in envs.observation_space
        assert rewards.shape == terminated.shape == truncated.shape == (3,)
        assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)


def played(env: Any, seed: Any, steps: int = 25) -> bytes:
    """All that an env shows, as bytes."""
    env.action_space.seed(0)
    shown = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        frame, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        shown += [frame, reward, terminated, truncated]
        if env.unwrapped is env and np.ndim(terminated) == 0 and (terminated or truncated):
            shown.append(env.reset()[0])
    return b"".join(np.asarray(each).tobytes() for each in shown)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(paddle_run: Run) -> None:
    single = [SimulatedEnv(paddle_run.path, horizon=9) for _ in range(2)]
    assert played(single[0], 3) == played(single[1], 3) != played(single[1], 4)
    assert played(single[0], 3) == played(single[0], 3)
    many = [SimulatedVectorEnv(paddle_run.path, 3, horizon=9) for _ in range(2)]
    assert played(many[0], 3) == played(many[1], 3) != played(many[1], 4)
    assert played(many[0], [1, 2, 3]) == played(many[1], [1, 2, 3]) != played(many[1], [1, 2, 4])


def test_without_a_seed_every_env_is_its_own() -> None:
    """Of 4 places 3 times, 8 resets: two envs agree by chance once in 4 ** 24."""
    many = [vector() for _ in range(2)]
    for unseeded in (None, [None, None, None]):
        shown = [b"".join(env.reset(seed=unseeded)[0].tobytes() for _ in range(8)) for env in many]
        assert shown[0] != shown[1]


def test_a_reset_without_seed_goes_on_with_the_stream() -> None:
    env = vector()
    first = [env.reset(seed=1)[0].tobytes(), *(env.reset()[0].tobytes() for _ in range(6))]
    assert first == [env.reset(seed=1)[0].tobytes(), *(env.reset()[0].tobytes() for _ in range(6))]
    assert len(set(first)) > 1


def test_a_row_is_the_single_env() -> None:
    model = PerfectModel()
    frames, one = pixels.to_array(starts(model)[0]), tuple(part[:1] for part in starts(model))
    many = SimulatedVectorEnv(model, 4, starts=one, horizon=9)
    singles = [SimulatedEnv(model, starts=one, horizon=9) for _ in range(4)]
    seen, _ = many.reset(seed=0, options={"frames": frames})
    for row, env in enumerate(singles):
        assert np.array_equal(env.reset(options={"frames": frames[row]})[0], seen[row])
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(5, size=4)
        result = many.step(actions)[:4]
        for row, env in enumerate(singles):
            alone = env.step(actions[row])[:4]
            assert all(np.array_equal(one, all_[row]) for one, all_ in zip(alone, result, strict=True))


@pytest.mark.parametrize("horizon", [1, 4])
def test_the_horizon_truncates_and_does_not_terminate(horizon: int) -> None:
    env = vector(Ending(chance=0.0), horizon=horizon)
    env.reset(seed=0)
    for _ in range(3):
        for step in range(1, horizon + 1):
            _, rewards, terminated, truncated, _ = env.step(np.zeros(3, int))
            assert rewards.tolist() == [1.0] * 3
            assert not terminated.any()
            assert (truncated == (step == horizon)).all()
        _, rewards, terminated, truncated, _ = env.step(np.zeros(3, int))
        assert rewards.tolist() == [0.0] * 3
        assert not (terminated | truncated).any()


def test_certain_ends_end_and_are_not_truncations() -> None:
    env = vector(Ending(), horizon=1)
    env.reset(seed=0)
    for step in range(6):
        _, rewards, terminated, truncated, _ = env.step(np.zeros(3, int))
        fresh = step % 2 == 1
        assert (terminated == (not fresh)).all()
        assert not truncated.any()
        assert (rewards == (0.0 if fresh else 1.0)).all()


def test_ends_are_as_frequent_as_predicted() -> None:
    env, ended, steps = vector(Ending(chance=0.25), 50), 0, 0
    env.reset(seed=0)
    done = np.zeros(50, np.bool_)
    for _ in range(100):
        _, _, terminated, truncated, _ = env.step(np.zeros(50, int))
        steps += int((~done).sum())
        ended += int(terminated.sum())
        done = terminated | truncated
    assert ended / steps == pytest.approx(0.25, abs=0.02)


def test_the_step_after_an_end_is_a_new_start_whatever_is_done() -> None:
    model = PerfectModel()
    env = vector(model, 2)
    frames = pixels.to_array(draw(torch.tensor([[1, 0], [4, 4]]), model.spec))[:, None].repeat(2, 1)
    env.reset(seed=0, options={"frames": frames})
    _, rewards, terminated, _, _ = env.step(np.array([UP, STAY]))  # to (0, 0), which ends
    assert terminated.tolist() == [True, False]
    assert rewards.tolist() == [1.0, 0.0]
    seen, rewards, terminated, truncated, _ = env.step(np.array([-99, UP]))
    assert rewards.tolist() == [0.0, 0.0]
    assert not (terminated | truncated).any()
    assert any(np.array_equal(seen[0], start) for start in pixels.to_array(draw(PLACES, model.spec)))
    assert np.array_equal(seen[1], pixels.to_array(draw(torch.tensor([[3, 4]]), model.spec))[0])
    before = seen[0].nonzero()[0][0]
    moved, *_ = env.step(np.array([UP, UP]))
    assert moved[0].nonzero()[0][0] == (before - 1) % 8


def test_an_ignored_action_changes_nothing() -> None:
    shown = []
    for ignored in (0, 3):
        env = vector(Ending(chance=0.5), 2, horizon=3)
        env.reset(seed=0)
        done, seen = np.zeros(2, np.bool_), []
        for _ in range(30):
            frames, rewards, terminated, truncated, _ = env.step(np.where(done, ignored, UP))
            done = terminated | truncated
            seen += [frames, rewards, done]
        shown.append(b"".join(each.tobytes() for each in seen))
    assert shown[0] == shown[1]


def test_actions_arrive_encoded() -> None:
    model = Hearing()
    env = vector(model)
    env.reset(seed=0)
    env.step(np.array([4, 0, 2]))
    assert torch.equal(model.heard[0], torch.eye(5)[[4, 0, 2]])


@pytest.mark.parametrize("beginnings", [True, False])
def test_starts_are_those_kept_with_the_run(paddle_run: Run, beginnings: bool) -> None:
    kept = pixels.to_array(paddle_run.starts(beginnings=beginnings)[0][:, -1])
    env = SimulatedVectorEnv(paddle_run.path, 20, beginnings=beginnings)
    frames, _ = env.reset(seed=0)
    assert all((frame == kept).all((1, 2, 3)).any() for frame in frames)
    assert len({frame.tobytes() for frame in frames}) > 1


def test_given_starts_are_taken() -> None:
    model = PerfectModel(context=3)
    env = vector(model)
    one = pixels.to_array(draw(torch.tensor([[5, 5]]), model.spec)).repeat(3, 0)
    seen, _ = env.reset(options={"frames": one, "actions": np.array([0, 4])})
    assert all(np.array_equal(frame, one[-1]) for frame in seen)
    each = pixels.to_array(draw(torch.tensor([[5, 5], [2, 2], [1, 7]]), model.spec))[:, None].repeat(3, 1)
    seen, _ = env.reset(options={"frames": each, "actions": np.zeros((3, 2), int)})
    assert np.array_equal(seen, each[:, -1])


FRAMES = np.zeros((2, 8, 8, 3), np.uint8)
WRONG_OPTIONS = [
    {"frames": FRAMES[0]}, {"frames": FRAMES[:1]}, {"frames": np.zeros((2, 8, 9, 3), np.uint8)},
    {"frames": FRAMES.astype(np.float32)}, {"frames": np.stack([FRAMES] * 2)}, {"frames": np.stack([[FRAMES] * 3] * 2)},
    {"frames": FRAMES, "actions": np.zeros(3, int)}, {"frames": FRAMES, "actions": np.zeros((2, 1), int)},
    {"frames": FRAMES, "actions": [5]}, {"frames": FRAMES, "actions": [0.5]}, {"frames": "none"},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG_OPTIONS, ids=range(len(WRONG_OPTIONS)))
def test_given_starts_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(WorldganError) as caught:
        vector().reset(options=options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "actions", [[0, 0], [0, 0, 5], [0, 0, -1], [0.5, 0, 0], [[0, 0, 0]], 0, ["a", "b", "c"], [None] * 3]
)
def test_wrong_actions_are_refused_and_do_no_harm(actions: Any) -> None:
    env, twin = vector(), vector()
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(WorldganError) as caught:
        env.step(np.asarray(actions))
    assert "\n" not in str(caught.value)
    good = np.array([1, 2, 3])
    assert np.array_equal(env.step(good)[0], twin.step(good)[0])


def test_the_single_env_refuses_too() -> None:
    env = SimulatedEnv(PerfectModel(), starts=starts(PerfectModel()))
    env.reset(seed=0)
    for wrong in (5, -1, [0], "x"):
        with pytest.raises(WorldganError):
            env.step(wrong)


def test_stepping_before_a_reset_is_refused() -> None:
    with pytest.raises(WorldganError, match="reset"):
        vector().step(np.zeros(3, int))


@pytest.mark.parametrize(("horizon", "num_envs"), [(0, 1), (5, 0)])
def test_senseless_numbers_are_refused(horizon: int, num_envs: int) -> None:
    with pytest.raises(WorldganError, match="at least 1"):
        vector(num_envs=num_envs, horizon=horizon)


def test_a_model_without_starts_and_a_folder_without_run_are_refused(tmp_path: Any) -> None:
    with pytest.raises(WorldganError, match="states to start from"):
        SimulatedVectorEnv(PerfectModel())
    with pytest.raises(WorldganError, match=r"no run\.json"):
        gym.make(ID, model=tmp_path)


@pytest.mark.parametrize("channels", [1, 3, 10])
def test_frames_of_any_depth_can_be_looked_at(channels: int) -> None:
    model = PerfectModel(spec=dot_spec(channels=channels))
    env = vector(model, render_mode="rgb_array")
    frames, _ = env.reset(seed=0)
    shown = env.render()
    assert shown is not None
    assert len(shown) == 3
    frames[:] = 0  # the caller's to use
    again = env.render()
    assert again is not None
    for one, other in zip(shown, again, strict=True):
        assert (one.shape, one.dtype) == ((8, 8, 3), np.uint8)
        assert one.any()
        assert np.array_equal(one, other)
    assert vector(model).render() is None
    single = SimulatedEnv(model, starts=starts(model), render_mode="rgb_array")
    single.reset(seed=0)
    picture = single.render()
    assert picture is not None
    assert picture.shape == (8, 8, 3)


@dataclass(frozen=True)
class Boxed(PerfectModel):
    """The dot world, steered by two numbers."""

    spec: EnvSpec = field(
        default_factory=lambda: EnvSpec("box", (8, 8, 3), ActionSpec("box", (2,), (-1.0, -1.0), (1.0, 3.0)))
    )

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        places = (state + action.round().long()) % 8
        nothing = torch.zeros(len(state))
        return Prediction(self.frame(places), nothing, nothing), places


def test_box_actions() -> None:
    env = vector(Boxed())
    frames, _ = env.reset(seed=0)
    before = np.stack(frames.any(-1).nonzero(), 1)[:, 1:]
    frames, *_ = env.step(np.array([[1, 1], [-1, 3], [0, -1]], np.float32))
    after = np.stack(frames.any(-1).nonzero(), 1)[:, 1:]
    assert ((after - before) % 8).tolist() == [[1, 0], [7, 1], [0, 7]]
    with pytest.raises(WorldganError, match="finite"):
        env.step(np.full((3, 2), np.nan, np.float32))


def test_500_random_steps(paddle_run: Run) -> None:
    env = SimulatedVectorEnv(paddle_run.path, 4, horizon=40)
    env.action_space.seed(0)
    env.reset(seed=0)
    ends = 0
    for _ in range(500):
        frames, rewards, terminated, truncated, _ = env.step(env.action_space.sample())
        assert frames.shape == (4, 32, 32, 3)
        assert np.isfinite(rewards).all()
        assert not (terminated & truncated).any()
        ends += int((terminated | truncated).sum())
    assert ends >= 4 * (500 // 41)


def test_a_mask_starts_some_anew_and_leaves_the_others() -> None:
    env = vector(PerfectModel(), 3, horizon=2)
    with pytest.raises(WorldganError, match="expected option reset_mask, after a first reset of all"):
        env.reset(options={"reset_mask": np.ones(3, np.bool_)})
    env.reset(seed=0)
    env.step(np.zeros(3, int))
    before = env.step(np.zeros(3, int))[0]
    after, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    assert np.array_equal(after[1:], before[1:])
    _, _, _, truncated, _ = env.step(np.zeros(3, int))  # the others, which were done, begin anew only now
    assert not truncated.any()
    assert env.step(np.zeros(3, int))[3].tolist() == [True, False, False]
    for mask in (np.ones(2, np.bool_), np.ones(3), np.zeros(3, np.bool_)):
        with pytest.raises(WorldganError, match=r"bool \[3\] with a True, got"):
            env.reset(options={"reset_mask": mask})
