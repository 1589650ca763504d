"""Laws of mixtures of patches, of the order they are drawn in, and of drawing under odds that are known."""

from __future__ import annotations

import math

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.models.autoregressive import (
    REACH,
    AutoregressiveConfig,
    AutoregressiveLosses,
    Choices,
    PatchPredictor,
    Shown,
    networks,
    peaks,
)
from worldgan.models.backbone import Seen
from worldgan.models.learning import transitions
from worldgan.seeding import torch_rng


def choices(values: list[float], odds: list[float]) -> Choices:
    """Of a single place with patches of 3 numbers that are all the same."""
    patches = torch.tensor(values).view(1, -1, 1, 1, 1).expand(-1, -1, 3, -1, -1)
    return Choices(patches, torch.tensor(odds).log().view(1, -1, 1, 1))


def place(value: float) -> Tensor:
    return torch.full((1, 3, 1, 1), value)


def test_spread_is_the_variance_of_what_is_drawn() -> None:
    assert float(choices([-1.0, 1.0], [0.5, 0.5]).spread()) == pytest.approx(1)
    assert float(choices([-1.0, 1.0], [0.1, 0.9]).spread()) == pytest.approx(0.36)
    assert float(choices([0.5, 0.5, 0.5], [0.2, 0.3, 0.5]).spread()) == pytest.approx(0)


def test_alike_choices_are_drawn_as_often_as_their_odds_together() -> None:
    many = choices([0.3, 0.3, -1.0], [0.3, 0.3, 0.4])
    each = Choices(many.patches.expand(10_000, -1, -1, -1, -1), many.logits.expand(10_000, -1, -1, -1))
    noise = torch.rand(10_000, 1, 1, generator=torch_rng(0))
    assert float((each.draw(noise)[:, 0] > 0).float().mean()) == pytest.approx(0.6, abs=0.02)
    assert float(many.nearest(many.mean())[0, 0]) == pytest.approx(0.3)


def test_surprise_is_the_likelihood_of_a_mixture() -> None:
    made, scale = choices([-1.0, 0.5], [1.0, 3.0]), torch.tensor(2.0)
    expected = -0.1 * math.log(0.25 * math.exp(-1 / 0.2) + 0.75 * math.exp(-0.25 / 0.2))
    assert float(made.surprise(place(0.0), scale, 0.1)) == pytest.approx(expected)
    assert float(made.surprise(place(0.0), scale, 1e-4)) == pytest.approx(0.125, abs=1e-3)  # of the nearest


def test_peaks_are_out_of_each_others_sight_and_none_is_certain() -> None:
    spread = torch.rand(16, 1, 20, 20, generator=torch_rng(0))
    spread[:, :, :, 10:] = 0
    found = peaks(spread)
    assert (found.flatten(1).gather(1, spread.flatten(1).argmax(1, keepdim=True)) == 1).all()
    assert (found.sum((1, 2, 3)) >= 2).all()
    assert not found[spread == 0].any()
    for row in found[:, 0]:
        places = row.nonzero()
        apart = (places[:, None] - places).abs().amax(-1) + 100 * torch.eye(len(places))
        assert apart.min() > REACH


def given(*settings: str) -> tuple[AutoregressiveLosses, Seen]:
    """The family's losses, and what its predictor saw of 256 dots."""
    config = tiny("autoregressive", "model.precision=fp32", *settings).model_config()
    losses = AutoregressiveLosses(networks(dot_spec(), config, 0), config)
    history, [step] = transitions(dot_window(256, 2, horizon=1))
    return losses, losses.predictor.backbone.see(history.frames, history.then(step.action)).detach()


def agreeing(predictor: PatchPredictor) -> None:
    """Odds of a world in which the next frame is all dark or, once in four times, all bright; nonsense where shown."""
    height, width = predictor.backbone.patches.grid
    size = 1 + torch.linspace(0, 0.1, height)[:, None] + torch.linspace(0, 0.1, width)  # the corner has most spread

    def answer(seen: Seen, shown: Shown) -> Choices:
        patches = torch.stack([-size, size])[None, :, None].expand(len(seen.last), -1, seen.last.shape[1], -1, -1)
        patches = torch.where(shown.where[:, None] > 0, 5.0, patches)
        known = shown.patches.sum((1, 2, 3)).sign()
        bright = torch.where(known == 0, 0.25, (known > 0).float())
        odds = torch.stack([1 - bright, bright], 1)[..., None, None].expand(-1, -1, height, width)
        return Choices(patches, odds.clamp(min=1e-9).log())

    predictor.forward = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("rounds", [1, 3])
def test_what_spans_many_places_is_never_half_drawn(rounds: int) -> None:
    losses, seen = given(f"model.rounds={rounds}")
    agreeing(losses.predictor)
    drawn = losses.predictor.draw(seen, torch_rng(0)).sign().mean((1, 2, 3))
    assert drawn.unique().tolist() == [-1.0, 1.0]
    assert float((drawn > 0).float().mean()) == pytest.approx(0.25, abs=0.08)


def test_every_place_is_drawn_with_a_number_of_its_own() -> None:
    losses, seen = given("model.rounds=2")
    height, width = losses.predictor.backbone.patches.grid
    size = (1 + 0.1 * torch.arange(height * width) / (height * width)).view(height, width)  # the last has most spread

    def answer(seen: Seen, shown: Shown) -> Choices:
        patches = torch.stack([-size, size])[None, :, None].expand(len(seen.last), -1, seen.last.shape[1], -1, -1)
        return Choices(patches, torch.zeros(len(seen.last), 2, height, width))

    losses.predictor.forward = answer  # type: ignore[method-assign]
    signs = losses.predictor.draw(seen, torch_rng(0)).sign()[:, 0, -1]
    assert float((signs[:, -1] == signs[:, -2]).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert float((signs[:, -2] > 0).float().mean()) == pytest.approx(0.5, abs=0.1)


def test_training_shows_one_to_all_of_the_rounds_and_nothing_that_is_certain() -> None:
    losses, seen = given("model.rounds=3")
    spread = torch.zeros_like(seen.last[:, :1])
    spread[:, :, 2:4, 2:4] = 1.0  # within sight of each other: one place a round
    found = losses.reveal(spread, torch_rng(0))
    assert not found[spread == 0].any()
    shares = [(found.sum((1, 2, 3)) == count).float().mean().item() for count in range(4)]
    assert shares == pytest.approx([0, 0.5, 0.25, 0.25], abs=0.08)


@pytest.mark.parametrize("wrong", [{"choices": 1}, {"rounds": 0}, {"temperature": 0.0}])
def test_numbers_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WorldganError, match=next(iter(wrong))):
        AutoregressiveConfig(**wrong)  # type: ignore[arg-type]
