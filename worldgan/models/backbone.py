"""The one network that every family predicts frames with: a small U-Net over patches, with a late chance input.

The trunk sees the history and runs once per step; the head turns what it saw and one chance vector into the next
frame and is cheap, so that many chances can be tried on the same history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from worldgan.background import Background
from worldgan.errors import WorldganError
from worldgan.models.blocks import AxisMixer, Block, UNet, compute_dtype
from worldgan.models.canvas import Canvas
from worldgan.models.patches import Patches, patch_size
from worldgan.types import EnvSpec

Kind = Literal["unet", "stacked", "dcgan"]


@dataclass(frozen=True)
class BackboneConfig:
    """context: K frames seen.    width: channels at the finest grid; each coarser grid has twice as many.
    kind: a key of BACKBONES.
    """

    context: int = 4
    width: int = 48
    kind: Kind = "unet"

    def __post_init__(self) -> None:
        """Raises WorldganError without context."""
        if self.context < 1:
            raise WorldganError(f"expected model.backbone.context of at least 1, got {self.context}")

    def require_cells(self) -> None:
        """Raises WorldganError for a kind whose head does not see every cell of the grid."""
        if self.kind == "dcgan":
            raise WorldganError("expected model.backbone.kind unet or stacked, whose head sees every pixel, got dcgan")


@dataclass(frozen=True)
class Seen:
    """What the trunk made of B histories.

    features: [B, width, h, w].    condition: [B, width], the actions.    last: the present frame, [B, C p p, h, w].
    """

    features: Tensor
    condition: Tensor
    last: Tensor

    def index(self, rows: Tensor) -> Seen:
        """The given rows (int64 [any]), repeats allowed."""
        return Seen(self.features[rows], self.condition[rows], self.last[rows])

    def detach(self) -> Seen:
        """The same, cut from its graph."""
        return Seen(self.features.detach(), self.condition.detach(), self.last)


def levels_of(height: int, width: int) -> int:
    """How often a U-Net over the patches of such frames halves their grid: small ones are neither padded much nor left
    without cells.
    """
    return 2 if min(height, width) > 12 * patch_size(height, width) else 1


class Backbone(nn.Module):
    """History and a chance vector -> next frame, painted over the present one. Implements ``Painter``."""

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__()
        height, width, self.channels = spec.frame
        w = config.width
        levels = levels_of(height, width)
        self.patches = Patches(height, width, stride=2**levels)
        self.cell, self.grid = self.patches.side**2, self.patches.grid
        pixels = self.channels * self.cell
        self.actions = nn.Sequential(nn.Linear(config.context * spec.actions.size, w), nn.SiLU(), nn.Linear(w, w))
        self.position = nn.Parameter(torch.zeros(1, w, *self.patches.grid))
        self.stem = nn.Conv2d(config.context * pixels, w, 1)
        self.survey = AxisMixer(w, self.patches.grid)
        self.trunk = UNet(w, w, levels)
        self.mix = nn.Sequential(nn.Linear(w, w), nn.SiLU(), nn.Linear(w, w))
        self.head = nn.ModuleList([Block(w, w), Block(w, w)])
        self.background = Background(spec.frame)
        self.canvas = Canvas(w, self.channels, self.cell, kernel=3)

    @property
    def bare(self) -> Tensor:
        """The background in patches [1, C p p, h, w]."""
        return self.patches(self.background.shown)

    def see(self, frames: Tensor, actions: Tensor) -> Seen:
        """Context [B, K, C, H, W] and actions [B, K, A], the last one to be taken now."""
        dtype = compute_dtype(self.stem.weight)
        condition = self.actions(actions.flatten(1).to(dtype))
        shown = self.background(frames).flatten(1, 2).to(dtype)
        patches = self.patches.embed(self.stem, shown) + self.position.to(dtype)
        last = self.patches(frames[:, -1])
        return Seen(self.trunk(self.survey(patches), condition), condition, last)

    def hidden(self, seen: Seen, chance: Tensor) -> Tensor:
        """Chance [B, width] -> what the head makes of it, [B, width, h, w]."""
        condition = seen.condition + self.mix(seen.condition + chance.to(seen.condition.dtype))
        features = seen.features
        for block in self.head:
            features = block(features, condition)
        return features

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Canvas``."""
        return self.canvas.paint(hidden, self.bare)

    def settle(self, frame: Tensor, last: Tensor) -> Tensor:
        """See ``Canvas``."""
        return self.canvas.settle(frame, last, self.bare)

    def show(self, hidden: Tensor, last: Tensor) -> Tensor:
        """Hidden and the present frame in patches [B, C p p, h, w] -> the next one, float32."""
        return self.canvas(hidden, last, self.bare)

    def draft(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        hidden = self.hidden(seen, chance)
        return self.canvas.draft(hidden, seen.last, self.bare, hidden.dtype)

    def decode(self, seen: Seen, chance: Tensor) -> Tensor:
        """Chance [B, width] -> next frame in patches [B, C p p, h, w], float32, about [-1, 1] but not clipped."""
        return self.show(self.hidden(seen, chance), seen.last)
