"""The MSE twin: the GAN's generator without chance code and adversary, trained on squared error alone.

Its optimum is the mean of what could happen next, so where that is uncertain it must blur.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from worldgan.models.backbone import Backbone, BackboneConfig
from worldgan.models.learning import (
    Fit,
    Optimiser,
    OptimiserConfig,
    Precision,
    Transition,
    initialised,
    learn_from_rollout,
)
from worldgan.models.outcome import OutcomeHead
from worldgan.models.world import History, Networks, NextFrameModel
from worldgan.seeding import derive
from worldgan.types import EnvSpec, Metrics, Window


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
    """Backbone without chance. Implements ``Predictor``."""

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__()
        self.backbone = Backbone(spec, config)

    def forward(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A] -> mean next frame [B, C, H, W]."""
        seen = self.backbone.see(frames, actions)
        patches = self.backbone.decode(seen, torch.zeros_like(seen.condition))
        return self.backbone.patches.inverse(patches)

    def sample(self, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """See ``Predictor``; nothing is drawn."""
        del generator
        frame: Tensor = self(frames, actions)
        return frame

    def candidates(
        self, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """See ``Predictor``: the one candidate."""
        del count
        return self.sample(frames, actions, generator)[:, None], torch.ones(len(frames), 1)


def networks(spec: EnvSpec, config: MseConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    return Networks(
        initialised(lambda: MeanPredictor(spec, config.backbone), derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


class MseLearner:
    """Trains the mean predictor and the outcome head along the model's own rollouts."""

    def __init__(self, spec: EnvSpec, config: MseConfig, seed: int) -> None:
        self.spec, self.config = spec, config
        self.networks = networks(spec, config, seed)
        optimisers = {
            "generator": Optimiser(self.networks.predictor, config.optimiser),
            "outcome": Optimiser(self.networks.outcome, config.optimiser),
        }
        self.fit = Fit(self.networks, optimisers, config.average)

    def update(self, window: Window) -> Metrics:
        """One optimisation step on ``window``; see ``Learner``."""
        metrics = learn_from_rollout(window, self.losses, self.config.precision)
        return metrics | self.fit.step()

    def losses(self, history: History, step: Transition) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and the predicted frame."""
        actions = history.then(step.action)
        frame = self.networks.predictor(history.frames, actions)
        nexts = (step.target, frame.detach())
        outcome = self.networks.outcome.losses(history.frames, actions, nexts, step.reward, step.terminated)
        return {
            "reconstruction": step.error(frame),
            "outcome": step.mean(outcome),
        }, frame

    def world_model(self) -> NextFrameModel:
        """See ``Learner``."""
        return NextFrameModel(self.spec, self.config.backbone.context, self.fit.average.module)

    def weights(self) -> dict[str, Tensor]:
        """See ``Learner``."""
        return self.fit.weights()

    def state_dict(self) -> dict[str, Any]:
        """See ``Learner``."""
        return self.fit.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Learner``."""
        self.fit.load_state_dict(state)
