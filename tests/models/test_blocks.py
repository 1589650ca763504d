"""What blocks are made of."""

from __future__ import annotations

import torch

from worldgan.models.blocks import TransitionEncoder, twice


def test_twice() -> None:
    x = torch.arange(6).view(3, 2)
    first, second = twice(x).chunk(2)
    assert torch.equal(first, x)
    assert torch.equal(second, x)


def test_black_frames_tell_nothing() -> None:
    encoder = TransitionEncoder((8, 8, 1), context=2, actions=3, width=16)
    given = []
    encoder.stem.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    black, actions = torch.full((1, 2, 1, 8, 8), -1.0), torch.zeros(1, 2, 3)
    encoder(black, actions, black[:, -1])
    encoder(black, actions, -black[:, -1])
    assert not given[0].any()
    assert given[1].any()
