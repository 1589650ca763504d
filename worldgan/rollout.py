"""Run a world model open loop from real contexts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from worldgan import pixels
from worldgan.errors import WorldganError
from worldgan.progress import Report, part
from worldgan.types import Window, WorldModel


@dataclass(frozen=True)
class Rollout:
    """What was imagined after each of B contexts.

    frames: uint8 [B, T, C, H, W].    rewards: float32 [B, T], expected.
    terminated: float32 [B, T], probability.
    """

    frames: Tensor
    rewards: Tensor
    terminated: Tensor


@torch.no_grad()
def rollout(
    model: WorldModel[Any],
    window: Window,
    generator: torch.Generator,
    *,
    batch: int = 64,
    report: Report | None = None,
) -> Rollout:
    """Imagine the window's T steps under its own actions, seeing only its K context frames.

    batch: contexts run at once; what a sampling model draws from ``generator`` depends on it.
    report: gets the share done, 0 to 1.
    Goes on after an imagined termination. Raises WorldganError if the window does not fit the model.
    """
    if model.context != window.context or window.horizon < 1 or not len(window.frames):
        shape = f"{len(window.frames)} windows of {window.context} + {window.horizon} frames"
        raise WorldganError(f"expected windows of {model.context} context frames and more, got {shape}")
    starts = range(0, len(window.frames), batch)
    share = 1 / len(starts)
    parts = [
        _imagine(model, window, slice(start, start + batch), generator, part(report, i * share, (i + 1) * share, 1.0))
        for i, start in enumerate(starts)
    ]
    return Rollout(*(torch.cat(column).to(window.frames.device) for column in zip(*parts, strict=True)))


def copy_last(window: Window) -> Rollout:
    """The trivial baseline: the last context frame for ever, no reward, no end."""
    frames = window.frames[:, window.context - 1 : window.context]
    nothing = torch.zeros(len(frames), window.horizon, device=frames.device)
    return Rollout(frames.repeat(1, window.horizon, 1, 1, 1), nothing, nothing.clone())


def _imagine(
    model: WorldModel[Any], window: Window, rows: slice, generator: torch.Generator, report: Report
) -> tuple[Tensor, Tensor, Tensor]:
    actions, known = window.actions[rows], window.context - 1
    state = model.start(window.frames[rows, : window.context], actions[:, :known])
    steps = []
    for action in actions[:, known:].unbind(1):
        prediction, state = model.step(state, action, generator)
        # uint8 at once: a long rollout kept as floats would take four times the memory
        steps.append((pixels.to_uint8(prediction.frame), prediction.reward.float(), prediction.terminated.float()))
        report(len(steps) / window.horizon)
    frames, rewards, terminated = (torch.stack(column, 1) for column in zip(*steps, strict=True))
    return frames, rewards, terminated
