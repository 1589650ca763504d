"""Patches lose nothing, and blocks act on each row alone."""

from __future__ import annotations

import pytest
import torch

from worldgan.models.blocks import Patches, patch_size, twice


@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (7, 9), (10, 10), (15, 33), (32, 20), (64, 64), (5, 64), (33, 35)]
)
@pytest.mark.parametrize("channels", [1, 3, 10])
@pytest.mark.parametrize("stride", [2, 4])
def test_patches_are_undone(height: int, width: int, channels: int, stride: int) -> None:
    patches, frames = Patches(height, width, stride), torch.randn(2, channels, height, width)
    cells = patches(frames)
    assert cells.shape == (2, channels * patches.side**2, *patches.grid)
    assert all(size % stride == 0 for size in patches.grid)
    assert torch.equal(patches.inverse(cells), frames)


def test_patches_hold_neighbours() -> None:
    patches, frames = Patches(32, 32), torch.zeros(1, 1, 32, 32)
    frames[..., : patches.side, : patches.side] = 1
    cells = patches(frames)
    assert cells[0, :, 0, 0].eq(1).all()
    assert cells.sum() == patches.side**2


@pytest.mark.parametrize("side", [1, 5, 8, 15, 16, 32, 63, 64, 200])
def test_patches_leave_a_grid_to_work_on(side: int) -> None:
    size = patch_size(side, side + 3)
    assert size == 1 or side // size >= 8


def test_twice() -> None:
    x = torch.arange(6).view(3, 2)
    first, second = twice(x).chunk(2)
    assert torch.equal(first, x)
    assert torch.equal(second, x)
