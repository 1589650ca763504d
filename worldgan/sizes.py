"""Networks as large as a file says, which claim no memory before the weights are known to be of that size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

LARGEST = 2**14
"""Of sizes in a file: far beyond use, so that a damaged one cannot ask for all time and memory."""
UPDATES = {"warmup", "pretrain", "explore"}
"""What in a model's config counts updates: no number of them is too large."""


def filled(build: Callable[[], M], weights: Mapping[str, Tensor], sizes: Any) -> M | None:
    """What ``build`` makes, with these weights; None, in little time and memory, if they are of other networks.

    sizes: the plain values, nested as they may be, on which ``build`` depends.
    """
    if any(number > LARGEST for number in _numbers(sizes)):
        return None
    try:
        with torch.device("meta"):
            expected = {name: tensor.shape for name, tensor in build().state_dict().items()}
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError):  # whatever sizes of 0 and below lead to
        return None
    if expected != {name: tensor.shape for name, tensor in weights.items()}:
        return None
    networks = build()
    networks.load_state_dict(weights)
    return networks


def _numbers(plain: Any) -> Iterator[int]:
    """All integers in nested plain values but those that count updates."""
    if isinstance(plain, Mapping):
        plain = [each for name, each in plain.items() if name not in UPDATES]
    if isinstance(plain, list | tuple):
        for each in plain:
            yield from _numbers(each)
    elif isinstance(plain, int):
        yield plain
