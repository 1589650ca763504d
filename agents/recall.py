"""A world model whose states also keep what was seen last: all that an agent trained in it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from worldgan import pixels
from worldgan.types import EnvSpec, Outcomes, Prediction, WorldModel


@dataclass(frozen=True)
class Recalled:
    """A state of the model inside, and the last F frames, uint8 [B, F, C, H, W], as ``Memory`` keeps them."""

    inner: Any
    seen: Tensor


@final
class Recall:
    """A ``WorldModel[Recalled]`` that steps as ``model`` does."""

    def __init__(self, model: WorldModel[Any], count: int) -> None:
        """count: F. Of more frames than the model starts from, the first is repeated."""
        self.model, self.count = model, count

    @property
    def spec(self) -> EnvSpec:
        """The model's."""
        return self.model.spec

    @property
    def context(self) -> int:
        """The model's."""
        return self.model.context

    def start(self, frames: Tensor, actions: Tensor) -> Recalled:
        """See ``WorldModel``."""
        first = frames[:, :1].repeat(1, max(0, self.count - frames.shape[1]), 1, 1, 1)
        seen = torch.cat([first, frames], dim=1)[:, -self.count :]
        return Recalled(self.model.start(frames, actions), seen)

    def step(self, state: Recalled, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Recalled]:
        """See ``WorldModel``."""
        prediction, inner = self.model.step(state.inner, action, generator)
        return prediction, Recalled(inner, pushed(state.seen, prediction.frame))

    def outcomes(self, state: Recalled, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """See ``WorldModel``."""
        return self.model.outcomes(state.inner, action, count, generator)

    def push(self, state: Recalled, action: Tensor, frame: Tensor) -> Recalled:
        """See ``WorldModel``."""
        return Recalled(self.model.push(state.inner, action, frame), pushed(state.seen, frame))

    def index(self, state: Recalled, rows: Tensor) -> Recalled:
        """See ``WorldModel``."""
        return Recalled(self.model.index(state.inner, rows), state.seen[rows])

    def join(self, states: Sequence[Recalled]) -> Recalled:
        """See ``WorldModel``."""
        return Recalled(self.model.join([each.inner for each in states]), torch.cat([each.seen for each in states]))

    def frame(self, state: Recalled) -> Tensor:
        """See ``WorldModel``."""
        return self.model.frame(state.inner)


def pushed(seen: Tensor, frame: Tensor) -> Tensor:
    """The last F frames, uint8 [B, F, C, H, W], once another is seen, float [B, C, H, W] in [-1, 1]."""
    return torch.cat([seen[:, 1:], pixels.to_uint8(frame)[:, None]], dim=1)
