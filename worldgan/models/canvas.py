"""The last layer of a backbone: what is painted over the present frame, where, and what is added to it.

Painted through a mask (as in the masked compositing of Finn et al. 2016), a moved object has its own colour whatever
was there before. Where it has been, the background comes to light again, a colour known to the last grey level.

Masks close over all that is still before anything small is learnt, and a closed mask lets hardly a gradient through. So
a touch is added to the pixels, which no mask holds back. It is never exactly zero and would gather as noise: a pixel
that comes out close to the background or to the present frame shows that.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLOSE = 8 / 127.5
"""How far off, in any channel, a pixel still shows what is known exactly: 8 grey levels."""


def over(last: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Pixels [B, C p p, h, w] painted over a frame in patches, where the logits [B, p p, h, w] of their mask say so."""
    weight = torch.cat([mask.sigmoid()] * (painted.shape[1] // mask.shape[1]), dim=1)  # four times as fast as broadcast
    return torch.lerp(last, painted, weight)


def settled(frame: Tensor, known: tuple[Tensor, ...], cell: int) -> Tensor:
    """A frame in patches [B, C p p, h, w] whose pixels are those of the first of ``known`` that they are ``CLOSE`` to.

    Gradients flow as if nothing had been changed (straight through, Bengio et al. 2013), from where it came to: a pixel
    that is right by now has none.    cell: p p.
    """
    with torch.no_grad():
        drawn = exact = _cells(frame, cell)
        for one in reversed(known):
            each = _cells(one, cell)
            near = reduce(torch.maximum, (drawn - each).abs_().unbind(3)) < CLOSE
            exact = torch.lerp(exact, each, near[:, :, :, None].to(exact.dtype))  # five times as fast as torch.where
        shown = _patches(exact)
    return frame + (shown - frame).detach() if frame.requires_grad else shown


def _cells(patches: Tensor, cell: int) -> Tensor:
    """[B, C p p, h, w] -> [B, h, w, C, p p], as it lies in memory."""
    return patches.permute(0, 2, 3, 1).unflatten(3, (-1, cell))


def _patches(cells: Tensor) -> Tensor:
    """Inverse of ``_cells``."""
    return cells.flatten(3).permute(0, 3, 1, 2)


class Canvas(nn.Module):
    """Hidden [B, width, h, w] and the present frame [B, C p p, h, w] -> next frame in patches, float32.

    cell: p p, pixels of a patch.    kernel: cells across that a cell is painted from.
    Everywhere, background: see ``Background``, in patches [1, C p p, h, w].
    """

    def __init__(self, width: int, channels: int, cell: int, kernel: int) -> None:
        super().__init__()
        self.parts = [channels * cell, cell, cell, channels * cell]
        self.out = nn.Conv2d(width, sum(self.parts), kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.out.weight, std=1e-2)

    def forward(self, hidden: Tensor, last: Tensor, background: Tensor) -> Tensor:
        """See above."""
        return self.settle(self.draft(hidden, last, background, torch.float32), last, background)

    def draft(self, hidden: Tensor, last: Tensor, background: Tensor, dtype: torch.dtype) -> Tensor:
        """The next frame before it settles, computed in ``dtype``."""
        painted, mask, touch = self.paint(hidden, background, dtype)
        return over(last.to(dtype), painted, mask) + touch

    def paint(
        self, hidden: Tensor, background: Tensor, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden -> painted pixels [B, C p p, h, w], logits of their mask [B, p p, h, w], and the touch."""
        colour, bare, mask, touch = self.out(hidden).to(dtype).split(self.parts, dim=1)
        # Softsign never saturates: a plain sigmoid would close for good.
        return over(colour, background.to(dtype), 6 * F.softsign(bare)), 6 * F.softsign(mask), touch

    def settle(self, frame: Tensor, last: Tensor, background: Tensor) -> Tensor:
        """A frame in patches [B, C p p, h, w] with what is known exactly, background and present frame, where close."""
        return settled(frame, (background.float().expand_as(last), last), self.parts[1])
