"""The MSE twin: the GAN's generator without chance code and adversary, trained on squared error alone.

Its optimum is the mean of what could happen next, so where that is uncertain it must blur.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from worldgan.device import Precision
from worldgan.models.backbone import BackboneConfig
from worldgan.models.backbones import backbone
from worldgan.models.learning import (
    Now,
    OptimiserConfig,
    RolloutLearner,
    Transition,
    initialised,
)
from worldgan.models.outcome import OutcomeHead
from worldgan.models.unstated import frame_of_noise, only_candidate, only_frame
from worldgan.models.world import History, Networks
from worldgan.seeding import derive
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class MseConfig:
    """The same backbone, optimiser and outcome head as the other families.

    average: decay of the averaged weights that simulate.    outcome_width: channels of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    outcome_width: int = 32


class MeanPredictor(nn.Module):
    """Backbone without chance. Implements ``NoisePredictor``."""

    chances, stated = 0, True

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__()
        self.backbone = backbone(spec, config)

    def forward(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A] -> mean next frame [B, C, H, W]."""
        seen = self.backbone.see(frames, actions)
        patches = self.backbone.decode(seen, torch.zeros_like(seen.condition))
        return self.backbone.patches.inverse(patches)

    sample, sample_from, candidates = only_frame, frame_of_noise, only_candidate


def networks(spec: EnvSpec, config: MseConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    return Networks(
        initialised(lambda: MeanPredictor(spec, config.backbone), derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


def squared_error(networks: Networks, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
    """Losses of a predictor that draws nothing; see ``Losses``."""
    actions = history.then(step.action)
    frame = networks.predictor(history.frames, actions)
    outcome = step.outcome_error(networks.outcome, history, frame)
    return {"reconstruction": step.error(frame), "outcome": outcome}, frame


def learner(spec: EnvSpec, config: MseConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    return RolloutLearner(spec, config, made, partial(squared_error, made), seed)
