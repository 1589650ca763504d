"""Put models beside each other on the same held-out windows: numbers, curves and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from worldgan import pictures
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import sequences
from worldgan.errors import WorldganError
from worldgan.evaluation import report
from worldgan.evaluation.rollouts import Curves, measure
from worldgan.pixels import Frames, to_array
from worldgan.progress import Report
from worldgan.rollout import Rollout, copy_last, rollout
from worldgan.seeding import torch_rng
from worldgan.types import Window, WorldModel

STRIP_STARTS = 3


class Measured(NamedTuple):
    """What is found of one model.    shown: what it imagined in a few windows, uint8 [S, T, H, W, C]; see ``show``."""

    curves: Curves
    shown: Frames


def evaluate(
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

    samples: rollouts per model, of which metrics "best of N" take the nearest and the energy score takes all.
    Copying the last frame is added as the baseline every model has to beat. Raises WorldganError if a model was
    trained on other frames or actions.
    """
    held_out = shared(models, store, horizon=horizon, windows=windows, samples=samples, seed=seed)
    found: dict[str, Measured] = {}
    for number, (name, model) in enumerate(models.items()):
        found[name] = measured(model, name, held_out, samples=samples, seed=seed)
        if report_progress:
            report_progress(number + 1, name)
    return write(out, held_out, found)


def shared(
    models: Mapping[str, WorldModel[Any]], store: EpisodeStore, *, horizon: int, windows: int, samples: int, seed: int
) -> Window:
    """The windows that all models are measured on. Raises WorldganError unless all can be, ``samples`` times."""
    check_counts(horizon=horizon, windows=windows, samples=samples)
    context = one_context(model.context for model in models.values())
    for name, model in models.items():
        check_fit(name, model, store)
    return sequences(store, context=context, horizon=horizon, count=windows, seed=seed)


def measured(model: WorldModel[Any], name: str, held_out: Window, *, samples: int, seed: int) -> Measured:
    """Roll one model out from the held-out windows."""
    first, *rest = [imagine(model, name, held_out, sample, seed) for sample in range(samples)]
    return Measured(measure(first, held_out, best_of=rest), show(held_out, first.frames))


def write(out: Path, held_out: Window, found: Mapping[str, Measured]) -> dict[str, Curves]:
    """Write up what was found of each model, and of copying the last frame -> the curves of all."""
    reference = {report.REFERENCE: measure(copy_last(held_out), held_out)}
    curves = {name: each.curves for name, each in found.items()} | reference
    report.write_report(out, curves)
    real = show(held_out, held_out.frames[:, held_out.context :])
    draw(out, {"real": real, **{name: each.shown for name, each in found.items()}})
    return curves


def check_counts(**counts: int) -> None:
    """Raises WorldganError unless all are at least 1."""
    if min(counts.values()) < 1:
        *first, last = counts
        got = ", ".join(map(str, counts.values()))
        raise WorldganError(f"expected {', '.join(first)} and {last} >= 1, got {got}")


def one_context(lengths: Iterable[int]) -> int:
    """K, if all models see as much. Raises WorldganError otherwise."""
    context = sorted(set(lengths))
    if len(context) != 1:
        raise WorldganError(f"expected models of one context length to compare, got {context}")
    return context[0]


def check_fit(name: str, model: WorldModel[Any], store: EpisodeStore) -> None:
    """Raises WorldganError if the model was trained on other frames or actions."""
    if (model.spec.frame, model.spec.actions) != (store.spec.frame, store.spec.actions):
        raise WorldganError(
            f"expected {name} to be trained on frames {store.spec.frame} and actions {store.spec.actions} as in "
            f"{store.path}, got {model.spec.frame} and {model.spec.actions}"
        )


def imagine(
    model: WorldModel[Any], name: str, held_out: Window, sample: int, seed: int, report: Report | None = None
) -> Rollout:
    """Rollout number ``sample`` of the held-out windows.    report: gets the share done, 0 to 1."""
    told = None if report is None else lambda done, note="": report(done, f"rollout {sample + 1}")
    return rollout(model, held_out, torch_rng(seed, "compare", name, sample), report=told)


def show(held_out: Window, frames: Tensor) -> Frames:
    """Of frames uint8 [B, T, C, H, W] those of the windows in which most happens, uint8 [S, T, H, W, C]."""
    real = held_out.frames[:, held_out.context :]
    movement = (real[:, 1:].float() - real[:, :-1].float()).abs().mean((1, 2, 3, 4))
    busiest = torch.argsort(movement, descending=True, stable=True)[:STRIP_STARTS].sort().values
    return to_array(frames[busiest])


def draw(out: Path, rows: Mapping[str, Frames]) -> None:
    """strip.png of all windows shown, and rollout.gif of the first; rows: uint8 [S, T, H, W, C], of ``show``."""
    pictures.strip(out / "strip.png", rows)
    pictures.animate(out / "rollout.gif", {name: frames[0] for name, frames in rows.items()}, fps=8)
