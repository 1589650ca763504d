"""Laws of the VAE's Gaussians, and what its weights do."""

from __future__ import annotations

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch.distributions import Normal, kl_divergence

from worldgan.errors import WorldganError
from worldgan.models.learning import transitions
from worldgan.models.vae import Gaussian, LatentPredictor, VaeConfig, VaeLosses, learner, networks
from worldgan.seeding import torch_rng


def gaussian(seed: int) -> Gaussian:
    mean, log_std = torch.randn(2, 5, 3, generator=torch_rng(seed))
    return Gaussian(mean, log_std)


def test_divergence_is_that_of_the_textbook() -> None:
    one, other = gaussian(0), gaussian(1)
    expected = kl_divergence(*(Normal(each.mean, each.log_std.exp()) for each in (one, other))).sum(1)
    torch.testing.assert_close(one.divergence(other), expected)
    torch.testing.assert_close(one.divergence(one), torch.zeros(5), atol=1e-6, rtol=0)


def test_draws_have_the_mean_and_spread_they_are_drawn_with() -> None:
    one = Gaussian(*(each[:1].expand(20_000, -1) for each in gaussian(0)))
    drawn = one.draw(torch_rng(2))
    torch.testing.assert_close(drawn.mean(0), one.mean[0], atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.std(0), one.log_std[0].exp(), atol=0, rtol=0.05)


def test_latents_are_free_at_first_and_cost_beta_after_the_warmup() -> None:
    config = tiny("vae", "model.warmup=4").model_config()
    made, window = learner(dot_spec(), config, 0), dot_window(4, 2, horizon=1)
    history, [step] = transitions(window)
    prices = []
    for updates in (0, 1, 4, 100):
        made.updates = updates
        prices.append(VaeLosses(made.networks, config).price(updates))
        losses, _ = made.losses(history, step)
        assert (float(losses["divergence"].detach()) > 0) == (updates > 0)
    assert prices == [0.0, 0.0025, 0.01, 0.01]


def test_the_posterior_sees_the_next_frame() -> None:
    made: LatentPredictor = networks(dot_spec(), tiny("vae").model_config(), 0).predictor  # type: ignore[assignment]
    history, [step] = transitions(dot_window(4, 2, horizon=1))
    actions = history.then(step.action)
    real, other = (made.explain(history.frames, actions, x) for x in (step.target, -step.target))
    assert not torch.equal(real.mean, other.mean)


@pytest.mark.parametrize("wrong", [{"latents": 0}, {"beta": -1.0}, {"warmup": -1}])
def test_numbers_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WorldganError, match=next(iter(wrong))):
        VaeConfig(**wrong)  # type: ignore[arg-type]
