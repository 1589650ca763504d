"""What becomes of long rollouts: do they blur, leave the real world, slow down or freeze?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation.frames import gradient_energy
from worldgan.evaluation.frechet import Gaussian, feature_distance, gaussian
from worldgan.inverse import triples
from worldgan.pixels import to_uint8
from worldgan.progress import Report
from worldgan.types import WorldModel

HORIZONS = (1, 3, 10, 30, 100, 300, 1000)
SPAN = 20
"""Steps looked at before each horizon; a rollout in which no pixel changed for so long is frozen."""

Features = Callable[[Tensor], Tensor]
"""Three successive frames, uint8 [N, 3, C, H, W], -> features [N, D]."""

Drift = dict[str, list[float | None]]
"""One value per horizon for each metric; None where it is undefined."""


@dataclass(frozen=True)
class Usual:
    """What is usual in real episodes.

    sharpness: mean gradient energy of a frame.    motion: mean absolute change of a pixel in a step, grey levels.
    features: of their transitions.
    """

    sharpness: float
    motion: float
    features: Gaussian


def usual(frames: Tensor, features: Features) -> Usual:
    """Of real frames uint8 [B, 3, C, H, W], three successive ones each."""
    last, before = frames[:, 2], frames[:, 1]
    return Usual(float(gradient_energy(last).double().mean()), _motion(last, before), gaussian(features(frames)))


def horizons(steps: int) -> list[int]:
    """Those of ``HORIZONS`` that ``steps`` steps reach, and ``steps`` itself."""
    return sorted({h for h in HORIZONS if h < steps} | {steps})


def drift(frames: Tensor, features: Features, real: Usual, *, span: int = SPAN) -> dict[str, float | None]:
    """What has become of B rollouts by one time.

    frames: uint8 [B, n + 2, C, H, W], the latest n <= ``span`` steps and the two frames before them.

    sharpness: gradient energy over the usual.    motion: mean absolute change per step over the usual. 1 is as in
    real episodes.    feature_distance: see there.    frozen: share of the rollouts, 0..1, in which no pixel changed in
    ``span`` steps; None for fewer.
    """
    before, after = frames[:, 1:-1], frames[:, 2:]
    still = (before == after).flatten(1).all(1).double().mean()
    seen = triples(frames[:, :2], after).flatten(0, 1)
    return {
        "sharpness": _ratio(float(gradient_energy(after).double().mean()), real.sharpness),
        "motion": _ratio(_motion(after, before), real.motion),
        "feature_distance": feature_distance(features(seen), real.features),
        "frozen": float(still) if after.shape[1] >= span else None,
    }


def measure(
    model: WorldModel[Any],
    frames: Tensor,
    known: Tensor,
    actions: Tensor,
    generator: torch.Generator,
    features: Features,
    real: Usual,
    *,
    span: int = SPAN,
    report: Report | None = None,
) -> Drift:
    """``drift`` at each of ``horizons(T)``, of B rollouts of T steps; each goes on after an imagined end.

    frames: uint8 [B, K, C, H, W], to start from.    known: the actions between them, [B, K - 1, A].
    actions: [B, T, A], to be taken.    report: gets the steps done.
    """
    chosen, found = set(horizons(actions.shape[1])), list[dict[str, float | None]]()
    for step, latest in enumerate(_watch(model, frames, known, actions, generator, span), start=1):
        if step in chosen:
            found.append(drift(torch.stack(list(latest), 1), features, real, span=span))
        if report:
            report(step)
    return collate(found)


def measure_real(frames: Tensor, steps: int, features: Features, real: Usual, *, span: int = SPAN) -> Drift:
    """The same of B real sequences uint8 [B, span + 2, C, H, W], each time of as many frames as of the rollouts.

    Raises WorldganError for shorter sequences.
    """
    if frames.shape[1] != span + 2:
        raise WorldganError(f"expected real sequences of {span + 2} frames, got {list(frames.shape)}")
    return collate([drift(frames[:, : min(h, span) + 2], features, real, span=span) for h in horizons(steps)])


def collate(found: Sequence[dict[str, float | None]]) -> Drift:
    """The metrics of each horizon -> a list of values of each metric."""
    return {name: [each[name] for each in found] for name in found[0]}


@torch.no_grad()
def _watch(
    model: WorldModel[Any], frames: Tensor, known: Tensor, actions: Tensor, generator: torch.Generator, span: int
) -> Iterator[deque[Tensor]]:
    """After each step its latest frames, uint8 [B, C, H, W] each: a whole long rollout would not fit into memory."""
    latest = deque(frames[:, [max(0, frames.shape[1] - 2), -1]].unbind(1), maxlen=span + 2)
    state = model.start(frames, known)
    for action in actions.unbind(1):
        prediction, state = model.step(state, action, generator)
        latest.append(to_uint8(prediction.frame).cpu())
        yield latest


def _motion(after: Tensor, before: Tensor) -> float:
    return float((after.short() - before.short()).abs().double().mean())


def _ratio(value: float, reference: float) -> float | None:
    return value / reference if reference > 0 else None
