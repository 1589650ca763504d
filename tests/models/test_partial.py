"""What is missing teaches nothing, in any family: labels that nobody wrote, pixels that nobody saw."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from test_adversary import adversary, points, transition
from test_families import always_playing, equal, learner
from torch import Tensor

from worldgan.models import FAMILIES
from worldgan.models.learning import Now, transitions
from worldgan.models.recover import RecoveringLearner
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng
from worldgan.types import Window

each = pytest.mark.parametrize("family", FAMILIES)


def learnt(family: str, windows: list[Window]) -> list[Any]:
    """States of learners that have each seen one of the windows three times."""
    states = []
    for window in windows:
        made = learner(family, None, *always_playing(family))
        for _ in range(3):
            made.update(window)
        states.append(made.state_dict())
    return states


def some(window: Window, seed: int = 0) -> Tensor:
    """About half of the transitions, bool [B, n]."""
    return torch.rand(window.valid.shape, generator=torch_rng(seed)) < 0.5


@each
def test_unknown_rewards_and_ends_teach_nothing(family: str) -> None:
    window = dot_window(8, 2, horizon=2)
    known = some(window)
    other = replace(window, rewards=torch.where(known, window.rewards, 50.0), terminated=window.terminated ^ ~known)
    plain, marked, altered = learnt(family, [window, *(replace(w, reward_known=known) for w in (window, other))])
    assert equal(marked, altered)
    assert not equal(plain, marked)


@each
def test_what_follows_an_unknown_action_teaches_nothing(family: str) -> None:
    window = dot_window(8, 2, horizon=1)
    known = some(window) | (torch.arange(2) == 0)
    hidden = replace(window, action_known=known)
    invalid = replace(window, valid=window.valid & known)
    assert not known.all()
    assert equal(*learnt(family, [hidden, invalid]))


def half_seen(window: Window, noise: int) -> Window:
    """The left half of the first target is not seen, and shows noise."""
    visible = torch.ones(*window.frames.shape[:2], 1, *window.frames.shape[-2:], dtype=torch.bool)
    visible[:, window.context, :, :, :4] = False
    random = torch.randint(256, window.frames.shape, dtype=torch.uint8, generator=torch_rng(noise))
    return replace(window, frames=torch.where(visible, window.frames, random), visible=visible)


@each
def test_what_a_hole_shows_teaches_nothing(family: str) -> None:
    window = dot_window(8, 2, horizon=2)
    one, other = half_seen(window, 1), half_seen(window, 2)
    assert not torch.equal(one.frames, other.frames)
    plain, *states = learnt(family, [window, one, other])
    assert equal(*states)
    assert not equal(plain, states[0])


def test_errors_in_holes_are_zero_and_elsewhere_as_ever() -> None:
    window = dot_window(8, 2, horizon=1)
    _, [step] = transitions(half_seen(window, 1))
    wrong = step.target.clone()
    wrong[..., :4] += 1
    assert float(step.error(wrong)) == 0
    wrong[..., 4:] += 1
    _, [whole] = transitions(window)
    expected = whole.error(whole.target + 1) / 2 * whole.scale / step.scale
    assert float(step.error(wrong)) == pytest.approx(float(expected))


def test_holes_of_targets_show_what_was_last_seen_there() -> None:
    window = half_seen(dot_window(8, 2, horizon=2), 1)
    history, [first, second] = transitions(window)
    frames = to_float(window.frames)
    assert torch.equal(history.frames, frames[:, :2])
    assert torch.equal(first.target[..., :4], frames[:, 1, ..., :4])
    assert torch.equal(first.target[..., 4:], frames[:, 2, ..., 4:])
    assert torch.equal(second.target, frames[:, 3])
    filled = first.completed(torch.zeros_like(first.target))
    assert not filled[..., :4].any()
    assert torch.equal(filled[..., 4:], first.target[..., 4:])


def test_the_discriminator_sees_the_same_in_the_hole_of_a_real_frame_as_in_a_fake() -> None:
    game = adversary(objective="relativistic", regularity="none")
    (history, step), fake = transition(points("real")), points("fake")[:, None, None]
    nothing = replace(step, visible=torch.zeros(len(fake), 1, 1, 2, dtype=torch.bool))
    told, untold = (game.play(history, each, fake, 2, torch_rng(0))["discriminator"] for each in (step, nothing))
    assert float(untold.detach()) == pytest.approx(math.log(2))  # nothing to tell them apart by
    assert float(told.detach()) != pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize("size", [8, 11])
def test_a_code_explains_what_is_seen(size: int) -> None:
    made, window = learner("gan", dot_spec(size)), dot_window(32, 2, horizon=1, size=size)
    history, [step] = transitions(half_seen(window, 1))
    generator, now = made.networks.predictor, Now(1000, torch_rng(0))
    with torch.no_grad():
        seen = generator.backbone.see(history.frames, history.then(step.action))
        looked = generator.prior.look_at(seen)
    noise = torch.randn(step.target.shape, generator=torch_rng(3))
    assert step.visible is not None
    other = replace(step, target=torch.where(step.visible, step.target, noise))
    codes = [made._losses.explain(seen, looked, each, now) for each in (step, other)]
    assert torch.equal(*codes)
    whole = [made._losses.explain(seen, looked, replace(each, visible=None), now) for each in (step, other)]
    assert not torch.equal(*whole)


class Noting:
    """A learner that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[Window] = []

    def update(self, window: Window) -> dict[str, float]:
        self.given.append(window)
        return {"noted": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {"count": len(self.given)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state.keys() == {"count"}


def recovering(seed: int = 0) -> tuple[RecoveringLearner, Noting]:
    inner = Noting()
    return RecoveringLearner(inner, dot_spec(), seed), inner  # type: ignore[arg-type]


def hidden(seed: int, batch: int = 24) -> tuple[Window, Window]:
    """A window, and the same with half of its actions unknown."""
    window = dot_window(batch, 2, horizon=2, seed=seed)
    known = some(window, seed) | ~window.valid
    return window, replace(window, actions=window.actions * known[..., None], action_known=known)


def test_actions_are_recovered() -> None:
    made, inner = recovering()
    for seed in range(120):
        whole, lacking = hidden(seed)
        metrics = made.update(lacking)
        assert metrics["noted"] == 1
    assert lacking.action_known is not None
    given, missing = inner.given[-1], ~lacking.action_known
    assert given.action_known is None
    assert torch.equal(given.actions[~missing], whole.actions[~missing])
    torch.testing.assert_close(given.actions[missing].sum(-1), torch.ones(int(missing.sum())))
    right = given.actions[missing].argmax(-1) == whole.actions[missing].argmax(-1)
    assert right.float().mean() > 0.9
    assert not lacking.actions[missing].any()  # what was given is left as it was


def test_recovered_actions_do_not_teach_the_inverse_model() -> None:
    (one, _), (other, _) = recovering(), recovering()
    whole, lacking = hidden(0)
    one.update(lacking)
    other.update(replace(lacking, actions=whole.actions))
    assert equal(one.state_dict(), other.state_dict())
    before = copy.deepcopy(one.state_dict())
    one.update(replace(lacking, action_known=~lacking.valid))  # nothing that happened is labelled
    assert equal(before["inverse"], one.state_dict()["inverse"])
    one.update(whole)
    assert not equal(before["inverse"], one.state_dict()["inverse"])


def test_the_state_of_recovering_is_that_of_the_family_and_the_inverse_model() -> None:
    (saved, _), (loaded, inner) = recovering(0), recovering(1)
    saved.update(hidden(0)[1])
    loaded.load_state_dict(copy.deepcopy(saved.state_dict()))
    for made in (saved, loaded):
        made.update(hidden(1)[1])
    assert equal(saved.state_dict()["inverse"], loaded.state_dict()["inverse"])
    loaded.load_state_dict({"count": 0})  # from before labels were missing
    assert inner.given
