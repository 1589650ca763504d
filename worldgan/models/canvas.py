"""The last layer of a backbone: what is painted over a frame, and where."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Canvas(nn.Module):
    """Hidden [B, width, h, w] -> frame in patches. Paints as ``Backbone`` does, for backbones of other kinds."""

    def __init__(self, width: int, channels: int, cell: int, kernel: int) -> None:
        super().__init__()
        self.channels, self.cell = channels, cell
        self.out = nn.Conv2d(width, (channels + 1) * cell, kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.out.weight, std=1e-2)

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden -> painted pixels [B, C p p, h, w], logits of their mask [B, p p, h, w], float32."""
        painted, mask = self.out(hidden).float().split([self.channels * self.cell, self.cell], dim=1)
        return painted, 6 * F.softsign(mask)  # see Backbone.paint

    def forward(self, hidden: Tensor, last: Tensor) -> Tensor:
        """Hidden, present frame [B, C p p, h, w] -> next frame [B, C p p, h, w], float32."""
        painted, mask = self.paint(hidden)
        return torch.lerp(last, painted, mask.sigmoid().repeat(1, self.channels, 1, 1))
