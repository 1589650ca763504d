"""Laws of the envs whose next-frame distribution is known: what they list is what they do."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from worldgan import envs
from worldgan.envs import Outcome, paddle, turners
from worldgan.errors import WorldganError

CASES = [
    ("worldgan/Paddle-v0", {}),
    ("worldgan/Turners-v0", {"count": 1}),
    ("worldgan/Turners-v0", {"count": 2}),
    ("worldgan/Turners-v0", {"count": 3}),
    ("worldgan/Flash-v0", {}),
    ("worldgan/Head-v0", {}),
    ("worldgan/Climber-v0", {}),
    ("worldgan/Glider-v0", {}),
]
CERTAIN = {"worldgan/Glider-v0"}
OFTEN_ALIKE = [case for case in CASES if case[1].get("count", 1) == 1 and case[0] not in CERTAIN]
"""Those with so few states that random play meets the same four frames again and again."""
each = pytest.mark.parametrize(("env_id", "options"), CASES)


def inner(env):
    found = envs.enumerable(env)
    assert found is not None
    return found


def key(frame, reward, terminated):
    return frame.tobytes(), float(reward), bool(terminated)


def walk(env, steps, seed=0):
    """Yields the env before each random action of a walk through several episodes."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(steps):
        action = int(rng.integers(env.action_space.n))
        yield action
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()


@each
def test_gymnasium_accepts_it(env_id, options):
    check_env(gym.make(env_id, render_mode="rgb_array", **options).unwrapped)


@each
def test_outcomes_are_a_distribution_and_change_nothing(env_id, options):
    env = envs.make(env_id, **options)
    for action in walk(env, 120):
        before = pickle.dumps(inner(env))
        listed = inner(env).outcomes(action)
        assert pickle.dumps(inner(env)) == before
        assert sum(outcome.probability for outcome in listed) == pytest.approx(1.0)
        assert min(outcome.probability for outcome in listed) > 0
        assert len({key(*outcome[1:]) for outcome in listed}) == len(listed)
        assert all(env.observation_space.contains(outcome.frame) for outcome in listed)


@each
def test_a_step_is_one_of_the_outcomes(env_id, options):
    env = envs.make(env_id, **options)
    env.reset(seed=3)
    rng = np.random.default_rng(3)
    for _ in range(300):
        action = int(rng.integers(env.action_space.n))
        possible = {key(*outcome[1:]) for outcome in inner(env).outcomes(action)}
        frame, reward, terminated, truncated, _ = env.step(action)
        assert key(frame, reward, terminated) in possible
        if terminated or truncated:
            env.reset()


@each
def test_outcomes_are_as_frequent_as_they_say(env_id, options):
    """Pearson's statistic over all states stays within five standard deviations of its mean."""
    env = envs.make(env_id, **options)
    draws, statistic, freedom = 300, 0.0, 0
    for step, action in enumerate(walk(env, 60, seed=1)):
        listed = inner(env).outcomes(action)
        if len(listed) == 1 or step % 3:
            continue
        counts = Counter[tuple[bytes, float, bool]]()
        trial = copy.deepcopy(inner(env))
        for draw in range(draws):
            twin = copy.copy(trial)
            twin.np_random = np.random.default_rng((step, draw))
            counts[key(*twin.step(action)[:3])] += 1
        expected = [draws * outcome.probability for outcome in listed]
        seen = [counts[key(*outcome[1:])] for outcome in listed]
        statistic += sum((s - e) ** 2 / e for s, e in zip(seen, expected, strict=True))
        freedom += len(listed) - 1
        assert sum(seen) == draws
    assert (freedom > 0) == (env_id not in CERTAIN)
    assert abs(statistic - freedom) <= 5 * np.sqrt(2 * freedom)


@each
def test_no_frame_is_near_two_outcomes(env_id, options):
    """Any two differ by 128 grey levels or more somewhere, so a frame within 64 of one is not within 64 of another."""
    env = envs.make(env_id, **options)
    for action in walk(env, 60):
        frames = np.stack([outcome.frame for outcome in inner(env).outcomes(action)]).astype(np.int16)
        for index, frame in enumerate(frames[1:], 1):
            assert np.abs(frames[:index] - frame).max((1, 2, 3)).min() >= 128


@pytest.mark.parametrize(("env_id", "options"), OFTEN_ALIKE)
def test_four_frames_tell_the_odds(env_id, options):
    """Two times with the same last four frames and the same action have the same outcomes."""
    env, known, met = envs.make(env_id, **options), {}, 0
    rng = np.random.default_rng(0)
    for seed in range(400 if env_id == "worldgan/Paddle-v0" else 60):
        frames, over = [env.reset(seed=seed)[0].tobytes()] * 4, False
        while not over:
            action = int(rng.integers(env.action_space.n))
            odds = {key(*o[1:]): round(o.probability, 9) for o in inner(env).outcomes(action)}
            now = (*frames[-4:], action)
            met += now in known
            assert known.setdefault(now, odds) == odds
            frame, _, terminated, truncated, _ = env.step(action)
            frames.append(frame.tobytes())
            over = terminated or truncated
    assert met > 100


@pytest.mark.parametrize("env_id", ["Flash", "Head", "Climber", "Glider"])
def test_the_small_ones_are_truncated_at_100_and_never_end(env_id):
    env = envs.make(f"worldgan/{env_id}-v0")
    env.action_space.seed(0)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]


@each
def test_same_seed_same_bytes(env_id, options):
    def play():
        env = envs.make(env_id, **options)
        env.action_space.seed(5)
        frames, rewards = [env.reset(seed=5)[0]], []
        for _ in range(60):
            frame, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            frames.append(frame)
            rewards.append(reward)
            if terminated or truncated:
                frames.append(env.reset()[0])
        return np.stack(frames).tobytes(), rewards

    assert play() == play()


@each
def test_a_deep_copy_has_the_same_future_and_leaves_the_original_alone(env_id, options):
    env = envs.make(env_id, **options)
    first = env.reset(seed=2)[0]
    twin = copy.deepcopy(env)
    futures = [[each.step(0)[0].tobytes() for _ in range(5)] for each in (twin, env)]
    assert futures[0] == futures[1]
    assert first.tobytes() != futures[0][-1]


@each
def test_frames_are_the_callers_to_keep(env_id, options):
    env = envs.make(env_id, **options)
    first = env.reset(seed=2)[0]
    kept = first.copy()
    first[:] = 7
    assert (env.render() == kept).all()


def test_turners_have_three_outcomes_per_ball_after_the_first_step():
    for count in (1, 2, 3):
        env = envs.make("worldgan/Turners-v0", count=count)
        env.reset(seed=0)
        assert len(inner(env).outcomes(0)) == 4**count
        env.step(0)
        assert len(inner(env).outcomes(0)) == 3**count


def test_turners_action_turns_the_first_ball_round():
    env = envs.make("worldgan/Turners-v0", count=1)
    env.reset(seed=0)
    env.step(0)
    before = env.render()
    env.step(0)
    straight, back = [], []
    for _ in range(40):  # a ball that turns round and goes straight is where it was a step ago
        straight += [o.probability for o in inner(env).outcomes(0) if (o.frame == before).all()]
        back += [o.probability for o in inner(env).outcomes(1) if (o.frame == before).all()]
        before = env.render()
        env.step(0)
    assert straight == []
    assert back == pytest.approx([dict(turners.TURNS)[0]] * 40)


def test_turners_pay_for_the_first_ball_in_the_zone_and_are_truncated_at_100():
    env = envs.make("worldgan/Turners-v0", count=1)
    env.reset(seed=1)
    for step in range(100):
        frame, reward, terminated, truncated, _ = env.step(0)
        rows, columns = np.nonzero((frame == turners.COLOURS[0]).all(-1))
        whole = np.ptp(rows) < turners.BALL and np.ptp(columns) < turners.BALL
        zone = range(turners.ZONE.start, turners.ZONE.stop)
        assert reward == float(whole and int(rows.mean()) in zone and int(columns.mean()) in zone)
        assert not terminated
        assert truncated == (step == 99)


@pytest.mark.parametrize("count", [0, 4])
def test_turners_refuse_other_counts(count):
    with pytest.raises(WorldganError, match="1 to 3"):
        envs.make("worldgan/Turners-v0", count=count)


def columns(frame, colour):
    return np.nonzero((frame == colour).all(-1))[1]


def paddle_returns(policy, episodes):
    env, returns = envs.make("worldgan/Paddle-v0"), []
    for seed in range(episodes):
        frame, total, over = env.reset(seed=seed)[0], 0.0, False
        while not over:
            frame, reward, terminated, truncated, _ = env.step(policy(frame))
            total, over = total + reward, terminated or truncated
        returns.append(total)
    return returns


def test_paddle_is_lost_by_chance_and_won_by_looking():
    rng = np.random.default_rng(0)

    def track(frame):
        ahead = columns(frame, paddle.BALL_COLOUR).mean() - columns(frame, paddle.PADDLE_COLOUR).mean()
        return 1 + int(np.sign(np.trunc(ahead / 2)))

    assert np.mean(paddle_returns(lambda frame: int(rng.integers(3)), 60)) < 0
    assert np.mean(paddle_returns(track, 5)) == 8  # hits at steps 13, 39, ... 195 of 200


def test_paddle_refuses_what_has_no_meaning():
    env = inner(envs.make("worldgan/Paddle-v0"))
    with pytest.raises(WorldganError, match="reset"):
        env.outcomes(0)
    env.reset(seed=0)
    with pytest.raises(WorldganError, match="Discrete"):
        env.step(3)
    while not env.step(0)[2]:
        pass
    with pytest.raises(WorldganError, match="over"):
        env.outcomes(0)


def test_size_scales_frames_and_outcomes_alike():
    env = envs.make("worldgan/Paddle-v0", size=64)
    assert env.observation_space.shape == (64, 64, 3)
    env.reset(seed=0)
    (outcome, *_) = inner(env).outcomes(1)
    assert isinstance(outcome, Outcome)
    small = outcome.frame[::2, ::2]
    assert (np.repeat(np.repeat(small, 2, 0), 2, 1) == outcome.frame).all()


def test_make_can_be_sent_to_another_process():
    thunk = pickle.loads(pickle.dumps(partial(envs.make, "worldgan/Turners-v0", count=3)))
    assert thunk().reset(seed=0)[0].shape == (32, 32, 3)
