"""Learning from transitions whose action nobody wrote down: an inverse model tells what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from worldgan import parallel
from worldgan.inverse import InverseModel, expected, misnaming, triples
from worldgan.models.learning import Optimiser, OptimiserConfig, initialised
from worldgan.pixels import to_float
from worldgan.seeding import derive
from worldgan.types import EnvSpec, Learner, Metrics, Window, WorldModel

OPTIMISER = OptimiserConfig(rate=3e-3)


@final
class RecoveringLearner:
    """A ``Learner`` of any family on windows that lack actions.

    Before each update of the family an inverse model learns from the labelled transitions and states the action that
    it expects in the others (as Baker et al. 2022 label videos for imitation): probabilities of classes, so while it
    does not know, it says so. Rewards are not recovered: the outcome head would learn what it already says.
    """

    def __init__(self, learner: Learner, spec: EnvSpec, seed: int) -> None:
        self.learner, self.actions = learner, spec.actions
        self.inverse = initialised(lambda: InverseModel(spec), derive(seed, "inverse"))
        self.optimiser = Optimiser(self.inverse, OPTIMISER)

    def update(self, window: Window) -> Metrics:
        """See ``Learner``."""
        frames = triples(window.frames[:, :1], window.frames[:, 1:])
        known = torch.ones_like(window.valid) if window.action_known is None else window.action_known
        labelled, missing = window.valid & known, window.valid & ~known
        metrics = self.learn(frames[labelled], window.actions[labelled])
        actions = window.actions.clone()
        actions[missing] = self.recover(frames[missing])
        return metrics | self.learner.update(replace(window, actions=actions, action_known=None))

    def learn(self, frames: Tensor, actions: Tensor) -> Metrics:
        """One step of the inverse model on uint8 frames [N, 3, C, H, W] and the actions taken, [N, A]."""
        count = parallel.mean(torch.tensor(float(len(frames))))
        if not count:
            return {}
        loss = misnaming(self.inverse(to_float(frames)), actions, self.actions).sum() / count
        loss.backward()
        return {"inverse": float(loss.detach()), "norm/inverse": self.optimiser.step()}

    @torch.no_grad()
    def recover(self, frames: Tensor) -> Tensor:
        """The actions that it expects in uint8 frames [N, 3, C, H, W], encoded [N, A]."""
        return expected(self.inverse(to_float(frames)), self.actions)

    def to(self, device: torch.device) -> None:
        """See ``Learner``."""
        self.learner.to(device)
        self.inverse.to(device)

    def world_model(self) -> WorldModel[Any]:
        """See ``Learner``."""
        return self.learner.world_model()

    def weights(self) -> dict[str, Tensor]:
        """See ``Learner``: the inverse model is not needed to simulate."""
        return self.learner.weights()

    def pace(self, share: float) -> None:
        """See ``Learner``."""
        self.learner.pace(share)
        self.optimiser.share = share

    def state_dict(self) -> dict[str, Any]:
        """See ``Learner``."""
        inverse = {"network": self.inverse.state_dict(), "optimiser": self.optimiser.state_dict()}
        return {**self.learner.state_dict(), "inverse": inverse}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Learner``. A state from before labels were missing leaves the inverse model as it is."""
        self.learner.load_state_dict({key: value for key, value in state.items() if key != "inverse"})
        if "inverse" in state:
            self.inverse.load_state_dict(state["inverse"]["network"])
            self.optimiser.load_state_dict(state["inverse"]["optimiser"])
