"""What all frames share, and who is told of it."""

from __future__ import annotations

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny

from worldgan.background import FAINT, PACE, Background, watch
from worldgan.models import FAMILIES
from worldgan.models.discriminator import ENCODERS
from worldgan.models.learning import initialised
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng


def test_it_is_the_median_of_what_was_shown_first_and_follows_in_small_steps() -> None:
    background = Background((1, 1, 1))
    background.learn(torch.tensor([-1.0, 0.5, 1.0]).view(3, 1, 1, 1))
    assert background.shown.item() == pytest.approx(0.5)
    for _ in range(3):
        background.learn(torch.ones(2, 1, 1, 1))
    assert background.shown.item() == pytest.approx(0.5 + 3 * PACE)


def test_what_differs_has_a_mean_square_of_one() -> None:
    background = Background((8, 8, 3), standardise=True)
    frames = 0.1 * torch.randn(64, 3, 8, 8, generator=torch_rng(0)) - 0.5
    for _ in range(3):
        background.learn(frames)
    assert background(frames).square().mean().item() == pytest.approx(1, abs=0.02)
    faint = Background((8, 8, 3), standardise=True)
    faint.learn(torch.full((4, 3, 8, 8), 0.3))
    assert faint(torch.full((1, 3, 8, 8), 0.3 + FAINT)).mean().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", ENCODERS)
def test_what_all_frames_share_tells_an_encoder_nothing(kind: str) -> None:
    objects, actions = torch.zeros(2, 2, 1, 8, 8), torch.zeros(2, 2, 3)
    objects[0, :, :, 2, 5] = 1
    read = []
    for background in (torch.full((1, 1, 8, 8), -1.0), torch.randn(1, 1, 8, 8, generator=torch_rng(0))):
        encoder = initialised(lambda: ENCODERS[kind]((8, 8, 1), 2, 3, 16), 0)
        watch(background, encoder)
        shown = objects + background[:, None]
        read.append(encoder(shown, actions, shown[:, -1])[0])
    torch.testing.assert_close(*read, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(read[0][0], read[0][1], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_update_tells_all_networks_of_the_same_background(family: str) -> None:
    config = tiny(family).model_config()
    learner, window = FAMILIES[family].learner(dot_spec(), config, 0), dot_window(8, 2, horizon=1)
    learner.update(window)
    known = [part for part in learner.networks.modules() if isinstance(part, Background)]
    median = to_float(window.frames[:, 1]).median(0).values
    assert len(known) >= 2
    assert all((each.shown[0] - median).abs().max() < 2 * PACE for each in known)


def test_a_simulator_knows_the_background_too() -> None:
    config = tiny("gan").model_config()
    learner, window = FAMILIES["gan"].learner(dot_spec(), config, 0), dot_window(8, 2, horizon=1)
    for _ in range(3):
        learner.update(window)
    known = [part for part in learner.world_model().networks.modules() if isinstance(part, Background)]
    assert len(known) == 3  # painter, outcome head and discriminator
    assert all((each.shown + 1).abs().median() < 0.1 for each in known)
