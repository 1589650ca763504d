"""Frames <-> square patches of pixels that become channels, which convolutions then work on.

Full-resolution layers are memory-bound on a CPU; on patches the arithmetic stays in the convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDE = {2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
"""Bytes -> a type of as many: a row of a patch is moved as one number, six times as fast as pixel by pixel."""


def patch_size(height: int, width: int) -> int:
    """Side p of the patches: the largest of 1, 2, 4 that leaves a grid of 8 or more."""
    return next((p for p in (4, 2) if min(height, width) >= 8 * p), 1)


def to_patches(frames: Tensor, side: int) -> Tensor:
    """[B, C, h p, w p] -> [B, C p p, h, w] in channels_last memory with a single copy."""
    wide = _wide(frames, side)
    batch, channels, height, width = frames.shape
    rows = frames if wide is None else frames.contiguous().view(wide)
    across = rows.shape[-1] * side // width  # numbers in a row of a patch
    cells = rows.reshape(batch, channels, height // side, side, width // side, across).permute(0, 2, 4, 1, 3, 5)
    flat = cells.reshape(batch, height // side, width // side, channels * side * across)
    pixels = flat if wide is None else flat.contiguous().view(frames.dtype)
    return pixels.permute(0, 3, 1, 2)


def from_patches(patches: Tensor, side: int) -> Tensor:
    """Inverse of ``to_patches``."""
    wide = _wide(patches, side)
    if wide is None:
        return F.pixel_shuffle(patches, side)
    batch, depth, height, width = patches.shape
    cells = patches.permute(0, 2, 3, 1).contiguous().view(wide).unflatten(3, (depth // side**2, side))
    rows = cells.permute(0, 3, 1, 4, 2).reshape(batch, -1, height * side, width)
    return rows.contiguous().view(patches.dtype)


def _wide(pixels: Tensor, side: int) -> torch.dtype | None:
    """What a row of a patch is moved as; None where there is no such type, and in a trace, for runtimes without it.

    And for no pixels at all: their strides may be any, and memory is read as another type only where it lies in order.
    """
    return None if traced() or not pixels.numel() else WIDE.get(side * pixels.element_size())


def traced() -> bool:
    """Whether this is written down for another runtime."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined]  # documented, and left out of __all__


def _plain(pixels: Tensor) -> bool:
    """Whether nobody will ask for a gradient."""
    return not (pixels.requires_grad and torch.is_grad_enabled())


class _ToPatches(torch.autograd.Function):
    """``to_patches``: reading memory as another type is no operation that torch can differentiate."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, side: int) -> Tensor:
        ctx.side = side
        return to_patches(frames, side)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _FromPatches.apply(gradient, ctx.side), None


class _FromPatches(torch.autograd.Function):
    """``from_patches``, likewise."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, side: int) -> Tensor:
        ctx.side = side
        return from_patches(patches, side)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _ToPatches.apply(gradient, ctx.side), None


class Patches(nn.Module):
    """[B, C, H, W] <-> [B, C p p, h, w] where h and w are multiples of ``stride``; odd sizes are zero-padded."""

    def __init__(self, height: int, width: int, stride: int = 4) -> None:
        super().__init__()
        self.height, self.width, self.side = height, width, patch_size(height, width)
        unit = self.side * stride
        self.pad = (0, -width % unit, 0, -height % unit)
        self.grid = ((height + self.pad[3]) // self.side, (width + self.pad[1]) // self.side)

    def forward(self, frames: Tensor) -> Tensor:
        """Pixels to patches."""
        padded = self._padded(frames)
        return to_patches(padded, self.side) if _plain(padded) else _ToPatches.apply(padded, self.side)

    def embed(self, layer: nn.Conv2d, frames: Tensor) -> Tensor:
        """What a 1x1 convolution makes of the patches of frames [B, C, H, W].

        In a trace it is a convolution of whole patches: other runtimes than torch are slow to move pixels.
        """
        if not traced():
            return layer(self(frames))
        weight = layer.weight.view(layer.out_channels, -1, self.side, self.side)
        return F.conv2d(self._padded(frames), weight, layer.bias, stride=self.side)

    def inverse(self, patches: Tensor) -> Tensor:
        """Patches to pixels."""
        frames = from_patches(patches, self.side) if _plain(patches) else _FromPatches.apply(patches, self.side)
        return frames[..., : self.height, : self.width]

    def _padded(self, frames: Tensor) -> Tensor:
        return F.pad(frames, self.pad) if any(self.pad) else frames
