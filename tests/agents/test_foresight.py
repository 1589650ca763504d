"""What an agent says it will do is what it has planned, seen through the model, and saying it changes nothing."""

from itertools import islice

import pytest
import torch
from agent_fakes import fitting, picture
from fakes import PerfectModel

from worldgan.agents import PLANNERS, SEARCHES, Actor, ActorCritic, PlannerConfig
from worldgan.seeding import torch_rng

MODEL, PLACES = PerfectModel(), [(3, 3), (5, 1)]
each = pytest.mark.parametrize("name", [*fitting("discrete"), "actor"])


def agent(name):
    if name == "actor":
        return Actor(ActorCritic(MODEL.spec, 2, width=4, units=8, seed=0), seed=0)
    return PLANNERS[name](MODEL, PlannerConfig(horizon=4, candidates=8, samples=1, simulations=12))


def asked(player, seed=0):
    return [*islice(player.ahead(MODEL, torch.tensor(PLACES), torch_rng(seed)), 6)]


@each
def test_being_asked_changes_nothing(name):
    one, other, frames = agent(name), agent(name), picture(MODEL, *PLACES)
    for step in range(5):
        assert one.act(frames).tolist() == other.act(frames).tolist()
        first, again = asked(one, step), asked(one, step)
        assert all(torch.equal(a, b) for pair in zip(first, again, strict=True) for a, b in zip(*pair, strict=True))


@each
def test_it_expects_what_the_model_says_of_what_it_means_to_do(name):
    player = agent(name)
    player.act(picture(MODEL, *PLACES))
    state = torch.tensor(PLACES)
    for action, frame in asked(player):
        assert action.sum(1).tolist() == [1, 1]
        prediction, state = MODEL.step(state, action, torch_rng(0))
        assert torch.equal(frame, prediction.frame)


@pytest.mark.parametrize("name", sorted(SEARCHES.keys() & {*fitting("discrete")}))
def test_a_plan_whose_first_action_is_taken_is_carried_on(name):
    player = agent(name)
    player.act(picture(MODEL, *PLACES))
    assert torch.equal(torch.stack([step.action for step in asked(player)], 1), player.last_plan[:, 1:])
