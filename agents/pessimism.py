"""Pessimism: imagined steps that the model should not be trusted on earn less, so that plans keep away from them.

A planner finds whatever a model gets wrong in its favour. As in MOPO (Yu et al. 2020, equation 7) rewards are lowered
by a sign of the model's error; a termination cannot take its place, since to end early may well be worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from worldgan.errors import WorldganError, unknown
from worldgan.seeding import numpy_rng, torch_rng
from worldgan.types import EnvSpec, Outcomes, Prediction, WorldModel

State = TypeVar("State")
Signal = Callable[[Prediction], "Tensor | None"]

SIGNALS: dict[str, Signal] = {
    "realism": lambda step: None if step.realism is None else -step.realism,
    "disagreement": lambda step: step.disagreement,
    "surprise": lambda step: step.surprise,
}
"""Name -> how little a predicted step is to be trusted, [B], the more the less; None if the model cannot tell."""

MOST = 10.0
"""Usual spreads beyond which a step is not distrusted any more: past that, signals are only noise."""
TRIES = 8
"""Random actions tried from each start state to see what is usual."""


class Usual(NamedTuple):
    """What a signal is on single steps from real states. level: 9 of 10 are below.    spread: from their median."""

    level: float
    spread: float


@torch.no_grad()
def usual(model: WorldModel[State], starts: tuple[Tensor, Tensor], distrust: str, *, seed: int = 0) -> Usual:
    """Calibrate the signal ``distrust`` on one imagined step from real states, after random actions.

    starts: uint8 frames [N, K, C, H, W] and encoded actions [N, K - 1, A] between them.
    Raises WorldganError for an unknown signal, or one that the model does not give.
    """
    frames, actions = (part.repeat_interleave(TRIES, 0) for part in starts)
    random = model.spec.actions.sample((len(frames),), numpy_rng(seed, "usual"))
    state = model.start(frames, actions)
    prediction, _ = model.step(state, torch.from_numpy(random), torch_rng(seed, "usual"))
    seen = signal(prediction, distrust).numpy()
    median, level = (float(q) for q in np.quantile(seen, (0.5, 0.9)))
    return Usual(level, max(level - median, 1e-6))


def check_signal(distrust: str) -> None:
    """Raises WorldganError for a name that is not in SIGNALS."""
    if distrust not in SIGNALS:
        raise unknown("sign of distrust", distrust, SIGNALS)


def signal(prediction: Prediction, distrust: str) -> Tensor:
    """The signal ``distrust`` of a predicted step, [B], float32."""
    check_signal(distrust)
    found = SIGNALS[distrust](prediction)
    if found is None:
        needs = {"realism": "a discriminator (gan)", "disagreement": "an ensemble (--ensemble, two runs or more)"}
        raise WorldganError(
            f"expected a model that tells its {distrust}, got one without: "
            f"it needs {needs.get(distrust, 'a prior and a posterior (gan, vae)')}"
        )
    return found.float()


@final
class Pessimist(Generic[State]):
    """Another ``WorldModel`` whose rewards are lowered by ``weight`` per usual spread above the usual level.

    So nine in ten single steps from real states cost nothing, and a weight, in units of reward, means the same for
    every signal and model. A step costs at most ``MOST`` weights.
    """

    def __init__(self, model: WorldModel[State], usual: Usual, *, distrust: str, weight: float) -> None:
        if weight < 0:
            raise WorldganError(f"expected a pessimism of at least 0, got {weight}")
        self.model, self.usual, self.distrust, self.weight = model, usual, distrust, weight

    @property
    def spec(self) -> EnvSpec:
        """The model's."""
        return self.model.spec

    @property
    def context(self) -> int:
        """The model's."""
        return self.model.context

    def start(self, frames: Tensor, actions: Tensor) -> State:
        """See ``WorldModel``."""
        return self.model.start(frames, actions)

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[Prediction, State]:
        """See ``WorldModel``."""
        prediction, state = self.model.step(state, action, generator)
        return replace(prediction, reward=prediction.reward.float() - self.price(prediction)), state

    def outcomes(self, state: State, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """See ``WorldModel``. All outcomes of an action cost what one sampled step does."""
        price = self.price(self.model.step(state, action, generator)[0])
        found = self.model.outcomes(state, action, count, generator)
        return replace(found, rewards=found.rewards.float() - price[:, None])

    def push(self, state: State, action: Tensor, frame: Tensor) -> State:
        """See ``WorldModel``."""
        return self.model.push(state, action, frame)

    def index(self, state: State, rows: Tensor) -> State:
        """See ``WorldModel``."""
        return self.model.index(state, rows)

    def join(self, states: Sequence[State]) -> State:
        """See ``WorldModel``."""
        return self.model.join(states)

    def frame(self, state: State) -> Tensor:
        """See ``WorldModel``."""
        return self.model.frame(state)

    def price(self, prediction: Prediction) -> Tensor:
        """What a predicted step costs, [B]."""
        above = (signal(prediction, self.distrust) - self.usual.level) / self.usual.spread
        return self.weight * above.clamp(0, MOST)
