"""The VAE family: what happens by chance is a Gaussian latent, with a learned prior (SVG-LP, Denton & Fergus 2018).

A posterior looks at the real transition and says which latents explain it; the decoder learns to draw the next frame
from those; the prior, which sees the history alone, learns to expect them, and is what the simulator draws from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan import parallel
from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.backbones import backbone
from worldgan.models.blocks import TransitionEncoder, compute_dtype, pooled
from worldgan.models.learning import (
    Now,
    OptimiserConfig,
    RolloutLearner,
    Transition,
    initialised,
)
from worldgan.models.noise import even, normal
from worldgan.models.outcome import OutcomeHead
from worldgan.models.unstated import draw_of_noise, equal_draws, one_draw
from worldgan.models.world import History, Networks
from worldgan.seeding import derive
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class VaeConfig:
    """The same backbone, optimiser and outcome head as the other families; their error has weight 1.

    average: decay of the averaged weights that simulate.    latents: Z, numbers that tell what happened by chance.
    beta: weight of a nat of KL divergence, in units of the error of copying the last frame; it is reached after
    ``warmup`` updates, rising from 0, so that the latents are in use before they cost anything.
    posterior_width, outcome_width: channels of the posterior and of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    latents: int = 16
    beta: float = 0.01
    warmup: int = 300
    posterior_width: int = 32
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError without latents, or for a negative weight or time."""
        if self.latents < 1 or self.beta < 0 or self.warmup < 0:
            got = f"got {self.latents}, {self.beta} and {self.warmup}"
            raise WorldganError(f"expected model.latents of at least 1, model.beta and model.warmup from 0, {got}")


class Gaussian(NamedTuple):
    """Diagonal normal distributions of B rows, float32. mean, log_std: [B, Z]."""

    mean: Tensor
    log_std: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """One sample a row, [B, Z]."""
        return self.at(parallel.draw(torch.randn, self.mean.shape, generator).to(self.mean.device))

    def at(self, normals: Tensor) -> Tensor:
        """The sample of standard normal numbers [B, Z]; gradients flow (Kingma & Welling 2014, section 2.4)."""
        return self.mean + self.log_std.exp() * normals

    def divergence(self, other: Gaussian) -> Tensor:
        """KL(self || other), in nats, [B]."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        distance = ((self.mean - other.mean) / other.log_std.exp()).square()
        return (0.5 * (ratio + distance - 1) + other.log_std - self.log_std).sum(1)


class GaussianHead(nn.Module):
    """Features [B, channels, h, w] and a condition [B, condition] -> a Gaussian of Z latents."""

    def __init__(self, channels: int, condition: int, latents: int) -> None:
        super().__init__()
        hidden = 2 * condition
        self.mix = nn.Sequential(nn.Linear(2 * channels + condition, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latents))

    def forward(self, features: Tensor, condition: Tensor) -> Gaussian:
        """See above."""
        read = torch.cat([pooled(features), condition], dim=1)
        mean, log_std = self.mix(read).float().chunk(2, dim=1)
        return Gaussian(mean, 5 * torch.tanh(log_std / 5))  # e^-5..e^5: neither a division by 0 nor an overflow


class LatentPredictor(nn.Module):
    """Backbone, latents, their prior, and the posterior that only training needs. Implements ``NoisePredictor``."""

    stated = False

    def __init__(self, spec: EnvSpec, config: BackboneConfig, latents: int, posterior_width: int) -> None:
        super().__init__()
        width, narrow = config.width, posterior_width
        self.backbone = backbone(spec, config)
        self.chances = even(latents)
        self.latents = nn.Linear(latents, width)
        nn.init.normal_(self.latents.weight)  # heard from the start: what is not listened to learns to tell nothing
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.prior = GaussianHead(width, width, latents)
        self.encoder = TransitionEncoder(spec.frame, config.context, spec.actions.size, narrow)
        self.posterior = GaussianHead(2 * narrow, narrow, latents)

    def expect(self, seen: Seen) -> Gaussian:
        """The prior p(z | history, action)."""
        return self.prior(F.silu(self.look(seen.features)), seen.condition)

    def explain(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Gaussian:
        """The posterior q(z | transition): context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W]."""
        return self.posterior(*self.encoder(frames, actions, next_frame))

    def decode(self, seen: Seen, latents: Tensor) -> Tensor:
        """Latents [B, Z] -> next frames [B, C, H, W]."""
        chance = self.latents(latents.to(compute_dtype(self.latents.weight)))
        return self.backbone.patches.inverse(self.backbone.decode(seen, chance))

    def draw(self, seen: Seen, generator: torch.Generator) -> Tensor:
        """One next frame a row, [B, C, H, W]."""
        noise = torch.rand(len(seen.last), self.chances, generator=generator)
        return self.draw_from(seen, noise.to(seen.last.device))

    def draw_from(self, seen: Seen, noise: Tensor) -> Tensor:
        """The one that uniform noise [B, chances] leads to."""
        return self.decode(seen, self.expect(seen).at(normal(noise)[:, : self.latents.in_features]))

    sample, sample_from, candidates = one_draw, draw_of_noise, equal_draws

    def surprise(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """See ``Surprising``: KL(posterior || prior)."""
        expected = self.expect(self.backbone.see(frames, actions))
        return self.explain(frames, actions, next_frame).divergence(expected)


def networks(spec: EnvSpec, config: VaeConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    build = lambda: LatentPredictor(spec, config.backbone, config.latents, config.posterior_width)  # noqa: E731
    return Networks(
        initialised(build, derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


class VaeLosses:
    """What predictor, prior, posterior and outcome head learn from; see ``Losses``."""

    def __init__(self, networks: Networks, config: VaeConfig) -> None:
        self.networks, self.config = networks, config
        self.predictor: LatentPredictor = networks.predictor  # type: ignore[assignment]

    def __call__(self, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition (the evidence lower bound), and the frame decoded from the posterior."""
        actions, predictor = history.then(step.action), self.predictor
        seen = predictor.backbone.see(history.frames, actions)
        posterior = predictor.explain(history.frames, actions, step.target)
        explained = predictor.decode(seen, posterior.draw(now.generator))
        return {
            "reconstruction": step.error(explained),
            "divergence": self.price(now.updates) * step.mean(posterior.divergence(predictor.expect(seen))),
            "outcome": step.outcome_error(self.networks.outcome, history, explained),
        }, explained

    def price(self, updates: int) -> float:
        """Weight of a nat of KL divergence after so many updates."""
        return self.config.beta * min(1.0, updates / max(1, self.config.warmup))


def learner(spec: EnvSpec, config: VaeConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    return RolloutLearner(spec, config, made, VaeLosses(made, config), seed)
