"""A small ensemble: one model imagines, others of the same env say how far they disagree about what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from worldgan.agents.planner import check_match
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec, Outcomes, Prediction, WorldModel


@dataclass(frozen=True)
class Together:
    """The state of the model that imagines, and those of the others, which have seen the same."""

    first: Any
    others: tuple[Any, ...]


@final
class Ensemble:
    """A ``WorldModel`` that steps as ``model`` does and adds the disagreement of ``others`` to every prediction.

    After each step all are in the same state: each predicts from what the model imagined, never from its own dream.
    Disagreement is the standard deviation among the others, of pixels (root mean square) plus that of rewards.
    Between models that predict the mean (mse, motion) it tells what they have not learnt (Pathak et al. 2019);
    between models that sample, also what chance decides.
    """

    def __init__(self, model: WorldModel[Any], others: Sequence[WorldModel[Any]]) -> None:
        """Raises WorldganError for less than two others, or models that do not fit together."""
        if len(others) < 2:
            raise WorldganError(f"expected an ensemble of at least two runs that may disagree, got {len(others)}")
        for other in others:
            check_match(other.spec, model.spec)
            if other.context != model.context:
                raise WorldganError(f"expected an ensemble of {model.context} context frames, got {other.context}")
        self.model, self.others = model, tuple(others)

    @property
    def spec(self) -> EnvSpec:
        """The model's."""
        return self.model.spec

    @property
    def context(self) -> int:
        """The model's."""
        return self.model.context

    def start(self, frames: Tensor, actions: Tensor) -> Together:
        """See ``WorldModel``."""
        return Together(
            self.model.start(frames, actions), tuple(other.start(frames, actions) for other in self.others)
        )  # fmt: skip

    def step(self, state: Together, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Together]:
        """See ``WorldModel``."""
        prediction, first = self.model.step(state.first, action, generator)
        said = [
            other.step(seen, action, generator)[0] for other, seen in zip(self.others, state.others, strict=True)
        ]  # fmt: skip
        after = self._pushed(state, first, action, prediction.frame)
        return replace(prediction, disagreement=disagreement(said)), after

    def outcomes(self, state: Together, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """See ``WorldModel``: the model's."""
        return self.model.outcomes(state.first, action, count, generator)

    def push(self, state: Together, action: Tensor, frame: Tensor) -> Together:
        """See ``WorldModel``."""
        return self._pushed(state, self.model.push(state.first, action, frame), action, frame)

    def index(self, state: Together, rows: Tensor) -> Together:
        """See ``WorldModel``."""
        others = tuple(other.index(seen, rows) for other, seen in zip(self.others, state.others, strict=True))
        return Together(self.model.index(state.first, rows), others)

    def join(self, states: Sequence[Together]) -> Together:
        """See ``WorldModel``."""
        columns = zip(*(state.others for state in states), strict=True)
        others = tuple(other.join(column) for other, column in zip(self.others, columns, strict=True))
        return Together(self.model.join([state.first for state in states]), others)

    def frame(self, state: Together) -> Tensor:
        """See ``WorldModel``."""
        return self.model.frame(state.first)

    def _pushed(self, state: Together, first: Any, action: Tensor, frame: Tensor) -> Together:
        seen = zip(self.others, state.others, strict=True)
        return Together(first, tuple(other.push(each, action, frame) for other, each in seen))


def disagreement(predictions: Sequence[Prediction]) -> Tensor:
    """Of predictions of the same step, [B]; see ``Ensemble``."""
    pixels = torch.stack([each.frame.float() for each in predictions]).var(0, correction=0).mean((1, 2, 3)).sqrt()
    return pixels + torch.stack([each.reward.float() for each in predictions]).std(0, correction=0)
