"""An agent that learns in imagination finds what there is to find in toys whose best play is known."""

from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
import torch
from agent_fakes import ACTIONS, LotteryModel, TableModel, grid, picture
from fakes import PerfectModel, dot_spec, dot_window

from worldgan import pixels
from worldgan.agents import PLANNERS, Actor, ActorCritic, DreamConfig, Dreamer, PlannerConfig, Recall
from worldgan.agents.imagination import dreamt
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec

SMALL = DreamConfig(batch=32, width=8, units=32, rate=3e-3, entropy=1e-2, precision="fp32")


def starts(model, *places):
    """States of one frame, in each of which a dot is shown."""
    frames = pixels.to_tensor(picture(model, *places))[:, None]
    return frames, torch.zeros(len(places), 0, model.spec.actions.size)


def learnt(model, begun, updates, config, frames=1):
    networks = ActorCritic(model.spec, frames, width=config.width, units=config.units, seed=config.seed)
    dreamer = Dreamer(model, networks, config)
    for number in range(updates):
        metrics = dreamer.update(begun, number)
    return dreamer, metrics


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_way_to_the_goal_is_found(kind):
    """The best return is the discount to the power of the steps before the goal: 5 along the axes, 2 askew."""
    model = grid(kind)
    begun = starts(model, *[(0, 0)] * 32)
    dreamer, metrics = learnt(model, begun, 40, replace(SMALL, horizon=12, discount=0.9))
    best = 0.9 ** (5 if kind == "discrete" else 2)
    assert 0.75 * best < metrics["return"] <= best + 0.01
    expected = dreamer.networks.value(dreamer.model.start(*begun))
    assert float(expected[0]) == pytest.approx(best, abs=0.2)


def test_all_networks_of_an_agent_learn_the_background_of_its_starts():
    model, given = PerfectModel(context=1), []
    begun = starts(model, *[(0, column) for column in range(4)] * 8)
    dreamer, _ = learnt(model, begun, 1, SMALL)
    for network in (dreamer.networks.actor, dreamer.networks.critic, dreamer.slow):
        network.body.register_forward_pre_hook(lambda _, args: given.append(args[0]))
        network(torch.zeros_like(begun[0][:1]))  # where the dot is differs, so nothing is there usually
        network(begun[0][:1])
    assert all(each.abs().max() < 0.1 for each in given[::2])
    assert all(each.max() > 1 for each in given[1::2])


def test_the_lucky_draw_is_not_taken():
    """One action in ten pays 10, and costs 5 otherwise: the other, which pays 1, is better."""
    begun = (torch.zeros(32, 1, 1, 2, 2, dtype=torch.uint8), torch.zeros(32, 0, 2))
    dreamer, _ = learnt(LotteryModel(), begun, 40, replace(SMALL, horizon=3, discount=0.5))
    player = Actor(dreamer.networks, seed=0)
    assert (player.act(np.zeros((200, 2, 2, 1), np.uint8)) == 0).mean() > 0.9
    value = float(dreamer.networks.value(dreamer.model.start(*begun))[0])
    assert value == pytest.approx(2, abs=0.3)


def test_nothing_counts_behind_an_end():
    """In the dot world (0, 0) ends the game. One step up it is nearest; the rest of row 0 pays 1 a step for ever."""
    model = PerfectModel(context=1)
    dreamer, _ = learnt(model, starts(model, *[(1, 0)] * 32), 30, replace(SMALL, horizon=8))
    up = Actor(dreamer.networks, seed=0).act(picture(model, *[(1, 0)] * 100)) == 1
    assert up.mean() < 0.1


def test_updates_are_a_function_of_their_numbers():
    model = TableModel()
    state = torch.arange(32) % 5
    begun = (pixels.to_uint8(model.picture(state))[:, None], torch.zeros(32, 0, 2))
    whole, _ = learnt(model, begun, 4, SMALL)
    half, _ = learnt(model, begun, 2, SMALL)
    again = Dreamer(model, ActorCritic(model.spec, 1, width=8, units=32, seed=1), SMALL)
    again.load_state_dict(half.state_dict())
    for number in (2, 3):
        again.update(begun, number)
    pairs = zip(whole.networks.parameters(), again.networks.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


OTHER = {
    "horizon": 3, "discount": 0.5, "trace": 0.5, "epochs": 3, "parts": 2, "trust": 0.01, "entropy": 0.5, "width": 4,
    "units": 16, "rate": 1e-2, "clip": 1e-6, "average": 0.5, "precision": "bf16", "seed": 1,
}  # fmt: skip
LOOP = {"steps", "minutes", "batch", "checkpoint_minutes", "log_steps"}


def test_every_field_changes_what_is_learnt():
    assert set(OTHER) == {field.name for field in fields(DreamConfig)} - LOOP
    model = TableModel()
    begun = (pixels.to_uint8(model.picture(torch.arange(32) % 5))[:, None], torch.zeros(32, 0, 2))

    def weights(config):
        dreamer, _ = learnt(model, begun, 4, config)
        return torch.cat([value.detach().flatten() for value in dreamer.networks.parameters()])

    base = weights(SMALL)
    assert torch.equal(base, weights(SMALL))
    for name, value in OTHER.items():
        other = weights(replace(SMALL, **{name: value}))
        assert base.shape != other.shape or not torch.equal(base, other), name


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch", 0), ("parts", 0), ("discount", 1.5), ("entropy", -1.0), ("rate", 0.0), ("average", 0.0), ("steps", 0)],
)
def test_what_cannot_be_learnt_with_is_refused(name, value):
    with pytest.raises(WorldganError, match=f"^expected {name} .*, got {value}"):
        replace(SMALL, **{name: value})


def test_a_model_that_imagines_nan_is_refused():
    class Diverged(LotteryModel):
        def step(self, state, action, generator):
            prediction, state = super().step(state, action, generator)
            return replace(prediction, reward=prediction.reward * float("nan")), state

    begun = (torch.zeros(4, 1, 1, 2, 2, dtype=torch.uint8), torch.zeros(4, 0, 2))
    with pytest.raises(WorldganError, match="finite"):
        learnt(Diverged(), begun, 1, SMALL)


def test_infinite_gradients_are_refused_before_the_step():
    model = TableModel()
    begun = (pixels.to_uint8(model.picture(torch.arange(4) % 5))[:, None], torch.zeros(4, 0, 2))
    dreamer, _ = learnt(model, begun, 1, SMALL)
    before = dreamer.networks.actor.head.weight.detach().clone()
    dreamer.networks.critic.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(WorldganError, match="expected finite gradients"):
        dreamer.update(begun, 1)
    assert torch.equal(dreamer.networks.actor.head.weight, before)


def test_what_is_recalled_is_what_was_seen_last():
    model, window = PerfectModel(context=2), dot_window(4, context=2, horizon=1)
    recall = Recall(model, 4)
    state = recall.start(window.frames[:, :2], window.actions[:, :1])
    assert torch.equal(state.seen, window.frames[:, [0, 0, 0, 1]])
    action = torch.eye(5)[[1, 2, 3, 4]]
    prediction, after = recall.step(state, action, torch.Generator())
    assert torch.equal(after.seen[:, :3], state.seen[:, 1:])
    assert torch.equal(pixels.to_float(after.seen[:, 3]), recall.frame(after))
    pushed = recall.push(state, action, prediction.frame)
    assert torch.equal(pushed.seen, after.seen)
    both = recall.index(recall.join([state, after]), torch.tensor([7, 0]))
    assert torch.equal(both.seen, torch.stack([after.seen[3], state.seen[0]]))


def test_dreams_are_what_the_model_says_of_what_is_drawn():
    model, window = PerfectModel(), dot_window(3, context=2, horizon=1)
    networks = ActorCritic(model.spec, 2, width=4, units=8, seed=0)
    recall = Recall(model, 2)
    begun = (window.frames[:, :2], window.actions[:, :1])
    dream = dreamt(recall, networks, begun, horizon=3, generator=torch.Generator().manual_seed(0))
    state = recall.start(*begun)
    for step in range(3):
        assert torch.equal(dream.seen[:, step], state.seen)
        prediction, state = recall.step(state, dream.drawn[:, step], torch.Generator())
        assert torch.equal(dream.rewards[:, step], prediction.reward)
        assert torch.equal(dream.continues[:, step], 1 - prediction.terminated)
    assert torch.equal(dream.seen[:, 3], state.seen)


@pytest.mark.parametrize("frame", [(10, 10, 4), (64, 64, 3), (1, 5, 1), (33, 17, 1)])
def test_frames_of_any_size_are_read(frame):
    networks = ActorCritic(EnvSpec("any", frame, ACTIONS["discrete"]), 3, width=4, units=8, seed=0)
    height, width, channels = frame
    seen = torch.zeros(2, 5, 3, channels, height, width, dtype=torch.uint8)
    assert networks.actor(seen).shape == (2, 5, 5)
    assert networks.critic(seen).shape == (2, 5, 1)


def test_an_episode_is_played_as_its_number_says():
    networks = ActorCritic(dot_spec(), 2, width=4, units=8, seed=0)
    frames, both = picture(PerfectModel(), (1, 1), (2, 2)), np.ones(2, np.bool_)

    def acts(player, frames, steps=12):
        return np.stack([player.act(frames) for _ in range(steps)])

    player = Actor(networks, seed=0)
    player.reset(both)
    together = acts(player, frames)
    second = Actor(networks, seed=0, first=1)
    second.reset(both[:1])
    assert np.array_equal(acts(second, frames[1:])[:, 0], together[:, 1])
    player.reset(both)
    assert not np.array_equal(acts(player, frames), together)


def test_an_actor_that_is_deterministic_does_what_is_likeliest():
    networks = ActorCritic(dot_spec(), 1, width=4, units=8, seed=0)
    networks.actor.head.bias.data[3] = 0.1
    player, frames = Actor(networks, seed=0, deterministic=True), picture(PerfectModel(), *[(1, 1)] * 50)
    assert player.act(frames).tolist() == [3] * 50
    assert set(Actor(networks, seed=0).act(frames).tolist()) > {3}


class Lagging(torch.nn.Module):
    """States to go down where the dot was in an even row a step ago, else right."""

    def forward(self, seen):
        even = seen[:, 0, 0].amax(-1).argmax(-1) % 2 == 0
        return torch.nn.functional.one_hot(torch.where(even, 2, 4), 5).float() * 99


def test_what_it_means_to_do_follows_from_what_it_would_have_seen(monkeypatch):
    monkeypatch.setattr("worldgan.agents.choices.UNIFORM", 0.0)
    model = PerfectModel(context=1)
    networks = ActorCritic(model.spec, 2, width=4, units=8, seed=0)
    networks.actor = Lagging()
    player = Actor(networks, seed=0)
    assert player.act(picture(model, (2, 1), (5, 1))).tolist() == [2, 4]
    means = [*islice(player.ahead(model, torch.tensor([[3, 1], [5, 2]]), torch_rng(0)), 5)]
    rows = torch.stack([step.action.argmax(1) for step in means], 1).tolist()
    assert rows == [[2, 4, 2, 2, 4], [4, 4, 4, 4, 4]]
    assert torch.equal(means[-1].frame, model.frame(torch.tensor([[6, 3], [5, 7]])))


def test_its_critic_tells_planners_what_lies_behind_the_horizon():
    """The goal is further away than the planner looks; what was learnt knows the way."""
    model = grid("discrete")
    places = [(row, column) for row in range(4) for column in range(4)]
    begun = starts(model, *(places * 2))
    dreamer, _ = learnt(model, begun, 50, replace(SMALL, horizon=12, discount=0.9))
    config = PlannerConfig(horizon=2, candidates=60, samples=1, discount=0.9)
    planner = PLANNERS["shooting"](Recall(model, 1), config, value=dreamer.networks.value)
    assert set(planner.act(picture(model, (0, 3), (1, 3), (3, 0), (3, 1))).tolist()) <= {2, 4}
