"""The diffusion family: the next frame emerges from noise in a few steps (EDM, Karras et al. 2022).

As in DIAMOND (Alonso et al. 2024), three steps of Euler are enough to decide between things that could happen.
Unlike there, the noisy frame is given late: the trunk sees the history once per predicted frame, and a step of
denoising costs the head alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from worldgan import parallel
from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.backbones import backbone
from worldgan.models.blocks import compute_dtype
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

SIGMA_DATA = 0.5
"""Standard deviation of frames in [-1, 1]: EDM's value for pictures."""


@dataclass(frozen=True)
class DiffusionConfig:
    """The same backbone, optimiser and outcome head as the other families.

    average: decay of the averaged weights that simulate.    steps: of Euler's method per frame; 1 can only blur.
    sigma_max, sigma_min: standard deviation of the noise that sampling starts from, and at its last step, in units of
    float frames. DIAMOND's last step, at 0.002, has next to nothing to do; with so few, each should decide something.
    log_mean, log_std: of the logarithm of the noise level in training, which is clamped to sigma_min..sigma_max.
    outcome_width: channels of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    steps: int = 3
    sigma_max: float = 5.0
    sigma_min: float = 0.2
    log_mean: float = -0.4
    log_std: float = 1.2
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError for noise that cannot be drawn or removed, and for a backbone that cannot see it."""
        self.backbone.require_cells()
        if self.steps < 1 or not 0 < self.sigma_min < self.sigma_max or self.log_std < 0:
            got = f"got {self.steps}, {self.sigma_min}, {self.sigma_max} and {self.log_std}"
            raise WorldganError(
                f"expected model.steps >= 1, 0 < model.sigma_min < model.sigma_max and model.log_std >= 0, {got}"
            )


def noise_levels(steps: int, low: float, high: float, rho: float = 7) -> list[float]:
    """``steps`` noise levels falling from ``high`` to ``low``, and 0 (Karras et al. 2022, eq. 5); one is ``high``."""
    start, end = high ** (1 / rho), low ** (1 / rho)
    return [(start + i / max(1, steps - 1) * (end - start)) ** rho for i in range(steps)] + [0.0]


class LevelEmbedding(nn.Module):
    """Noise levels [B] -> vectors [B, width]: sines and cosines of EDM's c_noise = ln(sigma) / 4, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.waves = nn.Linear(8, width)
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Tensor) -> Tensor:
        """See above."""
        # c_noise spans about 1, so the slowest of these waves orders all levels and the fastest tells near ones apart.
        angles = sigma.log()[:, None] / 4 * math.pi * 2 ** torch.arange(4, device=sigma.device)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        return self.mix(self.waves(waves.to(compute_dtype(self.waves.weight))))


class Denoiser(nn.Module):
    """Backbone whose head also sees a noisy next frame. Implements ``NoisePredictor``.

    levels: noise levels of sampling, falling, the last one 0.
    """

    stated = False

    def __init__(self, spec: EnvSpec, config: BackboneConfig, levels: list[float]) -> None:
        super().__init__()
        height, width, channels = spec.frame
        self.frame, self.levels = (channels, height, width), levels
        self.backbone = backbone(spec, config)
        self.stem = nn.Conv2d(channels * self.backbone.cell, config.width, 1)
        self.level = LevelEmbedding(config.width)

    def forward(self, seen: Seen, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Noisy next frames [B, C, H, W] of noise levels [B] or [1] -> the mean of what they may have been, float32.

        EDM's F(c_in x; c_noise) without c_skip and c_out (Karras et al. 2022, eq. 7): these would have the network
        tell the noise in every pixel of a patch, which does not fit through its channels beside all else. Predicting
        the clean frame needs no more of them than in other families (Li & He 2025 found so for patch transformers).
        """
        scaled = noisy * (sigma.square() + SIGMA_DATA**2).rsqrt()[:, None, None, None]
        features = self.stem(self.backbone.patches(scaled).to(compute_dtype(self.stem.weight)))
        patches = self.backbone.decode(replace(seen, features=seen.features + features), self.level(sigma))
        return self.backbone.patches.inverse(patches)

    def denoise(self, seen: Seen, noisy: Tensor, levels: list[float]) -> Tensor:
        """Frames [B, C, H, W] of noise level ``levels[0]`` down to the last of ``levels``, which is 0.

        Euler's method: Karras et al. 2022, algorithm 1, without its second-order correction.
        """
        for sigma, lower in pairwise(levels):
            clean = self(seen, noisy, noisy.new_full((1,), sigma))
            noisy = torch.lerp(clean, noisy, lower / sigma)
        return noisy

    def draw(self, seen: Seen, generator: torch.Generator) -> Tensor:
        """One next frame a row, [B, C, H, W]."""
        noise = torch.rand(len(seen.last), self.chances, generator=generator)
        return self.draw_from(seen, noise.to(seen.last.device))

    def draw_from(self, seen: Seen, noise: Tensor) -> Tensor:
        """The one that uniform noise [B, chances] leads to."""
        normals = normal(noise)[:, : math.prod(self.frame)].reshape(-1, *self.frame)
        return self.denoise(seen, self.levels[0] * normals, self.levels)

    def near(self, seen: Seen, target: Tensor, generator: torch.Generator) -> Tensor:
        """What sampling would end in, had its first step led to ``target`` [B, C, H, W]; a single one starts there."""
        levels = self.levels[min(1, len(self.levels) - 2) :]
        noise = parallel.draw(torch.randn, target.shape, generator).to(target.device)
        return self.denoise(seen, target + levels[0] * noise, levels)

    sample, sample_from, candidates = one_draw, draw_of_noise, equal_draws

    @property
    def chances(self) -> int:
        """See ``NoisePredictor``: a number for each of a frame."""
        return even(math.prod(self.frame))


def networks(spec: EnvSpec, config: DiffusionConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    levels = noise_levels(config.steps, config.sigma_min, config.sigma_max)
    return Networks(
        initialised(lambda: Denoiser(spec, config.backbone, levels), derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


class DiffusionLosses:
    """What the denoiser and the outcome head learn from; see ``Losses``."""

    def __init__(self, networks: Networks, config: DiffusionConfig) -> None:
        self.networks, self.config = networks, config
        self.denoiser: Denoiser = networks.predictor  # type: ignore[assignment]

    def __call__(self, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and a frame as sampled that shows what really happened.

        A free sample may show what else could have happened; rolled on from there, the rest of the window would teach
        jumps back to the real trajectory.
        """
        actions = history.then(step.action)
        seen = self.denoiser.backbone.see(history.frames, actions)
        sigma = self.noise(len(step.target), now.generator).to(step.target.device)
        noise = parallel.draw(torch.randn, step.target.shape, now.generator).to(step.target.device)
        noisy = step.target + sigma[:, None, None, None] * noise
        clean = self.denoiser(seen, noisy, sigma)
        with torch.no_grad():
            sampled = self.denoiser.near(seen, step.target, now.generator)
        return {
            # EDM's weight of a noise level (Karras et al. 2022, table 1), in units that make it 1 in boundless noise.
            "reconstruction": step.error(clean, 1 + (SIGMA_DATA / sigma).square()),
            "outcome": step.outcome_error(self.networks.outcome, history, sampled),
        }, sampled

    def noise(self, rows: int, generator: torch.Generator) -> Tensor:
        """Noise levels [rows], log-normal (Karras et al. 2022, table 1)."""
        config = self.config
        logs = config.log_mean + config.log_std * parallel.draw(torch.randn, (rows,), generator)
        return logs.exp().clamp(config.sigma_min, config.sigma_max)


def learner(spec: EnvSpec, config: DiffusionConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    return RolloutLearner(spec, config, made, DiffusionLosses(made, config), seed)
