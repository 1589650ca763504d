"""The GAN family: a generator whose noise is a discrete chance code, against a conditional discriminator.

With one real sample per context, a conditional GAN learns to ignore its noise. So the code that best explains
the true next frame is found by decoding all of them (multiple choice learning, Guzman-Rivera et al. 2012), the
reconstruction loss trains that code alone, a prior p(code | history, action) learns how often each is right,
and the adversarial loss judges frames decoded from codes drawn from that prior, which is what the simulator
will draw. Probabilities of outcomes can therefore be stated, not only sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.errors import WorldganError, unknown
from worldgan.models.backbone import Backbone, BackboneConfig
from worldgan.models.blocks import twice
from worldgan.models.discriminator import Discriminator
from worldgan.models.learning import (
    Fit,
    Optimiser,
    OptimiserConfig,
    Precision,
    Transition,
    draw,
    frozen,
    initialised,
    learn_from_rollout,
)
from worldgan.models.objectives import OBJECTIVES, slope_penalty
from worldgan.models.outcome import OutcomeHead
from worldgan.models.world import History, Networks, NextFrameModel
from worldgan.seeding import derive, torch_rng
from worldgan.types import EnvSpec, Metrics, Window


@dataclass(frozen=True)
class GanConfig:
    """Reconstruction error is measured in units of copying the last frame and has weight 1.

    optimiser: of generator and outcome head.    critic: of the discriminator.
    average: decay of the averaged weights that simulate.
    codes: how many chance codes.    prior: weight of the prior's cross-entropy.
    explore: updates over which the choice of code anneals from random to best, so that none is left behind.
    objective: a key of OBJECTIVES.    adversarial: weight of the generator's adversarial loss, reached between
    ``warmup`` and twice as many updates.    penalty: weight of the discriminator's slope penalty.
    critic_width, outcome_width: channels of the discriminator and of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    critic: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(rate=3e-4))
    average: float = 0.998
    precision: Precision = "auto"
    codes: int = 8
    prior: float = 0.1
    explore: int = 300
    objective: str = "hinge"
    adversarial: float = 0.05
    warmup: int = 300
    penalty: float = 1.0
    critic_width: int = 48
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError for an unknown objective or too few codes."""
        if self.objective not in OBJECTIVES:
            raise unknown("objective", self.objective, OBJECTIVES)
        if self.codes < 1:
            raise WorldganError(f"expected model.codes of at least 1, got {self.codes}")


class Generator(nn.Module):
    """Backbone plus the prior over its chance codes. Implements ``Predictor``."""

    def __init__(self, spec: EnvSpec, config: BackboneConfig, codes: int) -> None:
        super().__init__()
        w = config.width
        self.codes = codes
        self.backbone = Backbone(spec, config, codes)
        self.look = nn.Conv2d(w, w, 3, padding=1)
        self.prior = nn.Sequential(nn.Linear(3 * w, w), nn.SiLU(), nn.Linear(w, codes))

    def logits(self, features: Tensor, condition: Tensor) -> Tensor:
        """Trunk features [B, w, h, w], condition [B, w] -> prior logits [B, codes]."""
        seen = F.silu(self.look(features))
        logits: Tensor = self.prior(torch.cat([seen.mean((2, 3)), seen.amax((2, 3)), condition], dim=1))
        return logits.float()

    def every_change(self, features: Tensor, condition: Tensor) -> Tensor:
        """The change under each code -> [B, codes, C p p, h, w]."""
        rows = torch.arange(len(features)).repeat_interleave(self.codes)
        codes = torch.arange(self.codes).repeat(len(features))
        changes = self.backbone.change(features[rows], condition[rows], codes)
        return changes.unflatten(0, (len(features), self.codes))

    def sample(self, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """See ``Predictor``."""
        features, condition = self.backbone.features(frames, actions)
        code = draw(self.logits(features, condition), generator)
        return self.backbone.frame(frames[:, -1], self.backbone.change(features, condition, code))

    def candidates(
        self, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """See ``Predictor``: the ``count`` most probable codes, their probabilities scaled to sum to 1."""
        del generator  # nothing is drawn
        features, condition = self.backbone.features(frames, actions)
        probability, codes = self.logits(features, condition).softmax(-1).topk(min(count, self.codes))
        rows = torch.arange(len(frames)).repeat_interleave(codes.shape[1])
        change = self.backbone.change(features[rows], condition[rows], codes.flatten())
        drawn = self.backbone.frame(frames[rows, -1], change).unflatten(0, codes.shape)
        return drawn, probability / probability.sum(dim=1, keepdim=True)


def networks(spec: EnvSpec, config: GanConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    return Networks(
        initialised(lambda: Generator(spec, config.backbone, config.codes), derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
        initialised(lambda: Discriminator(spec, context, config.critic_width), derive(seed, "discriminator")),
    )


class GanLearner:
    """Trains generator, prior, discriminator and outcome head along the model's own rollouts."""

    def __init__(self, spec: EnvSpec, config: GanConfig, seed: int) -> None:
        self.spec, self.config = spec, config
        self.networks = networks(spec, config, seed)
        self.generator: Generator = self.networks.predictor  # type: ignore[assignment]
        self.discriminator: Discriminator = self.networks.discriminator  # type: ignore[assignment]
        optimisers = {
            "generator": Optimiser(self.generator, config.optimiser),
            "outcome": Optimiser(self.networks.outcome, config.optimiser),
            "discriminator": Optimiser(self.discriminator, config.critic, betas=(0.5, 0.99)),
        }
        self.fit = Fit(self.networks, optimisers, config.average)
        self.objective = OBJECTIVES[config.objective]
        self.rng, self.updates = torch_rng(seed, "learner"), 0

    def update(self, window: Window) -> Metrics:
        """One step of all players on ``window``; see ``Learner``."""
        metrics = learn_from_rollout(window, self.losses, self.config.precision)
        self.updates += 1
        return metrics | self.fit.step()

    def losses(self, history: History, step: Transition) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and the frame decoded from the code that explains it best."""
        actions, backbone = history.then(step.action), self.generator.backbone
        features, condition = backbone.features(history.frames, actions)
        logits = self.generator.logits(features, condition)
        code = self.best_code(features.detach(), condition.detach(), step.target - history.last)
        codes = torch.cat([code, draw(logits.detach(), self.rng)])
        change = backbone.change(twice(features), twice(condition), codes)
        explained, fake = backbone.frame(twice(history.last), change).chunk(2)
        nexts = (step.target, explained.detach())
        outcome = self.networks.outcome.losses(history.frames, actions, nexts, step.reward, step.terminated)
        critic, adversarial = self.play(history.frames, actions, step.target, fake, step.valid)
        return {
            "reconstruction": step.mean((explained - step.target).square().mean((1, 2, 3))) / step.scale,
            "prior": self.config.prior * step.mean(F.cross_entropy(logits, code, reduction="none")),
            "adversarial": self.pressure * step.mean(adversarial),
            "outcome": step.mean(outcome),
            "discriminator": step.mean(critic),
        }, explained

    def play(self, frames: Tensor, actions: Tensor, real: Tensor, fake: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Both players' losses [B] on real and fake next frames after the same context, where ``valid``."""
        given, pair = (twice(frames), twice(actions)), torch.cat([real, fake.detach()])
        logits = self.discriminator(*given, pair)
        on_real, on_fake = logits.chunk(2)
        critic = self.objective.discriminator(on_real, on_fake)
        if self.config.penalty:
            some = slice(None, None, 4)
            judge = lambda x: self.discriminator(given[0][some], given[1][some], x)  # noqa: E731
            slopes, weight = slope_penalty(judge, pair[some], logits[some], self.rng), twice(valid.float())[some]
            critic = critic + self.config.penalty * (slopes * weight).sum() / weight.sum().clamp(min=1)
        with frozen(self.discriminator):
            judged = self.discriminator(frames, actions, fake)
        return critic, self.objective.generator(on_real.detach(), judged)

    @property
    def pressure(self) -> float:
        """Present weight of the adversarial loss."""
        return self.config.adversarial * min(1.0, max(0.0, self.updates / max(1, self.config.warmup) - 1))

    @torch.no_grad()
    def best_code(self, features: Tensor, condition: Tensor, change: Tensor) -> Tensor:
        """The code [B] whose change is nearest to the true one [B, C, H, W]; early on, a random near one."""
        target = self.generator.backbone.patches(change)[:, None]
        error = (self.generator.every_change(features, condition) - target).square().mean((2, 3, 4))
        if self.updates >= self.config.explore:
            return error.argmin(dim=1)
        temperature = 0.01 ** (self.updates / self.config.explore)
        return draw(-error / (temperature * error.mean(dim=1, keepdim=True)), self.rng)

    def world_model(self) -> NextFrameModel:
        """See ``Learner``."""
        return NextFrameModel(self.spec, self.config.backbone.context, self.fit.average.module)

    def weights(self) -> dict[str, Tensor]:
        """See ``Learner``."""
        return self.fit.weights()

    def state_dict(self) -> dict[str, Any]:
        """See ``Learner``."""
        return self.fit.state_dict() | {"rng": self.rng.get_state(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Learner``."""
        self.fit.load_state_dict(state)
        self.rng.set_state(state["rng"])
        self.updates = state["updates"]
