"""How networks see frames: as what differs from the background.

What all frames share drowns what they differ by, in the sums of a first layer and in the norms after it. And what is
small is hardly heard: the outcome head sees it in units of how far frames usually differ (standardised inputs, LeCun et
al. 1998, "Efficient BackProp", section 4.3), which made the others worse (docs/log.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from worldgan import parallel

PACE = 0.002
"""A step of the background towards the median, in [-1, 1]: a quarter of a grey level."""
SLOWEST = 0.001
"""Share of each batch in the mean square, once it has seen many."""
FAINT = 0.02
"""The least that frames are taken to differ by, in [-1, 1]: two and a half grey levels."""


class Background(nn.Module):
    """The median of what each pixel has shown in training.

    shown: [1, C, H, W] in [-1, 1].    power: the mean square of what differs from it, [].
    """

    shown: Tensor
    power: Tensor
    watched: Tensor

    def __init__(self, frame: tuple[int, int, int], *, standardise: bool = False) -> None:
        """frame: (H, W, C).    standardise: let what differs have a mean square of 1."""
        super().__init__()
        height, width, channels = frame
        self.standardise = standardise
        self.register_buffer("shown", torch.zeros(1, channels, height, width))
        self.register_buffer("power", torch.ones(()))
        self.register_buffer("watched", torch.zeros((), dtype=torch.long))

    def forward(self, frames: Tensor) -> Tensor:
        """What differs from it in frames [..., C, H, W]."""
        differs = frames - self.shown.float()
        return differs * self.power.float().rsqrt() if self.standardise else differs

    @torch.no_grad()
    def learn(self, frames: Tensor) -> None:
        """From real frames [B, C, H, W]; never from imagined ones, which it would confirm."""
        if not self.watched:
            self.shown.copy_(parallel.gathered(frames).median(0, keepdim=True).values)
        self.watched += 1
        differs = frames - self.shown
        told = parallel.mean(torch.cat([differs.sign().mean(0).flatten(), differs.square().mean()[None]]))
        share = (1 / self.watched).clamp(min=SLOWEST)
        self.power += share * (told[-1].clamp(min=FAINT**2) - self.power)
        self.shown += PACE * told[:-1].view_as(self.shown)


def watch(frames: Tensor, *networks: nn.Module) -> None:
    """Learn the background from real frames [B, C, H, W], once for all parts that know it."""
    first, *others = [part for each in networks for part in each.modules() if isinstance(part, Background)]
    first.learn(frames)
    for each in others:
        each.load_state_dict(first.state_dict())
