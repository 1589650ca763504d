"""What tests of training ask of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from worldgan.agents import AgentFolder
from worldgan.training.checkpoint import Run


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """A nested state as {path: leaf}."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, item in items for key, leaf in flat(item, f"{path}/{name}").items()}
    return {path: value}


def differing(one: Run | AgentFolder, other: Run | AgentFolder) -> list[str]:
    """Paths at which two states, of runs or agents, are not the same, bit for bit; time alone may differ."""
    a, b = flat(one.state()), flat(other.state())
    assert a.keys() == b.keys()
    same = {key: torch.equal(a[key], b[key]) if isinstance(a[key], Tensor) else a[key] == b[key] for key in a}
    return [key for key in a if not same[key] and key != "/seconds"]


def files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


def stop_at(share: float) -> Callable[..., None]:
    """A report that interrupts once that much is done."""

    def report(done: float, note: str = "") -> None:
        if done >= share:
            raise KeyboardInterrupt

    return report
