"""Show measurements: numbers as JSON, curves as a figure, and a table for the terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldgan.evaluation.rollouts import Curves
from worldgan.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE = "copy-last"
"""The family drawn as the grey dashed reference."""

NAMES = {
    "psnr": "PSNR, dB (higher is better)",
    "ssim": "SSIM (higher is better)",
    "sharpness_gradient": "sharpness, gradient energy (1 = as sharp as real)",
    "sharpness_laplacian": "sharpness, Laplacian energy (1 = as sharp as real)",
    "changed_pixel_error": "changed-pixel error, 0..255 (lower is better)",
    "changed_pixel_error_best": "the same, best of N samples",
    "reward_accuracy": "reward sign right",
    "reward_recall": "reward recall, nonzero steps",
    "reward_precision": "reward precision, nonzero steps",
    "reward_mae": "reward mean absolute error",
    "termination_accuracy": "termination right",
    "termination_recall": "termination recall",
    "termination_false_alarm": "termination false alarms",
}
PANELS = ("psnr", "ssim", "sharpness_gradient", "changed_pixel_error")
# Okabe and Ito's colours that stand out on white, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def write_report(folder: Path, families: Mapping[str, Curves]) -> None:
    """Write ``metrics.json``, {family: {metric: value per horizon from 1}}, and ``horizons.png``."""
    text = json.dumps(families, indent=1, allow_nan=False)
    atomic_write(Path(folder) / "metrics.json", text.encode())
    plot(Path(folder) / "horizons.png", families)


def plot(path: Path, families: Mapping[str, Curves]) -> None:
    """PNG of one small panel per metric over the horizon, one line per family; dotted: best of N samples."""
    from matplotlib.figure import (
        Figure,
    )  # 0.3 s, and only reports need it; never pyplot, which is global state

    figure = Figure(figsize=(10, 7), dpi=110, layout="constrained")
    for axes, metric in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _panel(axes, metric, families)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    atomic_write(path, buffer.getvalue())


def table(families: Mapping[str, Curves], horizons: Sequence[int] = (1, 5, 10, 25, 50)) -> str:
    """Plain text for a terminal: a block per metric, a line per family, a column per measured horizon.

    "-" stands where the data leaves a metric undefined; metrics undefined everywhere are left out.
    """
    longest = max((len(values) for curves in families.values() for values in curves.values()), default=0)
    shown = [h for h in horizons if h <= longest]
    width = max((len(family) for family in families), default=0)
    lines = ["horizon".ljust(width + 2) + "".join(f"{h:>9}" for h in shown)]
    for metric, name in NAMES.items():
        rows = [(family, _at(curves.get(metric, []), shown)) for family, curves in families.items()]
        if any(value is not None for _, values in rows for value in values):
            lines += [
                name,
                *(f"  {family:<{width}}" + "".join(map(_cell, values)) for family, values in rows),
            ]
    return "\n".join(lines)


def _panel(axes: Axes, metric: str, families: Mapping[str, Curves]) -> None:
    colours = iter(COLOURS * len(families))
    for family, curves in families.items():
        # A single horizon is a point, which a line does not show.
        style: dict[str, Any] = {"color": next(colours), "marker": "o" if len(curves[metric]) == 1 else ""}
        if family == REFERENCE:
            style |= {"color": "0.5", "linestyle": "--"}
        _line(axes, curves[metric], label=family, **style)
        best = curves.get(f"{metric}_best", curves[metric])
        if best != curves[metric]:
            _line(axes, best, label=f"{family}, best of N", **style | {"linestyle": ":"})
    if metric.startswith("sharpness"):
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.annotate("real", (1, 1), (-3, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    axes.set(title=NAMES[metric], xlabel="horizon (steps)")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _line(axes: Axes, values: Sequence[float | None], **style: Any) -> None:
    heights = [np.nan if value is None else value for value in values]
    axes.plot(range(1, len(heights) + 1), heights, linewidth=1.8, **style)


def _at(values: Sequence[float | None], horizons: Sequence[int]) -> list[float | None]:
    return [values[h - 1] if h <= len(values) else None for h in horizons]


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>9.2f}"
