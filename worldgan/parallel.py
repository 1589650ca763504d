"""Several processes that train one model, each on its rows of every batch: all that is known of ranks is here.

``torchrun`` starts them. All hold the same weights, draw from the same random streams and make the same decisions;
only rows, and what is computed from them, differ. Where there is one process, nothing here does anything.

A loss is a sum over the process's rows, divided by the mean over processes of how many rows count. The mean of such
losses over processes is then the loss of the whole batch, and so is the mean of their gradients that of its gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import torch
import torch.distributed as dist
from torch import Tensor, nn

from worldgan.errors import WorldganError
from worldgan.progress import console

P = ParamSpec("P")


@contextmanager
def group() -> Iterator[None]:
    """Inside, this process is one of those that ``torchrun`` started, if it did; all but the first are silent.

    Raises WorldganError if it cannot join them.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count == "1":
        yield
        return
    try:
        dist.init_process_group("gloo")
    except (ValueError, RuntimeError) as error:
        raise WorldganError(
            f"cannot join the {count} processes that WORLD_SIZE says ({_first_line(error)}): start them with torchrun, "
            "or unset WORLD_SIZE"
        ) from None
    quiet, console.quiet = console.quiet, not leads()
    try:
        yield
    finally:
        console.quiet = quiet
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _joined() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if _joined() else 0


def leads() -> bool:
    """Whether this is the process that writes files and talks to the user."""
    return rank() == 0


def led(method: Callable[P, None]) -> Callable[P, None]:
    """Only the leading process does this."""

    @wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        if leads():
            method(*args, **kwargs)

    return wrapped


def agreed(value: bool) -> bool:
    """What the leading process says."""
    if not _joined():
        return value
    said = torch.tensor(float(value) if leads() else 0.0)
    _sum(said)
    return bool(said)


def meet() -> None:
    """Go on when all processes have come here."""
    agreed(True)


def mean(values: Tensor) -> Tensor:
    """Over processes, without a gradient; the same bits in each of them."""
    if not _joined():
        return values
    found = values.detach().to("cpu", copy=True)  # where gloo is at home, and several processes may share a GPU
    _sum(found)
    return (found / size()).to(values.device)


def means(values: Mapping[str, float]) -> dict[str, float]:
    """``mean`` of each; all processes must have the same names."""
    if not _joined():
        return dict(values)
    names = sorted(values)
    found = mean(torch.tensor([values[name] for name in names], dtype=torch.float64)).tolist()
    return dict(zip(names, found, strict=True))


def average(tensors: Sequence[Tensor]) -> None:
    """``mean`` of all of them in place, in one message; they must be of one type."""
    if _joined() and tensors:
        found = mean(torch.cat([tensor.detach().flatten() for tensor in tensors]))
        parts = torch.split(found, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view(tensor.shape))


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """``average`` of their gradients; all processes must have those of the same parameters."""
    average([parameter.grad for parameter in parameters if parameter.grad is not None])


def gathered(rows: Tensor) -> Tensor:
    """Rows [B, ...] of every process, one after the other."""
    if not _joined():
        return rows
    sent = rows.cpu().contiguous()
    found = [torch.empty_like(sent) for _ in range(size())]
    with _reached():
        dist.all_gather(found, sent)
    return torch.cat(found).to(rows.device)


def own(whole: Tensor, parts: int = 1) -> Tensor:
    """This process's rows of [B, ...], which are ``parts`` blocks with rows of every process in each."""
    if not _joined():
        return whole
    blocks = whole.reshape(parts, size(), len(whole) // (parts * size()), *whole.shape[1:])
    return blocks[:, rank()].flatten(0, 1)


def draw(chance: Callable[..., Tensor], shape: Sequence[int], generator: torch.Generator, *, parts: int = 1) -> Tensor:
    """``own`` part of what ``chance(shape, generator=...)`` draws for the rows of all processes.

    So every process draws the same numbers, and a row gets those that it would get in a single process.
    """
    return own(chance((size() * shape[0], *shape[1:]), generator=generator), parts)


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _sum(values: Tensor) -> None:
    with _reached():
        dist.all_reduce(values)


@contextmanager
def _reached() -> Iterator[None]:
    """Raises WorldganError if another process does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise WorldganError(
            f"lost one of {size()} processes that train together ({_first_line(error)}): see what it said, then go on "
            "from the last checkpoint with --resume"
        ) from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
