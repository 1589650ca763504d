"""Generator and discriminator of strided convolutions (DCGAN, Radford et al. 2016), made conditional on a history.

Their first and last convolution are those from and to patches. Next frames are painted over the present one, as in
the other backbones: what is compared is the layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.background import Background
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.blocks import compute_dtype
from worldgan.models.canvas import Canvas
from worldgan.models.patches import Patches
from worldgan.types import EnvSpec


def halve(inputs: int, outputs: int) -> nn.Conv2d:
    """[B, inputs, h, w] -> [B, outputs, h / 2, w / 2]."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)


def double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """[B, inputs, h, w] -> [B, outputs, 2 h, 2 w]."""
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


class Strided(nn.Module):
    """The generator: down to a bottleneck, which chance and actions join, and up. Implements ``Painter``.

    Normalised by batch, in training by what else is in it, and in simulation by running statistics: a row then does
    not depend on others. In training it does, also on rows that are not valid.
    """

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__()
        height, width, channels = spec.frame
        w = config.width
        self.patches = Patches(height, width)
        self.cell, self.grid = self.patches.side**2, (self.patches.grid[0] // 2, self.patches.grid[1] // 2)
        between, deep = 4 * w if min(self.patches.grid) >= 16 else w, 4 * w  # about as many weights as the U-Net
        self.actions = nn.Sequential(nn.Linear(config.context * spec.actions.size, w), nn.ReLU(), nn.Linear(w, w))
        self.stem = nn.Conv2d(config.context * channels * self.cell, w, 1)
        self.down = nn.Sequential(
            nn.ReLU(), halve(w, between), nn.BatchNorm2d(between), nn.ReLU(), halve(between, deep)
        )
        self.join = nn.Linear(2 * w, deep)
        layers = [nn.BatchNorm2d(deep), nn.ReLU(), double(deep, between), nn.BatchNorm2d(between), nn.ReLU()]
        self.up = nn.Sequential(*layers, double(between, w), nn.BatchNorm2d(w), nn.ReLU())
        self.background = Background(spec.frame)
        self.canvas = Canvas(w, channels, self.cell, kernel=3)

    @property
    def bare(self) -> Tensor:
        """The background in patches [1, C p p, h, w]."""
        return self.patches(self.background.shown)

    def see(self, frames: Tensor, actions: Tensor) -> Seen:
        """See ``Painter``; features are the bottleneck [B, 4 width, h / 4, w / 4], as [B, width, h / 2, w / 2]."""
        dtype = compute_dtype(self.stem.weight)
        deep = self.down(self.stem(self.patches(self.background(frames).flatten(1, 2).to(dtype))))
        condition = self.actions(actions.flatten(1).to(dtype))
        last = self.patches(frames[:, -1])
        return Seen(F.pixel_shuffle(deep, 2), condition, last)

    def hidden(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        joined = self.join(torch.cat([seen.condition, chance.to(seen.condition.dtype)], dim=1))
        return self.up(F.pixel_unshuffle(seen.features, 2) + joined[..., None, None])

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Painter``."""
        return self.canvas.paint(hidden, self.bare)

    def settle(self, frame: Tensor, last: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.canvas.settle(frame, last, self.bare)

    def show(self, hidden: Tensor, last: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.canvas(hidden, last, self.bare)

    def draft(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        hidden = self.hidden(seen, chance)
        return self.canvas.draft(hidden, seen.last, self.bare, hidden.dtype)

    def decode(self, seen: Seen, chance: Tensor) -> Tensor:
        """See ``Painter``."""
        return self.show(self.hidden(seen, chance), seen.last)


class StridedEncoder(nn.Module):
    """The discriminator's body: leaky rectifiers, and the actions joined half way. Used as ``TransitionEncoder`` is.

    Not normalised by batch: penalties on its slope need each row judged on its own (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, frame: tuple[int, int, int], context: int, actions: int, width: int) -> None:
        super().__init__()
        height, width_, channels = frame
        self.background = Background(frame)
        self.patches = Patches(height, width_)
        self.actions = nn.Linear(context * actions, width)
        self.stem = nn.Conv2d((context + 2) * channels * self.patches.side**2, width, 1)
        self.down = halve(width, 2 * width)
        self.join = nn.Linear(width, 2 * width)
        self.deep = halve(2 * width, 2 * width)

    def forward(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> features [B, 2w, h/4, w/4], [B, w]."""
        dtype = compute_dtype(self.stem.weight)
        before, after = self.background(frames), self.background(next_frame)
        seen = [before.flatten(1, 2), after, after - before[:, -1]]
        condition = self.actions(actions.flatten(1).to(dtype))
        h = F.leaky_relu(self.stem(self.patches(torch.cat([x.to(dtype) for x in seen], dim=1))), 0.2)
        h = F.leaky_relu(self.down(h) + self.join(condition)[..., None, None], 0.2)
        return F.leaky_relu(self.deep(h), 0.2), condition
