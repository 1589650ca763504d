"""The motion family: the next frame is the last one, moved by predicted kernels (CDNA, Finn, Goodfellow & Levine 2016).

Each kernel moves the whole frame; masks say which pixels take which of the moved frames, stay as they are, or are
painted anew. Trained on squared error alone, so where chance decides it must blur, as its MSE twin does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.backbone import BackboneConfig
from worldgan.models.backbones import backbone
from worldgan.models.blocks import pooled
from worldgan.models.learning import (
    OptimiserConfig,
    RolloutLearner,
    initialised,
)
from worldgan.models.mse import squared_error
from worldgan.models.outcome import OutcomeHead
from worldgan.models.unstated import frame_of_noise, only_candidate, only_frame
from worldgan.models.world import Networks
from worldgan.seeding import derive
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class MotionConfig:
    """The same backbone, optimiser and outcome head as the other families.

    average: decay of the averaged weights that simulate.    outcome_width: channels of the outcome head.
    motions: M kernels per frame.    reach: pixels that a kernel can move something by, either way along each axis.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    motions: int = 8
    reach: int = 3
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError without motion."""
        if min(self.motions, self.reach) < 1:
            got = f"got {self.motions} and {self.reach}"
            raise WorldganError(f"expected model.motions and model.reach of at least 1, {got}")


def moved(frame: Tensor, kernels: Tensor) -> Tensor:
    """Frames [B, C, H, W], each convolved with its own kernels [B, M, k, k] of odd k -> [B, M, C, H, W].

    Every channel moves alike (Finn et al. 2016, eq. 2); what lies beyond an edge looks like the edge.
    """
    batch, motions, side = kernels.shape[:3]
    padded = F.pad(frame, [side // 2] * 4, mode="replicate")
    if torch.onnx.is_in_onnx_export():  # ONNX has no kernels that differ from row to row; here it would be slower
        height, width = frame.shape[2:]
        shifts = [padded[..., y : y + height, x : x + width] for y in range(side) for x in range(side)]
        found = kernels.flatten(2) @ torch.stack(shifts, dim=1).flatten(2)
        return found.unflatten(2, frame.shape[1:])
    padded = padded.transpose(0, 1)
    with torch.autocast(frame.device.type, enabled=False):  # at bfloat16 a still pixel would lose up to a grey level
        found = F.conv2d(padded, kernels.flatten(0, 1)[:, None], groups=batch)  # [C, B M, H, W]: a row is a group
    return found.unflatten(1, (batch, motions)).permute(1, 2, 0, 3, 4)


class MotionPredictor(nn.Module):
    """Backbone without chance, with kernels and masks. Implements ``NoisePredictor``."""

    chances, stated = 0, True

    def __init__(self, spec: EnvSpec, config: BackboneConfig, motions: int, reach: int) -> None:
        super().__init__()
        self.backbone = backbone(spec, config)
        self.motions, self.side = motions, 2 * reach + 1
        self.kernels = nn.Linear(3 * config.width, motions * self.side**2)
        self.masks = nn.Conv2d(config.width, (motions + 1) * self.backbone.cell, 1)
        nn.init.normal_(self.kernels.bias)  # kernels that begin alike would learn alike
        nn.init.normal_(self.masks.weight, std=1e-2)
        assert self.masks.bias is not None
        nn.init.constant_(self.masks.bias[: self.backbone.cell], 3.0)  # most pixels are still, so begin by copying

    def forward(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A] -> mean next frame [B, C, H, W], float32."""
        seen = self.backbone.see(frames, actions)
        hidden = self.backbone.hidden(seen, torch.zeros_like(seen.condition))
        painted, opened, touch = self.backbone.paint(hidden)
        last, inverse = frames[:, -1].float(), self.backbone.patches.inverse
        layers = [inverse(painted)[:, None], last[:, None], moved(last, self.kernels_of(hidden, seen.condition))]
        masks = torch.cat([opened, 6 * F.softsign(self.masks(hidden).float())], dim=1)  # see Canvas.paint
        frame = self.backbone.patches((torch.cat(layers, dim=1) * inverse(masks).softmax(1)[:, :, None]).sum(1))
        return inverse(self.backbone.settle(frame + touch, seen.last))

    def kernels_of(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """Hidden [B, width, h, w], condition [B, width] -> kernels [B, M, k, k], each of sum 1, float32."""
        read = torch.cat([pooled(hidden), condition], dim=1)
        weights = self.kernels(read).float().unflatten(1, (self.motions, -1)).softmax(-1)
        return weights.unflatten(2, (self.side, self.side))

    sample, sample_from, candidates = only_frame, frame_of_noise, only_candidate


def networks(spec: EnvSpec, config: MotionConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    build = lambda: MotionPredictor(spec, config.backbone, config.motions, config.reach)  # noqa: E731
    return Networks(
        initialised(build, derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


def learner(spec: EnvSpec, config: MotionConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    return RolloutLearner(spec, config, made, partial(squared_error, made), seed)
