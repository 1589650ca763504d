"""Episodes in the real env depend on the seed alone; imagined and real frames follow the same actions."""

import numpy as np
import pytest
from agent_fakes import DotEnv, Watched, grid
from fakes import PerfectModel

from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.data.collect import RandomPolicy
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import imagined_vs_real, play, summary


class Chaser:
    """Always moves up: the same whatever else is played."""

    def __init__(self, action=1):
        self.action, self.resets = action, []

    def reset(self, rows):
        self.resets.append(rows.tolist())

    def act(self, observation):
        return np.full(len(observation), self.action)


@pytest.mark.parametrize("num_envs", [1, 2, 5, 9])
def test_episodes_do_not_depend_on_the_number_of_envs(num_envs):
    played = play(DotEnv, Chaser(), episodes=5, seed=1, max_steps=6, num_envs=num_envs, record=2)
    alone = play(DotEnv, Chaser(), episodes=5, seed=1, max_steps=6, num_envs=1, record=2)
    assert [p.number for p in played] == [0, 1, 2, 3, 4]
    assert [(p.total, p.length, p.terminated) for p in played] == [(p.total, p.length, p.terminated) for p in alone]
    for one, other in zip(played[:2], alone[:2], strict=True):
        assert np.array_equal(one.episode.frames, other.episode.frames)
    assert [p.episode is None for p in played] == [False, False, True, True, True]


def test_episodes_are_complete_and_seeded():
    made = []

    def make_env():
        made.append(DotEnv())
        return made[-1]

    counts = []
    played = play(
        make_env, RandomPolicy(PerfectModel().spec.actions, seed=0), episodes=7, seed=3,
        max_steps=40, num_envs=3, record=7, report=lambda done, note="": counts.append(done),
    )  # fmt: skip
    assert len(made) == 3
    assert all(env.closed for env in made)
    seeds = [seed for env in made for seed in env.seeds]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert counts[-1] == 7
    assert sorted(counts) == counts
    for p in played:
        assert p.total == pytest.approx(p.episode.rewards.sum())
        assert p.length == len(p.episode) == len(p.episode.actions) == len(p.episode.frames) - 1
        assert p.terminated != p.truncated
        assert p.truncated == (p.length == 40 and not p.terminated)


def test_the_agent_is_told_where_episodes_begin():
    agent = Chaser(0)
    play(DotEnv, agent, episodes=2, seed=0, max_steps=3, num_envs=1)
    assert agent.resets == [[True], [True]]


def test_counts_below_one_are_refused():
    with pytest.raises(WorldganError, match="got 0, 5, 8"):
        play(DotEnv, Chaser(), episodes=0, seed=0, max_steps=5)


def test_a_planner_earns_what_it_should_in_the_real_env():
    planner = PLANNERS["cem"](PerfectModel(), PlannerConfig(horizon=8, candidates=100, samples=1))
    played = play(DotEnv, planner, episodes=3, seed=0, max_steps=20, num_envs=2)
    assert min(p.total for p in played) >= 20 - 7  # at worst 4 steps to the nearest paying row, or 7 the other way
    assert not any(p.terminated for p in played)


def test_summary():
    found = summary([1.0, 2.0, 3.0, 6.0])
    assert found == summary([1.0, 2.0, 3.0, 6.0])
    assert (found["mean"], found["min"], found["max"], found["episodes"]) == (3.0, 1.0, 6.0, 4.0)
    assert found["standard_error"] == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
    assert 1.0 <= found["low"] < 3.0 < found["high"] <= 6.0
    alone = summary([2.0])
    assert (alone["mean"], alone["standard_error"], alone["low"], alone["high"]) == (2.0, None, None, None)
    with pytest.raises(WorldganError, match="at least one"):
        summary([])


def test_the_bootstrap_interval_is_about_two_errors_wide():
    values = np.random.default_rng(0).normal(5, 2, 200)
    found = summary(values.tolist())
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * found["standard_error"], rel=0.05)


@pytest.mark.parametrize("horizon", [1, 4, 50])
@pytest.mark.parametrize("context", [1, 3])
def test_a_perfect_model_imagines_what_happens(horizon, context):
    agent = RandomPolicy(PerfectModel().spec.actions, seed=5)
    model = Watched(PerfectModel(context=context))
    env = DotEnv()
    shown = imagined_vs_real(model, env, agent, horizon=horizon, seed=2, max_steps=13)
    assert list(shown) == ["imagined", "real"]
    assert shown["real"].shape == (14, 8, 8, 3)
    assert np.array_equal(shown["imagined"], shown["real"])
    assert model.starts[0][0].shape[:2] == (-(-13 // horizon), context)
    assert not env.closed


def test_the_model_is_compared_with_the_env_first():
    with pytest.raises(WorldganError, match=r"expected a model for .*\(8, 8, 3\)"):
        imagined_vs_real(grid("discrete"), DotEnv(), Chaser(), horizon=4, seed=0)
