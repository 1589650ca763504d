"""A simulator without error ranks policies as the real env does, and one that takes losses for gains the other way."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from agent_fakes import ACTIONS, DotEnv, grid
from fakes import PerfectModel, dot_spec
from PIL import Image

from worldgan.agents import ActorCritic
from worldgan.agents.policies import EpsilonGreedy, Habit
from worldgan.data.collect import RandomPolicy
from worldgan.errors import WorldganError
from worldgan.evaluation.ranking import (
    Ranking,
    check_env,
    earn,
    imagined_rewards,
    policies,
    ranked,
    table,
    write_rankings,
)
from worldgan.seeding import torch_rng

SIZES = {"horizon": 12, "starts": 6, "seed": 1}


@dataclass(frozen=True)
class Contrary(PerfectModel):
    """Takes losses for gains."""

    def step(self, state, action, generator):
        prediction, state = super().step(state, action, generator)
        return replace(prediction, reward=-prediction.reward), state


def rank(model, make_env, chosen, **sizes):
    return ranked(chosen, [earn(model, make_env, chosen, number, **sizes) for number in range(len(chosen))])


def test_a_perfect_model_ranks_as_the_real_env_does():
    model = PerfectModel(context=3)
    found = rank(model, DotEnv, policies(model, 10, seed=0), **SIZES)
    assert found.real.shape == (10, 12)
    assert np.allclose(found.simulated, found.real)
    assert [round(value, 6) for value in found.correlation()[-6:]] == [1] * 6
    assert max(value for value in found.error() if value is not None) < 1e-6
    assert len(np.unique(found.real[:, -1])) >= 8  # they really are of different strength
    earned = dict(zip(found.policies, found.real[:, -1], strict=True))
    assert max(earned, key=earned.__getitem__) == "planner, epsilon 0"
    assert earned["planner, epsilon 0"] > earned["planner, epsilon 0.5"] > earned["random"]


def test_an_actor_takes_the_place_of_habits():
    model = PerfectModel(context=1)
    actor = ActorCritic(model.spec, 1, width=4, units=8, seed=0)
    actor.actor.head.bias.data[3] = 99.0  # left, to the end of the row
    found = rank(model, DotEnv, policies(model, 7, seed=0, actor=actor), **SIZES)
    assert found.policies[4:] == ("actor, epsilon 0", "actor, epsilon 0.33", "actor, epsilon 0.67")
    assert not any("habit" in name for name in found.policies)
    assert np.allclose(found.simulated, found.real)
    assert len(np.unique(found.real[4:, -1])) == 3


def test_a_model_that_takes_losses_for_gains_ranks_the_other_way():
    chosen = policies(PerfectModel(), 8, seed=0)
    found = rank(Contrary(), DotEnv, chosen, **SIZES)
    assert found.correlation()[-1] == pytest.approx(-1)
    assert found.error()[-1] == pytest.approx(2)


def test_a_model_of_another_env_is_refused():
    with pytest.raises(WorldganError, match="expected a model for"):
        check_env(PerfectModel(spec=dot_spec(9)), DotEnv)


def test_the_same_seed_ranks_the_same():
    made = [rank(PerfectModel(), DotEnv, policies(PerfectModel(), 3, seed=2), **SIZES).plain() for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("kind", ACTIONS)
def test_policies_are_for_any_actions(kind):
    spec = ACTIONS[kind]
    frames = np.zeros((400, 5, 5, 1), np.uint8)
    for agent in (Habit(spec, seed=1), EpsilonGreedy(Habit(spec), RandomPolicy(spec), epsilon=0.5)):
        agent.reset(np.ones(400, np.bool_))
        actions = agent.act(frames)
        assert actions.shape == (400, *spec.shape)
        assert all(spec.space().contains(action) for action in actions)
    assert not np.allclose(*(Habit(spec, seed=seed).act(frames).mean(0) for seed in (1, 2)), atol=0.1)


@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0])
def test_epsilon_is_the_share_of_the_other_agent(epsilon):
    class Always:
        def __init__(self, action):
            self.action = action

        def reset(self, rows):
            pass

        def act(self, observation):
            return np.full(len(observation), self.action)

    found = EpsilonGreedy(Always(0), Always(1), epsilon=epsilon).act(np.zeros((4000, 1)))
    assert found.mean() == pytest.approx(epsilon, abs=0.03)


def test_rewards_behind_an_imagined_end_do_not_count():
    model = grid("discrete")
    first = np.zeros((1, 5, 5, 1), np.uint8)
    first[0, 3, 2] = 255  # one step to the right is the goal, which pays 1 at each step that is made there

    class Right:
        def reset(self, rows):
            pass

        def act(self, observation):
            return np.array([4])

    found = imagined_rewards(model, Right(), first, 4, torch_rng(0))
    assert found.tolist() == [[1, 0, 0, 0]]


def test_what_nobody_earns_has_no_error_and_what_all_earn_no_order():
    found = Ranking(("a", "b"), simulated=np.array([[1.0, 2.0], [1.0, 3.0]]), real=np.array([[0.0, 1.0], [0.0, 3.0]]))
    assert found.error() == [None, 0.25]
    assert found.correlation() == [None, pytest.approx(1)]


def test_it_is_written_up(tmp_path):
    found = rank(PerfectModel(), DotEnv, policies(PerfectModel(), 3, seed=0), horizon=2, starts=2, seed=0)
    write_rankings(tmp_path, {"gan": found, "mse": found})
    written = json.loads((tmp_path / "ranking.json").read_text())
    assert written["mse"] == found.plain()
    with Image.open(tmp_path / "ranking.png") as image:
        assert min(image.size) > 30
    assert [line.split()[0] for line in table({"gan": found, "mse": found}).splitlines()] == ["ranking", "gan", "mse"]


def test_too_few_policies_are_refused():
    with pytest.raises(WorldganError, match="at least 3 policies to rank, got 2"):
        policies(PerfectModel(), 2, seed=0)
