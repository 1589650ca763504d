"""Put trained runs beside each other on the same held-out windows: numbers, curves and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from worldgan import pictures
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import sequences
from worldgan.errors import WorldganError
from worldgan.evaluation import report
from worldgan.evaluation.rollouts import Curves, evaluate
from worldgan.pixels import to_array
from worldgan.progress import Report
from worldgan.rollout import Rollout, copy_last, rollout
from worldgan.seeding import torch_rng
from worldgan.types import Window, WorldModel

STRIP_STARTS, ANIMATED_STARTS = 3, 1


def compare(
    models: Mapping[str, WorldModel[Any]],
    store: EpisodeStore,
    out: Path,
    *,
    horizon: int = 50,
    windows: int = 64,
    samples: int = 1,
    seed: int = 0,
    report_progress: Report | None = None,
) -> dict[str, Curves]:
    """Roll every model out from the same held-out contexts and write metrics.json, horizons.png, strip.png and
    rollout.gif into ``out``.

    samples: rollouts per model, of which metrics "best of N" take the nearest. Copying the last frame is added
    as the baseline every model has to beat. Raises WorldganError if a model was trained on other frames or actions.
    """
    if min(horizon, windows, samples) < 1:
        raise WorldganError(f"expected horizon, windows and samples >= 1, got {horizon}, {windows}, {samples}")
    context = {model.context for model in models.values()}
    if len(context) != 1:
        raise WorldganError(f"expected models of one context length to compare, got {sorted(context)}")
    for name, model in models.items():
        if (model.spec.frame, model.spec.actions) != (store.spec.frame, store.spec.actions):
            raise WorldganError(
                f"expected {name} to be trained on frames {store.spec.frame} and actions {store.spec.actions} as in "
                f"{store.path}, got {model.spec.frame} and {model.spec.actions}"
            )
    held_out = sequences(store, context=context.pop(), horizon=horizon, count=windows, seed=seed)
    found: dict[str, list[Rollout]] = {}
    for number, (name, model) in enumerate(models.items()):
        rngs = [torch_rng(seed, "compare", name, sample) for sample in range(samples)]
        found[name] = [rollout(model, held_out, rng) for rng in rngs]
        if report_progress:
            report_progress(number + 1, name)
    found[report.REFERENCE] = [copy_last(held_out)]
    curves = {name: evaluate(first, held_out, best_of=rest) for name, (first, *rest) in found.items()}
    report.write_report(out, curves)
    _draw(out, held_out, {name: rollouts[0] for name, rollouts in found.items() if name != report.REFERENCE})
    return curves


def _draw(out: Path, window: Window, rollouts: Mapping[str, Rollout]) -> None:
    """The strip and the animation, of the windows in which most happens."""
    real = window.frames[:, window.context :]
    movement = (real[:, 1:].float() - real[:, :-1].float()).abs().mean((1, 2, 3, 4))
    busiest = torch.argsort(movement, descending=True, stable=True)[:STRIP_STARTS].sort().values
    rows = {"real": real, **{name: each.frames for name, each in rollouts.items()}}
    chosen = {name: to_array(frames[busiest]) for name, frames in rows.items()}
    pictures.strip(out / "strip.png", chosen)
    moving = {name: frames[:ANIMATED_STARTS].reshape(-1, *frames.shape[2:]) for name, frames in chosen.items()}
    pictures.animate(out / "rollout.gif", moving, fps=8)
