"""The tree finds what exact computation finds, in step for all envs, within bounds."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from agent_fakes import LotteryModel, TableModel, Watched, picture
from fakes import PerfectModel, draw

from worldgan.agents import PLANNERS, PlannerConfig, TreeSearch
from worldgan.agents.tree import Chance, Tree, Way, decision, variation
from worldgan.seeding import torch_rng

HORIZON, DISCOUNT = 3, 0.9


def expectimax(model):
    """Worth of each state and action with HORIZON steps to go, [size, 2], and of the best open-loop plan, [size]."""
    odds, rewards, ends = (part.double() for part in model.table())

    @cache
    def worth(plan):
        """[size, 2] of acting best, or of [size] following a plan of fixed actions."""
        after = torch.zeros(model.size).double()
        for step in range(HORIZON if plan is None else len(plan)):
            found = (odds * (rewards + DISCOUNT * (1 - ends) * after)).sum(-1)
            after = found.amax(-1) if plan is None else found[:, plan[-1 - step]]
        return found if plan is None else after

    plans = torch.stack([worth(plan) for plan in product(range(2), repeat=HORIZON)])
    return worth(None), plans.amax(0)


def search(model, simulations, **options):
    config = PlannerConfig(horizon=HORIZON, discount=DISCOUNT, samples=1, simulations=simulations, **options)
    planner = PLANNERS["mcts"](model, config)
    return planner.search(torch.arange(model.size), model.size)


@pytest.mark.parametrize("seed", range(2))
def test_it_converges_to_expectimax(seed):
    model = TableModel(seed=seed)
    exact, open_loop = expectimax(model)
    assert (exact.amax(1) - open_loop).max() > 0.1  # so a search for fixed plans would not do
    errors = {}
    for simulations in (20, 500):
        trees = search(model, simulations, puct=0.4)
        worth = torch.tensor([tree.root.chances[tree.best()].worth for tree in trees])
        errors[simulations] = (worth - exact.amax(1)).abs()
    assert all(truth[tree.best()] > truth.max() - 0.05 for tree, truth in zip(trees, exact, strict=True))
    assert errors[500].max() < 0.1
    assert errors[500].mean() < 0.5 * errors[20].mean()


def test_it_converges_where_odds_are_counted_too():
    model = TableModel(stated=False)
    exact, _ = expectimax(model)
    trees = search(model, 300, outcomes=8, widening=0.7, puct=0.4)
    best = [tree.root.chances[tree.best()] for tree in trees]
    assert all(len(chance.ways) == 3 for chance in best)
    assert (torch.tensor([chance.worth for chance in best]) - exact.amax(1)).abs().mean() < 0.15


def test_stated_odds_are_asked_for_once_and_counted_ones_again():
    looks = {}
    for stated in (True, False):
        trees = search(TableModel(stated=stated), 40)
        looks[stated] = max(chance.looks for tree in trees for chance in tree.root.chances)
    assert looks[True] == 1
    assert looks[False] > 3


def test_all_trees_grow_in_step_and_within_bounds():
    model = Watched(TableModel())
    config = PlannerConfig(horizon=HORIZON, samples=2, simulations=20, outcomes=3)
    trees = PLANNERS["mcts"](model, config).search(torch.arange(5), 5)
    assert max(model.looks) == 5
    assert len(model.looks) <= 20
    assert max(model.steps) <= 5 * 3 * 2  # trees, outcomes, samples
    assert len(model.steps) <= 20 * (HORIZON - 1) + HORIZON

    def count(node):
        return 1 + sum(count(way.then) for chance in node.chances for way in chance.ways if way.then)

    def depth(node):
        return max([node.depth, *(depth(way.then) for c in node.chances for way in c.ways if way.then)])

    assert all(1 < count(tree.root) <= 21 for tree in trees)
    assert max(depth(tree.root) for tree in trees) == HORIZON - 1
    assert all(sum(chance.visits for chance in tree.root.chances) == 20 for tree in trees)


def test_what_ends_is_worth_its_reward_alone():
    model = PerfectModel(context=1)  # below row 0, the way to (0, 0) pays 1 and ends; row 0 pays 1 a step
    planner = PLANNERS["mcts"](model, PlannerConfig(horizon=2, discount=1.0, samples=4, simulations=100))
    [tree] = planner.search(torch.tensor([[1, 0]]), 1)
    up = tree.root.chances[1]
    assert up.worth == 1.0
    assert up.ways[0].then is None
    [tree] = planner.search(torch.tensor([[1, 3]]), 1)
    assert tree.best() == 1
    assert tree.root.chances[1].worth > 1.5


def test_a_policy_says_where_to_look_first():
    model = TableModel()
    made = TreeSearch(
        model, horizon=2, simulations=9, outcomes=3, samples=1, discount=1.0, hold=1, chunk=9, puct=99.0, widening=0.5,
        seed=0, policy=lambda state: torch.tensor([[0.0, 1.0]]).repeat(len(state), 1),
    )  # fmt: skip
    assert all(tree.root.visits.tolist() == [0, 9] for tree in made.search(torch.arange(5), 5))


def test_what_an_action_is_worth_is_told():
    planner = PLANNERS["mcts"](LotteryModel(), PlannerConfig(horizon=2, discount=0.5, simulations=60))
    assert planner.act(np.zeros((3, 2, 2, 1), np.uint8)).tolist() == [0, 0, 0]
    assert planner.last_value.tolist() == pytest.approx([1.5] * 3, abs=0.4)


def way(weight=1.0, reward=0.0, value=0.0, terminated=0.0, pixel=0):
    return Way(weight, torch.full((1, 1, 1), pixel, dtype=torch.uint8), reward, terminated, value)


def test_a_chance_is_worth_the_mean_and_not_the_best_of_what_may_follow():
    chance = Chance()
    chance.widen([way(0.9, reward=-5.0), way(0.1, reward=10.0, pixel=200)], stated=True)
    chance.update(1.0)
    assert chance.worth == pytest.approx(-3.5)


def test_visits_even_out_with_odds():
    chance = Chance()
    chance.widen([way(0.5), way(0.3, pixel=80), way(0.2, pixel=160), way(1.0, terminated=1.0, pixel=240)], stated=True)
    for _ in range(100):
        chance.likeliest().visits += 1
    assert [w.visits for w in chance.ways] == pytest.approx([50, 30, 20, 0], abs=1)


def test_looks_are_added_up_and_look_alikes_are_one():
    chance = Chance()
    chance.widen([way(0.75), way(0.25, pixel=200)], stated=False)
    chance.widen([way(0.5, pixel=10), way(0.5, pixel=100)], stated=False)
    assert [w.weight for w in chance.ways] == [1.25, 0.25, 0.5]


def test_returns_of_any_scale_are_explored_alike():
    def visits(scale):
        root = decision(None, 0, np.array([0.5, 0.5]), 0.0)
        for chance, reward in zip(root.chances, (1.0, 0.8), strict=True):
            chance.widen([way(reward=scale * reward)], stated=True)
        rng = np.random.default_rng(0)
        tree = Tree(root, horizon=1, discount=1.0, puct=1.25, widening=0.5, rng=rng)
        for _ in range(50):
            tree.back_up(tree.descend())
        return root.visits.tolist()

    assert visits(1.0) == visits(1000.0)
    assert 0 < visits(1.0)[1] < visits(1.0)[0]


def followed(visits, *ways):
    """A decision whose actions were visited so often, of which the one visited most may lead to ``ways``."""
    made = decision(None, 0, np.full(len(visits), 1 / len(visits)), 0.0)
    for chance, count in zip(made.chances, visits, strict=True):
        chance.visits = count
    made.chances[int(np.argmax(visits))].ways = list(ways)
    return made


def test_the_principal_variation_is_what_was_visited_most():
    usual = followed([0, 2, 5], way(0.9), replace(way(0.1), visits=2, then=followed([1, 0], way())))
    chance = Chance(
        [
            way(0.2, pixel=160),  # never gone on from
            replace(way(0.3, pixel=80), visits=2, then=followed([0, 1, 0], way())),
            replace(way(0.5), visits=6, then=usual),
        ]
    )
    seen = [torch.full((1, 1, 1), pixel, dtype=torch.uint8) for pixel in (0, 80, 160, 240)]
    assert [variation(chance, frame) for frame in seen] == [[2, 0], [1], [2, 0], [2, 0]]


def test_what_it_means_to_do_is_the_best_way():
    model = PerfectModel(context=1)  # row 0, two steps up, pays 1 a step
    planner = PLANNERS["mcts"](model, PlannerConfig(horizon=3, discount=1.0, samples=4, simulations=150))
    assert planner.act(picture(model, (2, 3), (2, 5))).tolist() == [1, 1]
    first, *_ = planner.ahead(model, torch.tensor([[1, 3], [1, 5]]), torch_rng(0))
    assert first.action.argmax(1).tolist() == [1, 1]
    assert torch.equal(first.frame, model.frame(torch.tensor([[0, 3], [0, 5]])))


def test_the_same_seed_grows_the_same_tree():
    model = PerfectModel()
    frames = draw(torch.tensor([[3, 3], [5, 1]]), model.spec).permute(0, 2, 3, 1).numpy()

    def grown(seed):
        planner = PLANNERS["mcts"](model, PlannerConfig(horizon=4, simulations=10, seed=seed))
        planner.act(frames)
        return planner.last_value.tolist()

    assert grown(0) == grown(0) != grown(1)
