"""Laws of noise levels, of the sampler under denoisers that are known, and of the preconditioning."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.models.backbone import Seen
from worldgan.models.diffusion import SIGMA_DATA, Denoiser, DiffusionConfig, DiffusionLosses, networks, noise_levels
from worldgan.models.learning import transitions
from worldgan.seeding import torch_rng


def losses(*settings: str) -> DiffusionLosses:
    config = tiny("diffusion", "model.precision=fp32", *settings).model_config()
    return DiffusionLosses(networks(dot_spec(), config, 0), config)


def given() -> tuple[Denoiser, Seen, Tensor]:
    """A denoiser, what it saw of four dots, and where they went."""
    denoiser = losses().denoiser
    history, [step] = transitions(dot_window(4, 2, horizon=1))
    return denoiser, denoiser.backbone.see(history.frames, history.then(step.action)), step.target


def pretend(denoiser: Denoiser, forward: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Denoise with this function of noisy frames and levels instead; the levels asked for, as they come."""
    asked: list[Tensor] = []

    def answer(seen: Any, noisy: Tensor, sigma: Tensor) -> Tensor:
        del seen
        asked.append(sigma)
        return forward(noisy, sigma)

    denoiser.forward = answer  # type: ignore[method-assign]
    return asked


def test_noise_levels_fall_to_zero() -> None:
    assert noise_levels(1, 0.1, 5.0) == pytest.approx([5.0, 0.0])
    middle = ((5 ** (1 / 7) + 0.1 ** (1 / 7)) / 2) ** 7
    assert noise_levels(3, 0.1, 5.0) == pytest.approx([5.0, middle, 0.1, 0.0])
    many = noise_levels(20, 0.1, 5.0)
    assert all(lower < higher for higher, lower in pairwise(many))


def test_a_denoiser_that_knows_the_frame_ends_in_it() -> None:
    denoiser, seen, target = given()
    asked = pretend(denoiser, lambda noisy, sigma: target)
    torch.testing.assert_close(denoiser.draw(seen, torch_rng(0)), target)
    assert [float(sigma[0]) for sigma in asked] == pytest.approx(denoiser.levels[:-1])


def test_euler_samples_a_gaussian_given_its_ideal_denoiser() -> None:
    """Of data N(0, s^2) the mean of what a noisy x may come from is x s^2 / (s^2 + sigma^2)."""
    denoiser, seen, _ = given()
    spread = 0.5
    denoiser.levels = noise_levels(100, 0.002, 20.0)
    pretend(denoiser, lambda noisy, sigma: noisy * spread**2 / (spread**2 + sigma.view(-1, 1, 1, 1) ** 2))
    denoiser.frame = (3, 40, 40)
    drawn = denoiser.draw(seen, torch_rng(0))
    assert float(drawn.std()) == pytest.approx(spread, rel=0.05)


def test_training_rolls_on_from_what_happened_through_the_noise_of_the_second_step() -> None:
    denoiser, seen, target = given()
    noise: list[Tensor] = []
    asked = pretend(denoiser, lambda noisy, sigma: noise.append(noisy - target) or target)
    torch.testing.assert_close(denoiser.near(seen, target, torch_rng(0)), target)
    assert [float(sigma[0]) for sigma in asked] == pytest.approx(denoiser.levels[1:-1])
    assert float(noise[0].std()) == pytest.approx(denoiser.levels[1], rel=0.1)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 5.0])
def test_where_the_mask_is_closed_nothing_moves_at_any_noise(sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, seen, target = given()
    last = denoiser.backbone.patches.inverse(seen.last)
    monkeypatch.setattr(denoiser.backbone, "decode", lambda seen, chance: seen.last)
    noisy = target + sigma * torch.randn(target.shape, generator=torch_rng(0))
    torch.testing.assert_close(denoiser(seen, noisy, torch.full((4,), sigma)), last, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 5.0])
def test_the_network_sees_unit_variance_at_any_noise(sigma: float) -> None:
    """Of data of the variance that EDM assumes."""
    denoiser, seen, target = given()
    data, noise = torch.randn(2, *target.shape, generator=torch_rng(0))
    met: list[Tensor] = []
    denoiser.stem.register_forward_pre_hook(lambda module, inputs: met.append(inputs[0]))
    denoiser(seen, SIGMA_DATA * data + sigma * noise, torch.full((4,), sigma))
    assert float(met[0].std()) == pytest.approx(1, rel=0.1)


def test_noise_is_log_normal_and_clamped() -> None:
    sigma = losses().noise(20_000, torch_rng(0))
    assert float(sigma.median()) == pytest.approx(math.exp(-0.4), rel=0.05)
    assert float(sigma.min()) == pytest.approx(0.2)
    assert float(sigma.max()) == pytest.approx(5.0)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"sigma_min": 0.0}, {"sigma_max": 0.1}, {"log_std": -1.0}])
def test_numbers_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WorldganError, match=next(iter(wrong))):
        DiffusionConfig(**wrong)  # type: ignore[arg-type]
