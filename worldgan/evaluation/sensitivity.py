"""Does a world model do what it is told? Its next frames under the same, other and random actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.evaluation.frames import changed_pixels, error_within
from worldgan.evaluation.judge import Judge, blind
from worldgan.inverse import dimensions, triples
from worldgan.pixels import to_uint8
from worldgan.seeding import numpy_rng, torch_rng
from worldgan.types import Metrics, Window, WorldModel

BATCH = 64


def measure(model: WorldModel[Any], judge: Judge, window: Window, *, seed: int) -> Metrics:
    """How much the actions show in the model's next frames.

    window: real, with one target and at least the model's K frames of context; all of its transitions count.

    named: how well the judge names the actions from frames imagined under the window's own (see ``judge.naming``).
    named_anew: the same under uniformly random ones, which the context says nothing of: a model that ignores actions
    is at ``blind``.
    Mean absolute differences, in grey levels 0..255, over the pixels that really changed, between the frame imagined
    and another: swapped: under another action with the same noise.    repeated: under the same action with the same
    noise, 0 unless the model hides randomness.    resampled: under the same action with other noise, luck alone.
    """
    taken, rng = window.actions[:, -1], numpy_rng(seed, "sensitivity", "actions")
    anew = torch.from_numpy(model.spec.actions.sample((len(taken),), rng))
    kept = imagine(model, window, taken, seed)
    others = {
        "swapped": imagine(model, window, other_actions(taken, model.spec.actions, rng), seed),
        "repeated": imagine(model, window, taken, seed),
        "resampled": imagine(model, window, taken, seed + 1),
    }
    return {
        "named": judge.score(_seen(window, kept), taken),
        "named_anew": judge.score(_seen(window, imagine(model, window, anew, seed)), anew),
        **{name: float(_over_changes(frames, kept, window).nanmean()) for name, frames in others.items()},
    }


def measure_real(judge: Judge, window: Window) -> Metrics:
    """The same of the real frames: named; moved: how far the pixels that changed did; blind: chance of naming."""
    real = window.frames[:, -1]
    return {
        "named": judge.score(_seen(window, real), window.actions[:, -1]),
        "moved": float(_over_changes(window.frames[:, -2], real, window).nanmean()),
        "blind": blind(judge.actions),
    }


@torch.no_grad()
def imagine(model: WorldModel[Any], window: Window, actions: Tensor, seed: int) -> Tensor:
    """The frames after the window's context under the given actions [B, A], uint8 [B, C, H, W].

    The noise is a function of the seed and the row alone, whatever the actions.
    """
    past, known = window.context - model.context, window.context - 1
    found = []
    for start in range(0, len(actions), BATCH):
        rows = slice(start, start + BATCH)
        state = model.start(window.frames[rows, past : window.context], window.actions[rows, past:known])
        prediction, _ = model.step(state, actions[rows], torch_rng(seed, "sensitivity", "noise", start))
        found.append(to_uint8(prediction.frame).cpu())
    return torch.cat(found)


def other_actions(actions: Tensor, spec: ActionSpec, rng: np.random.Generator) -> Tensor:
    """Other actions than these [B, A], encoded: every dimension takes another class; a box is drawn anew."""
    if spec.kind == "box":
        return torch.from_numpy(spec.sample((len(actions),), rng))
    parts = []
    for part in dimensions(actions, spec):
        classes = part.shape[-1]
        shift = torch.from_numpy(rng.integers(1, max(2, classes), len(part)))
        parts.append(torch.eye(classes)[(part.argmax(-1) + shift) % classes])
    return torch.cat(parts, dim=-1)


def _seen(window: Window, after: Tensor) -> Tensor:
    """What the judge sees of frames [B, C, H, W] that follow the window's context: [B, 3, C, H, W]."""
    return triples(window.frames[:, : window.context], after[:, None])[:, 0]


def _over_changes(frames: Tensor, others: Tensor, window: Window) -> Tensor:
    """Mean absolute difference over the pixels that really changed, [B]."""
    return error_within(changed_pixels(window.frames[:, -1], window.frames[:, -2]), frames, others)
