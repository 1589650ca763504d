"""Laws of planners, in worlds whose best plans are known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from agent_fakes import (
    ACTIONS,
    FITTING,
    ONE_NUMBER,
    LotteryModel,
    TableModel,
    TargetModel,
    Watched,
    fitting,
    grid,
    picture,
)  # fmt: skip
from fakes import PerfectModel, dot_spec

from worldgan.actions import ActionSpec
from worldgan.agents import PLANNERS, SEARCHES, PlannerConfig, check_match, imagined_returns, random_plans
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec

SMALL = PlannerConfig(horizon=8, candidates=400, samples=1, discount=0.9)
LOTTERY = {name: LotteryModel() for name in fitting("discrete")}
LOTTERY["mppi"] = LotteryModel(EnvSpec("lottery", (2, 2, 1), ONE_NUMBER))
each = pytest.mark.parametrize("name", sorted(PLANNERS))
with_plans = pytest.mark.parametrize("name", sorted(SEARCHES))
all_fitting = pytest.mark.parametrize(("name", "kind"), FITTING)


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


@all_fitting
def test_it_takes_the_shortest_way(name, kind):
    model, shortest = grid(kind), {"discrete": 6, "multidiscrete": 3, "box": 3}[kind]
    planner = PLANNERS[name](model, replace(SMALL, candidates=1500, simulations=300, temperature=0.1))
    assert walk(model, planner, rows=2) == [shortest, shortest]
    if name in SEARCHES:
        assert planner.last_plan.shape == (2, SMALL.horizon, model.spec.actions.size)


@pytest.mark.parametrize("kind", ACTIONS)
def test_better_searches_come_closer_than_shooting_with_as_many_plans(kind):
    model, error = TargetModel(EnvSpec("target", (2, 2, 1), ACTIONS[kind])), {}
    # exploration is for later searches; here it would only blur the answer, as coloured noise would: targets jump
    config = PlannerConfig(
        horizon=6, candidates=100, samples=1, hold=1, iterations=10, exploration=0.01, color=0.0, decay=1.0,
        temperature=0.1, disturbance=0.3,
    )  # fmt: skip
    for name in set(fitting(kind)) - {"mcts"}:
        planner = PLANNERS[name](model, replace(config, candidates=1000) if name == "shooting" else config)
        planner.act(np.zeros((2, 2, 2, 1), np.uint8))
        error[name] = (planner.last_plan - model.target(6)).square().sum((1, 2)).max().item()
    worst = error.pop("shooting")
    assert max(error.values()) < 0.15 < worst, error


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(set(fitting("discrete")) - {"mcts"}))
def test_brute_force_finds_no_better_plan(name, seed):
    model = TableModel(seed=seed)
    start = np.zeros((1, 1, 5, 1), np.uint8)
    start[0, 0, 2] = 255
    every = np.array(list(product(range(2), repeat=4)))[None]
    worth = returns_of(model, start, every, samples=4000, discount=1.0, chunk=10**6)[0]
    config = PlannerConfig(horizon=4, candidates=60, samples=200, discount=1.0, iterations=4, chunk=10**6)
    planner = PLANNERS[name](model, config)
    raw = planner.act(start)
    chosen = (every[0] == plans_of(planner, model)[0, 0]).all(1)
    assert worth[torch.from_numpy(chosen)].item() > worth.max().item() - 0.1
    assert raw[0] == plans_of(planner, model)[0, 0, 0]


def plans_of(planner, model):
    return model.spec.actions.decode(planner.last_plan[:, None].numpy())


@each
def test_luck_is_averaged_and_not_believed(name):
    planner = PLANNERS[name](LOTTERY[name], PlannerConfig(horizon=3, candidates=64, samples=64))
    for _ in range(5):
        taken = planner.act(np.zeros((4, 2, 2, 1), np.uint8))
        assert ((taken > 0) if name == "mppi" else (taken == 0)).all()


@pytest.mark.parametrize("name", sorted(set(fitting("discrete")) - {"mcts"}))
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


@with_plans
def test_all_candidates_are_imagined_in_one_batch(name):
    model = Watched(LOTTERY[name])
    config = PlannerConfig(horizon=5, candidates=10, samples=3, iterations=4, chunk=1000)
    planner = PLANNERS[name](model, config)
    planner.act(np.zeros((2, 2, 2, 1), np.uint8))
    searches = {"shooting": [10], "icem": [10, 8, 6, 5]}.get(name, [10] * 4)  # 1.25 times fewer each time
    assert model.steps == [2 * 3 * count for count in searches for _ in range(5)]


@each
def test_memory_is_bounded_by_the_chunk(name):
    model = Watched(LOTTERY[name])
    planner = PLANNERS[name](model, PlannerConfig(horizon=2, candidates=10, samples=3, chunk=8))
    planner.act(np.zeros((2, 2, 2, 1), np.uint8))
    assert max(model.steps) == 8


@all_fitting
def test_same_seed_same_actions(name, kind):
    model = grid(kind)
    frames = picture(model, (0, 0), (1, 2), (4, 4))

    def actions(seed):
        planner = PLANNERS[name](model, replace(SMALL, candidates=20, simulations=5, seed=seed))
        return np.stack([planner.act(frames) for _ in range(4)]).tolist()

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)


@all_fitting
def test_actions_are_in_the_space(name, kind):
    model = grid(kind)
    space = model.spec.actions.space()
    planner = PLANNERS[name](model, replace(SMALL, candidates=20, simulations=5))
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


@pytest.mark.parametrize("kind", ACTIONS)
def test_icem_brings_its_elites_along(kind):
    search, score = SEARCHES["icem"](ACTIONS[kind], replace(SMALL, candidates=50)), Noting()
    search(score, np.array([True, True]))
    search(score, np.array([False, True]))
    for row, brought in [(0, True), (1, False)]:
        before, guests = score.plans[1][row, :, 1:], score.plans[2][row, :5, :-1]
        assert all((before == guest).all((1, 2)).any() for guest in guests) == brought


def test_icem_tries_the_middle_of_its_belief_at_last():
    search, score = SEARCHES["icem"](ACTIONS["box"], replace(SMALL, candidates=50, smoothing=0.0)), Noting()
    search(score, np.array([True]))
    last = score.plans[-1][0]  # the 5 elites so far come before what is new
    assert torch.allclose(last[-1], last[:5].mean(0), atol=1e-6)


def test_mppi_weighs_plans_by_what_they_earn():
    config = replace(SMALL, candidates=2, iterations=1, horizon=1, color=0.0, temperature=0.5)
    noted: list[torch.Tensor] = []

    def score(plans):
        noted.append(plans)
        return 3 * plans[:, :, 0, 0]

    found = SEARCHES["mppi"](ONE_NUMBER, config)(score, np.array([True])).item()
    low, high = sorted(noted[0].flatten().tolist())
    share = 1 / (1 + np.exp(-2 / 0.5))  # two returns are two standard deviations apart, however far that is
    assert found == pytest.approx(share * high + (1 - share) * low, rel=1e-4)


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
        {"elites": 1.0}, {"smoothing": -0.1}, {"exploration": 2.0}, {"chunk": 0}, {"color": -1.0}, {"decay": 0.9},
        {"disturbance": 0.0}, {"temperature": 0.0}, {"simulations": 0}, {"outcomes": 0}, {"widening": 1.1},
        {"puct": -1.0},
    ],
)  # fmt: skip
def test_impossible_values_are_refused_in_one_line(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(WorldganError, match=rf"^expected {name} .*, got {value}$"):
        PlannerConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "kind", "advice"), [("mppi", "discrete", "icem or mcts"), ("mcts", "box", "cem or icem")]
)
def test_a_planner_that_does_not_fit_the_actions_is_refused(name, kind, advice):
    with pytest.raises(WorldganError, match=rf"^expected .* for {name}.* got {kind}.*: use {advice}$"):
        PLANNERS[name](grid(kind), SMALL)


def test_a_value_counts_for_what_is_alive_behind_the_horizon():
    model = PerfectModel()
    up, stay = [1, 0], [0, 0]
    frames = picture(model, (1, 0), (1, 3))  # above the first is the end, above the second is not
    eight = lambda places: torch.full((len(places),), 8.0)  # noqa: E731
    found = returns_of(model, frames, [[up, stay], [up, stay]], value=eight)
    assert found.tolist() == [[1.0, 2.0], [1.5 + 2.0, 2.0]]
    short = returns_of(model, frames, [[up, up], [up, stay]], lengths=torch.tensor([0, 1]))
    assert short.tolist() == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize("name", fitting("discrete"))
def test_every_planner_asks_the_value_what_comes_later(name):
    """Within the horizon nothing is earned; the value likes the dot to be far down."""
    model = PerfectModel()
    value = lambda places: places[:, 0].float()  # noqa: E731
    planner = PLANNERS[name](model, replace(SMALL, horizon=2, candidates=100, simulations=60), value=value)
    assert planner.act(picture(model, (3, 3), (4, 2))).tolist() == [2, 2]


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
