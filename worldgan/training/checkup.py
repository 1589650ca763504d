"""A look at a model's samples on held-out windows, every few minutes of training."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from worldgan.data.store import EpisodeStore
from worldgan.data.windows import sequences
from worldgan.pixels import to_float
from worldgan.seeding import numpy_rng, torch_rng
from worldgan.training import health
from worldgan.types import Metrics, WorldModel

CONTEXTS, SAMPLES = 32, 4
"""Next frames drawn for each look: 128, about as much work as one update."""
REAL = 256
"""Real steps from which it is judged whether actions matter in the data."""
SURE, COLLAPSED, MISSED = 0.01, 0.05, 0.1
STILL, DEAF = 0.1, 0.02
"""When a number means trouble. On Paddle, 280 updates make a spread of 1.1, motion of 1.6 and obedience of 0.7."""


class Checkup:
    """Numbers of a model's samples, and what they mean.

    Held-out windows are the same at every look; what is drawn depends on the seed alone.
    """

    def __init__(self, store: EpisodeStore, context: int, seed: int) -> None:
        self.store, self.seed = store, seed
        self.window = sequences(store, context=context, horizon=1, count=CONTEXTS, seed=seed)

    @cached_property
    def actions_matter(self) -> bool:
        """Whether actions are seen to make a difference in the training data."""
        real = sequences(self.store, context=self.window.context, horizon=1, count=REAL, seed=self.seed, split="train")
        rng = torch_rng(self.seed, "checkup", "shuffles")
        return health.actions_show(real.frames, real.actions[:, -1], rng) < SURE

    @torch.no_grad()
    def numbers(self, model: WorldModel[Any], imagined: Tensor, real: Tensor) -> Metrics:
        """motion, miss, obedience and spread of ``worldgan.training.health``, where they can be told.

        imagined, real: rollouts, uint8 [B, T, C, H, W]. There is no spread of a model that draws nothing.
        """
        window, known, rows = self.window, self.window.context - 1, len(self.window.frames)
        state = model.start(window.frames[:, :-1], window.actions[:, :known])
        taken, rng = window.actions[:, known], torch_rng(self.seed, "checkup")
        fresh = rng.get_state()
        repeated = torch.arange(rows).repeat_interleave(SAMPLES)
        drawn, _ = model.step(model.index(state, repeated), taken[repeated], rng)
        last, after = (to_float(frame) for frame in (window.frames[:, known], window.frames[:, -1]))
        samples = drawn.frame.float().view(rows, SAMPLES, *last.shape[1:])
        found = {
            "motion": health.motion(imagined, real),
            "miss": health.miss(samples, after, last),
            "obedience": self.obedience(model, state, taken, last, after),
        }
        if not torch.equal(rng.get_state(), fresh):  # mse has nothing to collapse
            found["spread"] = health.spread(samples, after)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def obedience(self, model: WorldModel[Any], state: Any, taken: Tensor, last: Tensor, real: Tensor) -> float:
        """See ``health.obedience``; over the rows for which another action was drawn."""
        others = model.spec.actions.sample((len(taken),), numpy_rng(self.seed, "checkup", "actions"))
        other = torch.from_numpy(others)
        differs = (other != taken).any(1)
        kept, swapped = (
            model.step(state, action, torch_rng(self.seed, "checkup", "noise"))[0].frame.float()[differs]
            for action in (taken, other)
        )
        return health.obedience(kept, swapped, last[differs], real[differs])

    def troubles(self, found: Metrics) -> dict[str, str]:
        """Kind -> one plain line, for ``numbers``. Those that are missing mean no trouble."""
        troubles = {}
        if found.get("spread", 1) < COLLAPSED and found.get("miss", 0) > MISSED:
            troubles["mode collapse"] = (
                f"samples after the same context differ by {found['spread']:.1%} of what their error asks for: the "
                "model draws one future, or does not know that it is wrong: lower adversary.weight or parsimony"
            )
        if found.get("motion", 1) < STILL:
            troubles["motion collapse"] = (
                f"rollouts stand still: their frames change by {found['motion']:.1%} of what real ones do: "
                "train for longer, or with a longer training.rollout"
            )
        if found.get("obedience", 1) < DEAF and self.actions_matter:
            troubles["ignored action"] = (
                f"another action changes the next frame by {found['obedience']:.1%} of what a step does, though "
                "actions matter in the data: train for longer, or raise adversary.wrong_action"
            )
        return troubles
