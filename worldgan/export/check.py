"""Whether an exported file does what the torch model does, over a rollout with the same noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldgan.arrays import Array
from worldgan.errors import WorldganError
from worldgan.runtime.graph import StepGraph
from worldgan.runtime.model import ExportedModel
from worldgan.seeding import numpy_rng

TOLERANCE = 1e-4
"""Of frames in [-1, 1] and of probabilities; of rewards too, or of their size where that is above 1."""


@dataclass(frozen=True)
class Check:
    """Largest differences between torch and onnxruntime over a rollout of ``rows`` rows and ``steps`` steps.

    Frames are rounded to 256 levels, and a number that lies on the edge between two may be rounded either way by the
    last bit of a sum. So both make each step from the same history, that which onnxruntime made, and ``frame`` is how
    far torch's number lies from what rounds to onnxruntime's level; reward and termination judge the same frame.

    odds: of the probabilities of the likeliest codes; 0 where none are listed.
    flipped: levels that were rounded another way, of ``levels``.
    """

    rows: int
    steps: int
    frame: float
    reward: float
    terminated: float
    odds: float
    flipped: int
    levels: int

    def __str__(self) -> str:
        names = ("frame", "reward", "terminated", "odds")
        differences = ", ".join(f"{name} {getattr(self, name):.1e}" for name in names)
        rounded = f"{self.flipped:,} of {self.levels:,} levels rounded the other way"
        return f"{self.steps} steps of {self.rows} rollouts: largest difference in {differences}; {rounded}"

    def require(self) -> None:
        """Raises WorldganError unless all differences are within ``TOLERANCE``."""
        if not max(self.frame, self.reward, self.terminated, self.odds) <= TOLERANCE:
            raise WorldganError(
                f"expected onnxruntime to follow torch within {TOLERANCE:g}, got over {self}: no file was written; "
                "another --seed tells whether an event of chance lay on an edge"
            )


@torch.no_grad()
def check(
    graph: StepGraph, exported: ExportedModel, starts: tuple[Array, Array], *, steps: int = 50, seed: int = 0
) -> Check:
    """Compare along a rollout from ``starts``, uint8 [B, K, C, H, W] and [B, K - 1, A], under random actions."""
    rng, card = numpy_rng(seed, "export", "check"), exported.session.card
    past, rows, found = exported.start(*starts), len(starts[0]), []
    for _ in range(steps):
        action = card.spec.actions.sample((rows,), rng)
        noise = rng.random((rows, card.chances), np.float32)
        step, after = exported.follow(past, action, noise)
        actions = np.concatenate([past.actions, action[:, None]], axis=1)
        given, shown = (torch.from_numpy(past.frames), torch.from_numpy(actions)), torch.from_numpy(step.frame)
        drawn = graph.draw(*given, torch.from_numpy(noise)).float()
        reward, terminated = graph.judge(*given, shown)
        _, told = exported.session.likeliest(past.frames, actions)
        found.append(
            [
                *_rounding(drawn, shown),
                _apart(reward / reward.abs().clamp(min=1), torch.from_numpy(step.reward) / reward.abs().clamp(min=1)),
                _apart(terminated, torch.from_numpy(step.terminated)),
                _apart(graph.likeliest(*given)[1], torch.from_numpy(told)) if card.listed else 0.0,
            ]
        )
        past = after
    frame, flipped, reward_, terminated_, odds = np.asarray(found).T
    levels = steps * rows * int(np.prod(card.spec.frame))
    most = frame.max(), reward_.max(), terminated_.max(), odds.max()
    return Check(rows, steps, *most, int(flipped.sum()), levels)


def _rounding(drawn: Tensor, shown: Tensor) -> tuple[float, int]:
    """How far ``drawn`` lies outside of what rounds to uint8 ``shown``, in units of [-1, 1]; how many round elsewhere.

    NaN counts as infinitely far: no level is right for it.
    """
    levels = ((drawn + 1) * 127.5).clamp(0, 255)
    gap = ((levels - shown.float()).abs() - 0.5).clamp(min=0).nan_to_num(torch.inf, torch.inf)
    return float(gap.max()) / 127.5, int((levels.round() != shown.float()).sum())


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max().nan_to_num(torch.inf))
