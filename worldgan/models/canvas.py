"""The last layer of a backbone: what is painted over the present frame, and where.

Painted through a mask (as in the masked compositing of Finn et al. 2016), still pixels stay exactly still, and a moved
object has its own colour whatever was there before. Where it has been, the background comes to light again: a colour
that is known to the last grey level, where a painted one would be off by a few and leave a trail.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan import parallel

PACE = 0.002
"""A step of the background towards the median, in [-1, 1]: a quarter of a grey level."""


def over(last: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Pixels [B, C p p, h, w] painted over a frame in patches, where the logits [B, p p, h, w] of their mask say so."""
    cells = lambda x: x.permute(0, 2, 3, 1).unflatten(3, (-1, mask.shape[1]))  # noqa: E731  # as they lie in memory
    return torch.lerp(cells(last), cells(painted), cells(mask).sigmoid()).flatten(3).permute(0, 3, 1, 2)


class Canvas(nn.Module):
    """Hidden [B, width, h, w] and the present frame [B, C p p, h, w] -> next frame in patches, float32.

    cell: p p, pixels of a patch.    grid: (h, w).    kernel: cells across that a cell is painted from.
    background: [1, C p p, h, w], the median of what each pixel has shown in training.
    """

    background: Tensor
    watched: Tensor

    def __init__(self, width: int, channels: int, cell: int, grid: tuple[int, int], kernel: int) -> None:
        super().__init__()
        self.parts = [channels * cell, cell, cell]
        self.out = nn.Conv2d(width, sum(self.parts), kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.out.weight, std=1e-2)
        self.register_buffer("background", torch.zeros(1, channels * cell, *grid))
        self.register_buffer("watched", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def watch(self, last: Tensor) -> None:
        """Learn the background from present frames [B, C p p, h, w]; in training alone."""
        if not self.training:
            return
        if not self.watched:
            self.background.copy_(parallel.gathered(last).median(0, keepdim=True).values)
        self.background += PACE * parallel.mean((last - self.background).sign().mean(0, keepdim=True))
        self.watched += 1

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden -> painted pixels [B, C p p, h, w], logits of their mask [B, p p, h, w], float32."""
        colour, bare, mask = self.out(hidden).float().split(self.parts, dim=1)
        # Softsign never saturates: where most pixels are still, a plain sigmoid closes for good before objects are
        # learnt.
        return over(colour, self.background.float(), 6 * F.softsign(bare)), 6 * F.softsign(mask)

    def forward(self, hidden: Tensor, last: Tensor) -> Tensor:
        """See above."""
        return over(last, *self.paint(hidden))
