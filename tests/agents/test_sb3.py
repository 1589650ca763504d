"""Stable-Baselines3 gets the ends that it expects, trains in either world, and takes frames of any size."""

import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from agent_fakes import DotEnv
from fakes import PerfectModel, dot_spec
from gymnasium import spaces
from stable_baselines3 import DQN, PPO

from worldgan import pixels
from worldgan.agents.sb3 import SMALL, SimulatedVecEnv, SmallFrames, Trained, pictures, real, simulated
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import play
from worldgan.simulator import SimulatedVectorEnv

UP, LEFT = 1, 3


def dots(places, size=8):
    """Start states of the perfect model: dots at these places [M, 2], at rest."""
    frames = np.zeros((len(places), 2, 3, size, size), np.uint8)
    for row, (down, right) in enumerate(places):
        frames[row, :, :, down, right] = 255
    return frames, np.zeros((len(places), 1, 5), np.float32)


def place(frame):
    """(down, right) of the dot in [H, W, C]."""
    return tuple(int(axis[0]) for axis in np.nonzero(frame[..., 0]))


def envs(places, num_envs, horizon):
    return SimulatedVecEnv(SimulatedVectorEnv(PerfectModel(), num_envs, horizon=horizon, starts=dots(places)))


def test_an_end_begins_anew_within_the_step():
    one = envs([(0, 2)], 1, horizon=9)
    assert place(one.reset()[0]) == (0, 2)
    observations, rewards, dones, infos = one.step(np.array([LEFT]))
    assert (place(observations[0]), rewards.tolist(), dones.tolist(), infos) == ((0, 1), [1], [False], [{}])
    observations, rewards, dones, infos = one.step(np.array([LEFT]))
    assert place(infos[0]["terminal_observation"]) == (0, 0)
    assert infos[0]["TimeLimit.truncated"] is False
    assert (place(observations[0]), rewards.tolist(), dones.tolist()) == ((0, 2), [1], [True])
    observations, rewards, dones, infos = one.step(np.array([LEFT]))  # the action counts: no step is lost
    assert (place(observations[0]), rewards.tolist(), dones.tolist(), infos) == ((0, 1), [1], [False], [{}])


def test_the_horizon_is_a_truncation_and_counts_from_each_start():
    two = envs([(4, 4)], 2, horizon=3)
    two.reset()
    ends = []
    for _ in range(6):
        _, _, dones, infos = two.step(np.array([UP, 0]))
        ends.append(dones.tolist())
        assert all(info["TimeLimit.truncated"] for info, done in zip(infos, dones, strict=True) if done)
    assert ends == [[False] * 2, [False] * 2, [True] * 2] * 2


def test_others_stay_as_they_are_when_one_begins_anew():
    two = envs([(0, 1), (0, 3)], 2, horizon=9)
    two.seed(3)
    first = two.reset()
    while {place(frame) for frame in first} != {(0, 1), (0, 3)}:
        first = two.reset()
    near = [place(frame) for frame in first].index((0, 1))
    observations, _, dones, _ = two.step(np.array([LEFT, LEFT]))
    assert dones[near]
    assert not dones[1 - near]
    assert place(observations[1 - near]) == (0, 2)


def test_a_seed_says_where_episodes_begin():
    places = [(down, right) for down in range(1, 7) for right in range(1, 7)]
    made = [envs(places, 8, horizon=9) for _ in range(3)]
    for each, seed in zip(made, (1, 1, 2), strict=True):
        each.seed(seed)
    first, same, other = (each.reset() for each in made)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_algorithms_train_in_the_simulator_unchanged(algorithm):
    world = simulated(PerfectModel(), 4, horizon=5, starts=dots([(4, 4), (0, 2)]))
    assert world.observation_space.shape == (3, 8, 8)
    settings = {"n_steps": 8, "batch_size": 16} if algorithm is PPO else {"learning_starts": 8, "buffer_size": 50}
    learner = algorithm("CnnPolicy", world, policy_kwargs=SMALL, seed=0, **settings)
    learner.learn(64)
    assert {episode["l"] for episode in learner.ep_info_buffer} <= {1, 2, 3, 4, 5}
    agent = Trained(learner)
    played = play(DotEnv, agent, episodes=2, seed=0, max_steps=4)
    assert len(played) == 2


def test_a_single_simulated_env_needs_no_adapter():
    world = gym.make("worldgan/Simulator-v0", model=PerfectModel(), horizon=5, starts=dots([(4, 4), (0, 2)]))
    PPO("CnnPolicy", world, policy_kwargs=SMALL, n_steps=8, batch_size=8, seed=0).learn(16)
    many = gym.make_vec(
        "worldgan/Simulator-v0", num_envs=3, model=PerfectModel(), horizon=5, starts=dots([(4, 4), (0, 2)])
    )
    counted = gym.wrappers.vector.RecordEpisodeStatistics(many)
    counted.reset(seed=0)
    for _ in range(12):
        counted.step(np.full(3, UP))
    assert counted.episode_count >= 3


def test_the_real_env_is_observed_as_the_simulator_is():
    worlds = real("worldgan/Paddle-v0", 2)
    assert worlds.observation_space == spaces.Box(0, 255, (3, 32, 32), np.uint8)
    worlds.seed(0)
    first = worlds.reset()
    for _ in range(60):
        _, _, dones, infos = worlds.step(np.array([0, 0]))
        if dones.any():
            break
    row = int(np.flatnonzero(dones)[0])
    assert infos[row]["terminal_observation"].shape == (3, 32, 32)
    assert infos[row]["episode"]["r"] == -1
    worlds.seed(0)
    assert np.array_equal(worlds.reset(), first)


class Watching:
    """Stands for an algorithm, and notes what it is shown."""

    def __init__(self, worlds):
        self.observation_space, self.action_space = worlds.observation_space, worlds.action_space

    def predict(self, observation, deterministic):
        self.seen = observation
        return np.zeros(len(observation), np.int64), None


def test_the_same_frames_are_seen_while_learning_and_acting():
    def make_env():
        return gym.wrappers.TimeLimit(DotEnv(), 4)

    stacked, single = real(make_env, 2, frames=3), real(make_env, 2)
    for worlds in (stacked, single):
        worlds.seed(0)
    watching = Watching(stacked)
    agent, shown, frames, dones = Trained(watching, frames=3), stacked.reset(), single.reset(), np.ones(2, np.bool_)
    for _ in range(10):
        if dones.any():
            agent.reset(dones)
        agent.act(np.moveaxis(frames, 1, -1))
        assert np.array_equal(watching.seen, shown)
        shown, _, dones, _ = stacked.step(np.array([UP, LEFT]))
        frames, _, _, _ = single.step(np.array([UP, LEFT]))
        assert np.array_equal(shown[:, 6:], frames)
    assert shown.shape == (2, 9, 8, 8)


def test_the_seed_decides_what_is_drawn():
    world = simulated(PerfectModel(), 1, horizon=5, starts=dots([(4, 4)]))
    learner = DQN("CnnPolicy", world, policy_kwargs=SMALL, buffer_size=10, seed=0)
    learner.exploration_rate = 1.0

    def acts(seed):
        agent = Trained(learner, seed=seed)
        return [int(agent.act(np.zeros((1, 8, 8, 3), np.uint8))[0]) for _ in range(20)]

    assert acts(1) == acts(1) != acts(2)


def test_small_is_all_there_is():
    world = simulated(PerfectModel(), 2, horizon=5, starts=dots([(4, 4)]))
    learners = [
        PPO("CnnPolicy", world, policy_kwargs=SMALL, n_steps=4, batch_size=4),
        DQN("CnnPolicy", world, policy_kwargs=SMALL, buffer_size=10),
    ]
    assert not list(learners[0].policy.mlp_extractor.parameters())
    assert len(learners[1].q_net.q_net) == 1


def test_channels_are_turned_first_even_where_there_are_as_many_as_pixels():
    spec = dot_spec(8, channels=8)
    starts = np.zeros((1, 2, 8, 8, 8), np.uint8)
    starts[:, :, :, 5, 2] = 255
    given = (starts, np.zeros((1, 1, 5), np.float32))
    world = pictures(SimulatedVecEnv(SimulatedVectorEnv(PerfectModel(spec=spec), 1, starts=given)))
    assert np.array_equal(world.reset()[0], starts[0, 0])
    PPO("CnnPolicy", world, policy_kwargs=SMALL, n_steps=4, batch_size=4).learn(4)


@pytest.mark.parametrize("shape", [(4, 10, 10), (10, 10, 10), (3, 32, 32), (1, 64, 48), (3, 64, 64), (3, 84, 84)])
def test_features_are_of_any_frame(shape):
    space = spaces.Box(0, 255, shape, np.uint8)
    frames = pixels.to_float(torch.from_numpy(np.stack([space.sample()] * 2)))
    assert SmallFrames(space, features_dim=7)(frames).shape == (2, 7)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "worldgan.agents.sb3")
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.base_class", None)
    with pytest.raises(WorldganError, match=r"pip install -e '\.\[sb3\]'"):
        __import__("worldgan.agents.sb3")
