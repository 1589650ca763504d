"""The last layer of a backbone: what is painted over the present frame, and where.

Painted through a mask (as in the masked compositing of Finn et al. 2016), still pixels stay exactly still, and a moved
object has its own colour whatever was there before.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def over(last: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Pixels [B, C p p, h, w] painted over a frame in patches, where the logits [B, p p, h, w] of their mask say so."""
    return torch.lerp(last, painted, mask.sigmoid().repeat(1, last.shape[1] // mask.shape[1], 1, 1))


class Canvas(nn.Module):
    """Hidden [B, width, h, w] and the present frame [B, C p p, h, w] -> next frame in patches, float32.

    cell: p p, pixels of a patch.    kernel: cells across that a cell is painted from.
    """

    def __init__(self, width: int, channels: int, cell: int, kernel: int) -> None:
        super().__init__()
        self.parts = [channels * cell, cell]
        self.out = nn.Conv2d(width, sum(self.parts), kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.out.weight, std=1e-2)

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden -> painted pixels [B, C p p, h, w], logits of their mask [B, p p, h, w], float32."""
        painted, mask = self.out(hidden).float().split(self.parts, dim=1)
        # Softsign never saturates: where most pixels are still, a plain sigmoid closes for good before objects are
        # learnt.
        return painted, 6 * F.softsign(mask)

    def forward(self, hidden: Tensor, last: Tensor) -> Tensor:
        """See above."""
        return over(last, *self.paint(hidden))
