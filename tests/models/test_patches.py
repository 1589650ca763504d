"""Patches lose nothing, and blocks act on each row alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from worldgan.models.patches import Patches, patch_size


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


KINDS = [(torch.bfloat16, 64), (torch.float32, 64), (torch.float32, 16), (torch.float64, 32), (torch.int64, 32)]


@pytest.mark.parametrize(("dtype", "size"), KINDS)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_pixels_go_where_torch_puts_them(dtype: torch.dtype, size: int, memory: torch.memory_format) -> None:
    patches = Patches(size, size)
    frames = torch.randint(-99, 99, (2, 3, size, size)).to(dtype).to(memory_format=memory)
    expected = F.pixel_unshuffle(frames, patches.side)
    assert torch.equal(patches(frames), expected)
    assert torch.equal(patches.inverse(expected.to(memory_format=memory)), frames)
    assert torch.equal(patches(frames[1:]), expected[1:])  # memory that begins elsewhere
    assert patches(frames[:0]).shape == expected[:0].shape
    assert patches.inverse(expected[:0]).shape == frames[:0].shape


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 35), (10, 10)])
def test_gradients_go_back_the_same_way(height: int, width: int) -> None:
    patches = Patches(height, width)
    frames = torch.randn(2, 3, height, width, requires_grad=True)
    weight = torch.randn(patches(frames).shape)
    (patches(frames) * weight).sum().backward()
    assert torch.equal(frames.grad, patches.inverse(weight))
    cells = weight.clone().requires_grad_()
    (patches.inverse(cells) * frames.detach()).sum().backward()
    assert torch.equal(cells.grad, patches(frames.detach()))
