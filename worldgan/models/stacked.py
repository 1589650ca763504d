"""A generator in two stages, coarse to fine (StackGAN, Zhang et al. 2017)."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.models.backbone import Backbone, BackboneConfig, Seen
from worldgan.models.blocks import Block, Up
from worldgan.models.canvas import Canvas
from worldgan.types import EnvSpec


class Stacked(nn.Module):
    """Stage one paints the next frame at half the resolution; stage two, a ``Backbone``, sees that beside the history.

    Both are given the same chance, so what happens can be settled before it is drawn sharply. Implements ``Painter``.
    """

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__()
        w = config.width
        self.fine = Backbone(spec, config)
        self.patches, self.cell, self.grid = self.fine.patches, self.fine.cell, self.fine.grid
        pixels = self.fine.channels * self.cell
        self.block = Block(w, w)
        self.canvas = Canvas(w, self.fine.channels, self.cell, kernel=1)
        self.read = Up(pixels, w)

    def see(self, frames: Tensor, actions: Tensor) -> Seen:
        """See ``Painter``."""
        return self.fine.see(frames, actions)

    def sketch(self, seen: Seen, chance: Tensor) -> Tensor:
        """Stage one: chance [B, width] -> next frame at half the resolution in patches [B, C p p, h / 2, w / 2]."""
        condition = seen.condition + chance.to(seen.condition.dtype)
        hidden = self.block(F.avg_pool2d(seen.features, 2), condition)
        return self.canvas(hidden, self.halved(seen.last), self.halved(self.fine.bare))

    def halved(self, frame: Tensor) -> Tensor:
        """Patches [B, C p p, h, w] -> the frame averaged over squares of 2x2 pixels, [B, C p p, h / 2, w / 2]."""
        side = self.patches.side
        return F.pixel_unshuffle(F.avg_pool2d(F.pixel_shuffle(frame, side), 2), side)

    def sketched(self, seen: Seen, chance: Tensor) -> Seen:
        """What stage two sees: the history, and stage one's frame."""
        frame = self.sketch(seen, chance).to(seen.features.dtype)
        return replace(seen, features=self.read(frame, seen.features))

    def hidden(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.fine.hidden(self.sketched(seen, chance), chance)

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Painter``."""
        return self.fine.paint(hidden)

    def settle(self, frame: Tensor, last: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.fine.settle(frame, last)

    def show(self, hidden: Tensor, last: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.fine.show(hidden, last)

    def draft(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.fine.draft(self.sketched(seen, chance), chance)

    def decode(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.fine.decode(self.sketched(seen, chance), chance)
