"""The agent that plans: remembers what it saw, imagines what could follow, takes the first step, plans again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.agents.foresight import Foreseen, carried_out
from worldgan.agents.imagine import Value, imagined_returns
from worldgan.agents.memory import Memory
from worldgan.agents.plans import Search
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec, WorldModel


@final
class Planner:
    """An ``Agent`` that searches for a plan at every step (receding horizon), in the model's imagination.

    last_plan: the encoded plans [B, H, A] whose first actions were taken last, None before.
    """

    def __init__(
        self,
        model: WorldModel[Any],
        search: Search,
        *,
        samples: int,
        discount: float,
        chunk: int,
        seed: int,
        value: Value | None = None,
    ) -> None:
        """samples, discount, chunk, value: of ``imagined_returns``.    seed: of what is imagined."""
        self.model = model
        self.last_plan: Tensor | None = None
        self._search, self._samples, self._discount, self._chunk = search, samples, discount, chunk
        self._value = value
        self._memory = Memory(model.spec, model.context)
        self._generator = torch_rng(seed, "imagination")

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (bool [B]) whose episode begins with the next observation."""
        self._memory.reset(rows)

    @torch.no_grad()
    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 observations [B, H, W, C] -> raw actions [B, *ActionSpec.shape].

        Raises WorldganError for observations that are not the model's, or if the model imagines NaN.
        """
        frames, actions, begun = self._memory.see(observation)
        state = self.model.start(frames, actions)

        def score(plans: Tensor) -> Tensor:
            returns = imagined_returns(
                self.model, state, plans, samples=self._samples, discount=self._discount,
                generator=self._generator, chunk=self._chunk, value=self._value,
            )  # fmt: skip
            return finite(returns)

        self.last_plan = self._search(score, begun)
        self._memory.did(self.last_plan[:, 0])
        return self.model.spec.actions.decode(self.last_plan[:, 0].numpy())

    def took(self, actions: NDArray[Any]) -> None:
        """See ``Remembers``."""
        self._memory.redid(torch.from_numpy(self.model.spec.actions.encode(actions)))

    def ahead(self, model: WorldModel[Any], state: Any, generator: torch.Generator) -> Iterator[Foreseen]:
        """See ``Foresees``: the rest of the plan."""
        assert self.last_plan is not None
        return carried_out(model, state, self.last_plan[:, 1:].unbind(1), generator)


def finite(returns: Tensor) -> Tensor:
    """The same. Raises WorldganError for NaN, which no planner can compare."""
    if returns.isnan().any():
        raise WorldganError("expected the model to imagine finite rewards, got NaN: its training diverged")
    return returns


def check_match(model: EnvSpec, env: EnvSpec, *, what: str = "a model") -> None:
    """Raises WorldganError unless a model, or ``what`` it is, of one spec fits an env of the other; ids may differ."""
    if (model.frame, model.actions) != (env.frame, env.actions):
        raise WorldganError(
            f"expected {what} for {env.id}, of {env.frame} frames and {_text(env.actions)} actions, "
            f"got one of {model.id}, of {model.frame} frames and {_text(model.actions)} actions"
        )


def _text(actions: ActionSpec) -> str:
    return f"{actions} from {actions.low} to {actions.high}" if actions.kind == "box" else str(actions)
