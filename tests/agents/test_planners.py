"""Laws of planners, in worlds whose best plans are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agent_fakes import ACTIONS, LotteryModel, TargetModel, Watched, grid, picture
from fakes import PerfectModel, dot_spec

from worldgan.actions import ActionSpec
from worldgan.agents import PLANNERS, SEARCHES, PlannerConfig, check_match, imagined_returns, random_plans
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec

SMALL = PlannerConfig(horizon=8, candidates=400, samples=1, discount=0.9)
each = pytest.mark.parametrize("name", sorted(PLANNERS))


def returns_of(model, frames, plans, **options):
    """Of raw discrete plans [B, N, H] from observations [B, H, W, C]."""
    tensor = torch.from_numpy(np.moveaxis(frames, -1, 1)[:, None].copy()).repeat(1, model.context, 1, 1, 1)
    state = model.start(tensor, torch.zeros(len(frames), model.context - 1, model.spec.actions.size))
    encoded = torch.from_numpy(model.spec.actions.encode(np.asarray(plans)))
    options = {"samples": 1, "discount": 0.5, "generator": torch_rng(0)} | options
    return imagined_returns(model, state, encoded, **options)


def walk(model, planner, rows, limit=12):
    """Steps until every row is at the goal, under the model's own dynamics."""
    places = torch.zeros(rows, 2)
    planner.reset(np.ones(rows, np.bool_))
    taken, alive = torch.zeros(rows), torch.ones(rows, dtype=torch.bool)
    for _ in range(limit):
        raw = planner.act(picture(model, *map(tuple, places.round().long().tolist())))
        # from the middle of a cell, which is all that the frame shows
        result, places = model.step(places.round(), torch.from_numpy(model.spec.actions.encode(raw)), torch_rng(0))
        taken += alive
        alive &= result.terminated < 0.5
    assert not alive.any()
    return taken.tolist()


@each
@pytest.mark.parametrize(("kind", "shortest"), [("discrete", 6), ("multidiscrete", 3), ("box", 3)])
def test_it_takes_the_shortest_way(name, kind, shortest):
    model = grid(kind)
    planner = PLANNERS[name](model, replace(SMALL, candidates=1500))
    assert walk(model, planner, rows=2) == [shortest, shortest]
    assert planner.last_plan.shape == (2, SMALL.horizon, model.spec.actions.size)


@pytest.mark.parametrize("kind", ACTIONS)
def test_cross_entropy_comes_closer_than_shooting_with_as_many_plans(kind):
    model, error = TargetModel(EnvSpec("target", (2, 2, 1), ACTIONS[kind])), {}
    for name in PLANNERS:
        # exploration is for later searches; here it would only blur the answer
        config = PlannerConfig(horizon=6, candidates=100, samples=1, hold=1, iterations=10, exploration=0.01)
        planner = PLANNERS[name](model, replace(config, candidates=1000) if name == "shooting" else config)
        planner.act(np.zeros((2, 2, 2, 1), np.uint8))
        error[name] = (planner.last_plan - model.target(6)).square().sum((1, 2)).max().item()
    assert error["cem"] < 0.1 < error["shooting"]


def plans_of(planner, model):
    return model.spec.actions.decode(planner.last_plan[:, None].numpy())


@each
def test_luck_is_averaged_and_not_believed(name):
    planner = PLANNERS[name](LotteryModel(), PlannerConfig(horizon=3, candidates=64, samples=64))
    for _ in range(5):
        assert planner.act(np.zeros((4, 2, 2, 1), np.uint8)).tolist() == [0, 0, 0, 0]


@each
def test_it_does_not_walk_into_an_end_that_costs_later_rewards(name):
    model = PerfectModel()  # row 0 pays 1 a step, but (0, 0) ends the episode
    planner = PLANNERS[name](model, SMALL)
    planner.act(picture(model, (0, 1)))
    assert returns_of(model, picture(model, (0, 1)), plans_of(planner, model)) == pytest.approx(2 - 0.5**7)


def test_termination_ends_a_return_but_its_own_reward_counts():
    model = PerfectModel()
    up, stay = [1, 0, 0, 0], [0, 0, 0, 0]
    frames = picture(model, (1, 0), (1, 3))  # above the first is the end, above the second is not
    assert returns_of(model, frames, [[up, stay], [up, stay]]).tolist() == [[1.0, 0.0], [1.875, 0.0]]


def test_returns_do_not_depend_on_the_chunk():
    model, rng = PerfectModel(), np.random.default_rng(0)
    plans = model.spec.actions.decode(model.spec.actions.sample((3, 20, 5), rng))
    frames = picture(model, (1, 3), (6, 2), (0, 5))
    whole = returns_of(model, frames, plans, samples=2)
    assert torch.equal(whole, returns_of(model, frames, plans, samples=2, chunk=7))
    assert whole.unique().numel() > 5


def test_a_return_is_the_mean_of_its_samples():
    plans = [[[1]], [[0]]]
    found = returns_of(LotteryModel(), np.zeros((2, 2, 2, 1), np.uint8), plans, samples=20_000)
    assert found[:, 0].tolist() == pytest.approx([-3.5, 1.0], abs=0.1)


@each
def test_all_candidates_are_imagined_in_one_batch(name):
    model = Watched(LotteryModel())
    config = PlannerConfig(horizon=5, candidates=10, samples=3, iterations=4, chunk=1000)
    planner = PLANNERS[name](model, config)
    planner.act(np.zeros((2, 2, 2, 1), np.uint8))
    searches = {"shooting": 1, "cem": 4}[name]
    assert model.steps == [2 * 10 * 3] * 5 * searches


@each
def test_memory_is_bounded_by_the_chunk(name):
    model = Watched(LotteryModel())
    planner = PLANNERS[name](model, PlannerConfig(horizon=2, candidates=10, samples=3, chunk=8))
    planner.act(np.zeros((2, 2, 2, 1), np.uint8))
    assert max(model.steps) == 8


@each
@pytest.mark.parametrize("kind", ACTIONS)
def test_same_seed_same_actions(name, kind):
    model = grid(kind)
    frames = picture(model, (0, 0), (1, 2), (4, 4))

    def actions(seed):
        planner = PLANNERS[name](model, replace(SMALL, candidates=20, seed=seed))
        return np.stack([planner.act(frames) for _ in range(4)]).tolist()

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)


@each
@pytest.mark.parametrize("kind", ACTIONS)
def test_actions_are_in_the_space(name, kind):
    model = grid(kind)
    space = model.spec.actions.space()
    planner = PLANNERS[name](model, replace(SMALL, candidates=20))
    actions = planner.act(picture(model, (0, 0), (2, 2)))
    assert all(action in space for action in actions)


class Noting:
    """A score that likes element 0 of the first action and element 1 of the second, and notes the plans."""

    def __init__(self):
        self.plans = []

    def __call__(self, plans):
        self.plans.append(plans)
        return plans[:, :, 0, 0] + plans[:, :, 1, 1]


@pytest.mark.parametrize("kind", ACTIONS)
def test_shooting_begins_with_what_is_left_of_its_last_plan(kind):
    search, score = SEARCHES["shooting"](ACTIONS[kind], replace(SMALL, candidates=50)), Noting()
    last = search(score, np.array([True, True]))
    search(score, np.array([False, True]))
    rest = torch.cat([last[:, 1:], last[:, -1:]], dim=1)
    assert torch.equal(score.plans[1][0, 0], rest[0])
    assert not (score.plans[1][1] == rest[1]).all((1, 2)).any()


@pytest.mark.parametrize("kind", ACTIONS)
def test_cross_entropy_begins_with_its_last_belief_one_step_on(kind):
    search, score = SEARCHES["cem"](ACTIONS[kind], replace(SMALL, candidates=1000, iterations=6)), Noting()
    search(score, np.array([True, True]))  # learns that action value 1 is good at step 1
    search(score, np.array([False, True]))
    going, begun = score.plans[6][:, 250:, 0, 1].mean(1)  # the first candidates that are not random plans
    assert going > begun + 0.2


def test_random_plans_hold_actions():
    actions, rng = ActionSpec("box", (1,), (0.0,), (1.0,)), np.random.default_rng(0)
    plans = random_plans(actions, (1, 2000, 12), hold=4, rng=rng)[0, :, :, 0]
    changes = plans.diff(dim=-1) != 0
    runs = torch.diff(torch.where(changes.flatten())[0])  # of whole runs and of those that the plan's end cuts
    assert runs.max() <= 4 + 3
    assert changes.float().mean() == pytest.approx(1 / 2.5, abs=0.03)
    assert (random_plans(actions, (1, 50, 12), hold=1, rng=rng).diff(dim=2) != 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": 0}, {"candidates": 1}, {"samples": 0}, {"discount": 1.5}, {"hold": 0}, {"iterations": 0},
        {"elites": 1.0}, {"smoothing": -0.1}, {"exploration": 2.0}, {"chunk": 0},
    ],
)  # fmt: skip
def test_impossible_values_are_refused_in_one_line(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(WorldganError, match=rf"^expected {name} .*, got {value}$"):
        PlannerConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *[("shooting", c) for c in ({"horizon": 3}, {"candidates": 9}, {"samples": 2}, {"discount": 0.1})],
        *[("shooting", c) for c in ({"hold": 1}, {"chunk": 5}, {"seed": 1})],
        *[("cem", c) for c in ({"iterations": 1}, {"elites": 0.5}, {"smoothing": 0.9}, {"exploration": 0.9})],
        *[("cem", c) for c in ({"hold": 1}, {"horizon": 3}, {"candidates": 9}, {"samples": 2}, {"seed": 1})],
    ],
)
def test_every_knob_is_read(name, change):
    def outcome(config):
        model = Watched(LotteryModel() if "discount" not in change else PerfectModel())
        planner = PLANNERS[name](model, config)
        frames = np.zeros((6, 2, 2, 1), np.uint8) if "discount" not in change else picture(model, *[(7, 3)] * 6)
        return [planner.act(frames).tolist() for _ in range(3)], planner.last_plan.tolist(), model.steps

    config = PlannerConfig(horizon=6, candidates=30, samples=1)
    assert outcome(config) != outcome(replace(config, **change))


def test_a_model_that_imagines_nan_is_refused():
    class Diverged(LotteryModel):
        def step(self, state, action, generator):
            prediction, state = super().step(state, action, generator)
            return replace(prediction, reward=prediction.reward * float("nan")), state

    with pytest.raises(WorldganError, match="NaN"):
        PLANNERS["cem"](Diverged(), SMALL).act(np.zeros((1, 2, 2, 1), np.uint8))


def test_a_model_of_another_env_is_refused():
    check_match(dot_spec(), replace(dot_spec(), id="a simulator of it"))
    with pytest.raises(WorldganError, match=r"^expected .*\(9, 9, 3\).* got .*\(8, 8, 3\)"):
        check_match(dot_spec(8), dot_spec(9))
    bounds = [EnvSpec("box", (8, 8, 3), ActionSpec("box", (1,), (0.0,), (high,))) for high in (1.0, 2.0)]
    with pytest.raises(WorldganError, match=r"expected .*2\.0.* got .*1\.0"):
        check_match(*bounds)
