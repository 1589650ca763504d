"""The one network that every family predicts frames with: a small U-Net over patches, with a late chance input.

The trunk sees the history and runs once per step; the head turns trunk features and one chance code into a
frame and is cheap, so that many codes can be tried on the same trunk features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldgan.errors import WorldganError
from worldgan.models.blocks import Block, Patches, UNet, compute_dtype
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class BackboneConfig:
    """context: K frames seen.    width: channels at the finest grid; each coarser grid has twice as many."""

    context: int = 4
    width: int = 64

    def __post_init__(self) -> None:
        """Raises WorldganError without context."""
        if self.context < 1:
            raise WorldganError(f"expected model.backbone.context of at least 1, got {self.context}")


class Backbone(nn.Module):
    """History -> features -> change of the frame, for any code of ``codes``."""

    def __init__(self, spec: EnvSpec, config: BackboneConfig, codes: int) -> None:
        super().__init__()
        height, width, channels = spec.frame
        w = config.width
        self.patches = Patches(height, width)
        pixels = channels * self.patches.side**2
        self.actions = nn.Sequential(nn.Linear(config.context * spec.actions.size, w), nn.SiLU(), nn.Linear(w, w))
        self.position = nn.Parameter(torch.zeros(1, w, *self.patches.grid))
        self.stem = nn.Conv2d(config.context * pixels, w, 1)
        self.trunk = UNet(w, w, levels=2 if min(self.patches.grid) >= 16 else 1)
        self.codes = nn.Embedding(codes, w)
        self.head = nn.ModuleList([Block(w, w), Block(w, w)])
        self.out = nn.Conv2d(w, pixels, 3, padding=1, bias=False)
        nn.init.normal_(self.out.weight, std=1e-2)

    def features(self, frames: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W] and actions [B, K, A], the last one to be taken now -> [B, w, h, w], [B, w]."""
        dtype = compute_dtype(self.out.weight)
        condition = self.actions(actions.flatten(1).to(dtype))
        patches = self.stem(self.patches(frames.flatten(1, 2).to(dtype))) + self.position
        return self.trunk(patches, condition), condition

    def change(self, features: Tensor, condition: Tensor, code: Tensor) -> Tensor:
        """Features, condition and code indices [B] -> patches [B, C p p, h, w] to add to the last frame's."""
        condition = condition + self.codes(code).to(condition.dtype)
        for block in self.head:
            features = block(features, condition)
        return self.out(features).float()

    def frame(self, last: Tensor, change: Tensor) -> Tensor:
        """Last frame [B, C, H, W] and a change in patches -> next frame [B, C, H, W], not yet clipped."""
        return last + self.patches.inverse(change)
