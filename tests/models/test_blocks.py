"""What blocks are made of."""

from __future__ import annotations

import torch

from worldgan.models.blocks import twice


def test_twice() -> None:
    x = torch.arange(6).view(3, 2)
    first, second = twice(x).chunk(2)
    assert torch.equal(first, x)
    assert torch.equal(second, x)
