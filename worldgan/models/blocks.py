"""The pieces every network here is made of: conditioned residual blocks, up and down."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.background import Background
from worldgan.errors import WorldganError
from worldgan.models.patches import Patches


def compute_dtype(parameter: Tensor) -> torch.dtype:
    """What a convolution will compute in: autocast's dtype, or the dtype of its weights."""
    kind = parameter.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else parameter.dtype


def grouped(channels: int) -> nn.GroupNorm:
    """Normalises groups of 16 channels. Raises WorldganError if they do not divide into such."""
    if channels < 16 or channels % 16:
        raise WorldganError(f"expected widths that are multiples of 16, got {channels}")
    return nn.GroupNorm(channels // 16, channels, affine=False)


class Block(nn.Module):
    """Residual block: GroupNorm scaled and shifted by a condition (FiLM, Perez et al. 2018), two convolutions.

    One normalisation a block: on small grids the count of operations costs as much as the arithmetic.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = grouped(channels)
        self.film = nn.Linear(condition, 2 * channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, channels, h, w], [B, condition] -> [B, channels, h, w]."""
        scale, shift = self.film(condition)[..., None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.norm(x), 1 + scale))
        return x + self.conv2(F.silu(self.conv1(h)))


class AxisMixer(nn.Module):
    """Every cell hears from all of its row and all of its column (sparse MLP, Tang et al. 2022, section 3.2).

    Convolutions need a layer for every cell or two that news has to travel: what leaves a 16 x 16 grid on one side
    and comes back on the other, or a score that depends on a paddle far away, would be learnt late.
    """

    def __init__(self, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.norm = grouped(channels)
        self.enter, self.leave = nn.Conv2d(channels, 2 * channels, 1), nn.Conv2d(2 * channels, channels, 1)
        self.along_h, self.along_w = (nn.Parameter(torch.randn(side, side) / (3 * side) ** 0.5) for side in grid)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> the same shape."""
        cells = self.enter(self.norm(x)).permute(0, 2, 3, 1)
        columns, rows = cells.chunk(2, dim=-1)
        columns = torch.einsum("jh,bhwc->bjwc", self.along_h, columns)
        rows = torch.einsum("jw,bhwc->bhjc", self.along_w, rows)
        return x + self.leave(F.silu(torch.cat([columns, rows], dim=-1)).permute(0, 3, 1, 2))


class Down(nn.Module):
    """Halves h and w."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, outputs, h / 2, w / 2]."""
        return self.conv(x)


class Up(nn.Module):
    """Doubles h and w and adds the skip connection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[B, inputs, h, w], [B, outputs, 2h, 2w] -> [B, outputs, 2h, 2w]."""
        return F.pixel_shuffle(self.conv(x), 2) + skip


class UNet(nn.Module):
    """A block, then the same at half the resolution and twice the channels, ``levels`` deep, and back."""

    def __init__(self, channels: int, condition: int, levels: int) -> None:
        super().__init__()
        self.before = Block(channels, condition)
        self.down, self.up = Down(channels, 2 * channels), Up(2 * channels, channels)
        self.below: nn.Module
        if levels > 1:
            self.below = UNet(2 * channels, condition, levels - 1)
        else:
            self.below = Block(2 * channels, condition)
        self.after = Block(channels, condition)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, channels, h, w], [B, condition] -> [B, channels, h, w]."""
        skip = self.before(x, condition)
        return self.after(self.up(self.below(self.down(skip), condition), skip), condition)


class TransitionEncoder(nn.Module):
    """Looks at a whole transition: K context frames, the next frame, its difference to the last, and actions.

    Both the discriminator and the outcome head are heads on (their own copies of) this encoder.
    """

    def __init__(
        self, frame: tuple[int, int, int], context: int, actions: int, width: int, *, standardise: bool = False
    ) -> None:
        """standardise: see ``Background``; not where slopes in the frames are to be compared with limits."""
        super().__init__()
        height, width_, channels = frame
        self.background = Background(frame, standardise=standardise)
        self.patches = Patches(height, width_, stride=2)
        self.actions = nn.Linear(context * actions, width)
        self.stem = nn.Conv2d((context + 2) * channels * self.patches.side**2, width, 1)
        self.fine = Block(width, width)
        self.down = Down(width, 2 * width)
        self.coarse = Block(2 * width, width)

    def forward(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> features [B, 2w, h/2, w/2], [B, w]."""
        dtype = compute_dtype(self.stem.weight)
        before, after = self.background(frames), self.background(next_frame)
        seen = [before.flatten(1, 2), after, after - before[:, -1]]
        condition = self.actions(actions.flatten(1).to(dtype))
        patches = self.patches.embed(self.stem, torch.cat([x.to(dtype) for x in seen], dim=1))
        h = self.fine(patches, condition)
        return self.coarse(self.down(h), condition), condition


def pooled(features: Tensor) -> Tensor:
    """[B, channels, h, w] -> mean and largest of each channel, [B, 2 channels].

    By pooling, since ``amax`` of bfloat16 takes 12 times as long on some shapes.
    """
    return torch.cat([F.adaptive_avg_pool2d(features, 1), F.adaptive_max_pool2d(features, 1)], dim=1).flatten(1)


def twice(x: Tensor) -> Tensor:
    """[B, ...] -> [2B, ...], the batch after itself."""
    return torch.cat([x, x])
