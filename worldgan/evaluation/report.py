"""Show measurements: numbers as JSON, curves as a figure, and a table for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from worldgan.evaluation.figures import Line, Panel, chart, palette, sheet
from worldgan.evaluation.rollouts import Curves
from worldgan.files import atomic_write

REFERENCE = "copy-last"
"""The family drawn as the grey dashed reference."""

NAMES = {
    "psnr": "PSNR, dB (higher is better)",
    "ssim": "SSIM (higher is better)",
    "sharpness_gradient": "sharpness, gradient energy (1 = as sharp as real)",
    "sharpness_laplacian": "sharpness, Laplacian energy (1 = as sharp as real)",
    "changed_pixel_error": "changed-pixel error, 0..255 (lower is better)",
    "changed_pixel_error_best": "the same, best of N samples",
    "energy_score": "energy score (copying the last frame = 1, lower is better)",
    "reward_accuracy": "reward sign right",
    "reward_recall": "reward recall, nonzero steps",
    "reward_precision": "reward precision, nonzero steps",
    "reward_mae": "reward mean absolute error",
    "termination_accuracy": "termination right",
    "termination_recall": "termination recall",
    "termination_false_alarm": "termination false alarms",
}
PANELS = ("psnr", "ssim", "sharpness_gradient", "changed_pixel_error", "energy_score")


def write_report(folder: Path, families: Mapping[str, Curves]) -> None:
    """Write ``metrics.json``, {family: {metric: value per horizon from 1}}, and ``horizons.png``."""
    text = json.dumps(families, indent=1, allow_nan=False)
    atomic_write(Path(folder) / "metrics.json", text.encode())
    atomic_write(Path(folder) / "horizons.png", sheet([chart(panel) for panel in horizon_panels(families)]))


def horizon_panels(families: Mapping[str, Curves]) -> list[Panel]:
    """One panel per metric over the horizon, one line per family; dotted: best of N samples."""
    return [_panel(metric, families) for metric in PANELS]


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


def _panel(metric: str, families: Mapping[str, Curves]) -> Panel:
    colours, lines = palette(families, REFERENCE), list[Line]()
    for family, curves in families.items():
        values, steps = curves[metric], range(1, len(curves[metric]) + 1)
        style = "--" if family == REFERENCE else "-"
        lines.append(Line(family, steps, values, colours[family], style))
        best = curves.get(f"{metric}_best", values)
        if best != values:
            lines.append(Line(f"{family}, best of N", steps, best, colours[family], ":"))
    real = 1.0 if metric.startswith("sharpness") else None
    return Panel(NAMES[metric], "horizon (steps)", lines, real)


def _at(values: Sequence[float | None], horizons: Sequence[int]) -> list[float | None]:
    return [values[h - 1] if h <= len(values) else None for h in horizons]


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>9.2f}"
