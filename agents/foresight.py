"""What an agent means to do from here on, and what it expects to see: asked for by those who watch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from worldgan.types import Agent, WorldModel


class Foreseen(NamedTuple):
    """One step ahead. action: encoded [B, A].    frame: that follows it, float [B, C, H, W] in [-1, 1]."""

    action: Tensor
    frame: Tensor


class Foresees(Agent, Protocol):
    """An agent that can be asked what it will do."""

    def ahead(self, model: WorldModel[Any], state: Any, generator: torch.Generator) -> Iterator[Foreseen]:
        """What it means to do after what ``act`` returned last, step by step in one imagined future.

        state: the model's, of the B rows that this led to. Ends where the agent has no plan, perhaps never; changes
        neither the agent nor what it will draw.
        """


def carried_out(
    model: WorldModel[Any], state: Any, actions: Iterable[Tensor], generator: torch.Generator
) -> Iterator[Foreseen]:
    """One future in which the encoded actions, each [B, A], are taken in turn."""
    for action in actions:
        prediction, state = model.step(state, action, generator)
        yield Foreseen(action, prediction.frame)
