"""The ceiling is high, and does not foresee chance."""

import copy
import pickle

import numpy as np
import pytest
import torch
from agent_fakes import DotEnv

from worldgan import envs
from worldgan.agents import PLANNERS, SEARCHES, Oracle, OracleTree, PlannerConfig, Truth, futures
from worldgan.envs.paddle import State
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import play
from worldgan.seeding import torch_rng

CONFIG = PlannerConfig(horizon=14, candidates=32, hold=10)


def oracle(made, name="shooting"):
    search = SEARCHES[name](envs.env_spec(made[0], "paddle", {}).actions, CONFIG)
    return Oracle(made, search, samples=2, discount=0.99, seed=0)


@pytest.mark.parametrize("name", ["shooting", "icem"])
def test_it_catches_most_balls_that_the_wind_throws_about(name):
    made = [envs.make("worldgan/Paddle-v0") for _ in range(4)]
    played = play(iter(made).__next__, oracle(made, name), episodes=4, num_envs=4, seed=0, max_steps=20)
    caught = [episode.total for episode in played].count(1.0)
    assert caught >= 3  # random play catches one in four


def test_planning_leaves_the_env_as_it_was():
    env = envs.make("worldgan/Paddle-v0")
    frame, _ = env.reset(seed=3)
    before = pickle.dumps(env.unwrapped)
    twin = copy.deepcopy(env)
    agent = oracle([env])
    agent.reset(np.ones(1, np.bool_))
    agent.act(frame[None])
    assert pickle.dumps(env.unwrapped) == before
    assert np.array_equal(env.step(1)[0], twin.step(1)[0])


def test_the_truth_is_a_world_model():
    env, generator = envs.make("worldgan/Paddle-v0"), torch_rng(0)
    env.reset(seed=0)
    truth, action = Truth(env), torch.tensor([[0.0, 0.0, 1.0]] * 2)
    state = truth.of([env, env])
    found = truth.outcomes(state, action, 9, generator)
    assert found.probability.sum(1).tolist() == pytest.approx([1.0, 1.0])
    prediction, after = truth.step(state, action, generator)
    for row in range(2):
        assert any(torch.equal(prediction.frame[row], frame) for frame in found.frames[row])
    pushed = truth.push(state, action, prediction.frame)
    assert torch.equal(
        truth.frame(truth.join([pushed, truth.index(after, torch.tensor([1]))]))[2], truth.frame(after)[1]
    )
    assert [game._state for game in pushed] == [game._state for game in after]
    with pytest.raises(WorldganError, match="a frame that can follow action 2"):
        truth.push(state, action, truth.frame(state))
    with pytest.raises(WorldganError, match=r"use Truth\.of"):
        truth.start(torch.zeros(1), torch.zeros(1))


def test_a_tree_in_the_truth_catches_the_ball_and_leaves_the_env_as_it_was():
    env = envs.make("worldgan/Paddle-v0")
    frame, _ = env.reset(seed=3)
    env.unwrapped._state = State(x=21, y=20, dx=1, dy=2, paddle=14)  # at least two of four steps must go right
    truth = Truth(env)
    config = PlannerConfig(horizon=4, simulations=40)
    agent, before = OracleTree([env], truth, PLANNERS["mcts"](truth, config)), pickle.dumps(env.unwrapped)
    agent.act(frame[None])
    assert pickle.dumps(env.unwrapped) == before
    total = 0.0
    for _ in range(4):
        _, reward, terminated, _, _ = env.step(int(agent.act(frame[None])[0]))
        total += reward
        if terminated:
            break
    assert total == 1.0


def played(env, plan):
    return [(frame.tobytes(), reward) for frame, reward, *_ in map(env.step, plan)]


def test_a_second_emulator_goes_on_from_the_state_of_the_first():
    pytest.importorskip("ale_py", reason="needs an extra")
    env, plan = envs.make("ALE/Breakout-v5", sticky=0.0), [1, 3, 3, 0, 2, 2] * 5
    env.reset(seed=0)
    played(env, plan)
    branch = futures(env, np.random.default_rng(0))
    ahead = [played(branch(), plan) for _ in range(2)]
    assert ahead[0] == ahead[1] == played(env, plan)
    assert played(branch(), plan) == played(env, plan)  # now


def test_futures_of_a_game_have_luck_of_their_own_and_leave_it_its_own():
    pytest.importorskip("ale_py", reason="needs an extra")
    plan, seen = [1, 3, 3, 0, 2, 2] * 5, []
    for branches in (0, 2):
        env = envs.make("ALE/Breakout-v5", sticky=0.5)
        env.reset(seed=0)
        branch = futures(env, np.random.default_rng(0))
        ahead = [played(branch(), plan) for _ in range(branches)]
        seen.append(played(env, plan))
    assert seen[0] == seen[1]
    assert ahead[0] != ahead[1]
    assert seen[1] not in ahead


class Bound:
    """Luck that always repeats the last action."""

    def random(self, size: int) -> np.ndarray:
        return np.zeros(size)


def test_futures_of_a_game_hold_the_action_that_the_game_holds():
    pytest.importorskip("ale_py", reason="needs an extra")
    env = envs.make("ALE/Breakout-v5", sticky=0.5)
    env.reset(seed=0)
    env.unwrapped.np_random = np.random.default_rng(0)
    played(env, [1, *[2] * 8])  # to the right
    branch = futures(env, np.random.default_rng(0))
    branch().unwrapped.np_random = Bound()
    ahead = [played(branch(), [action] * 4) for action in (3, 0)]
    env.unwrapped.np_random = Bound()
    assert ahead[0] == ahead[1] == played(env, [3] * 4)


def test_the_oracle_plays_atari():
    pytest.importorskip("ale_py", reason="needs an extra")
    env = envs.make("ALE/Breakout-v5")
    frame, _ = env.reset(seed=0)
    config = PlannerConfig(horizon=4, candidates=3)
    search = SEARCHES["shooting"](envs.env_spec(env, "breakout", {}).actions, config)
    agent = Oracle([env], search, samples=2, discount=0.99, seed=0)
    assert agent.act(frame[None]).shape == (1,)


def test_an_env_that_cannot_be_cloned_is_refused():
    with pytest.raises(WorldganError, match="built-in env or an Atari game"):
        oracle([DotEnv()])
