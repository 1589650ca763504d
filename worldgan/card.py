"""The model card of a run: what it is, how it was trained, how good it is, and how to load it, in Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from worldgan.evaluation.report import NAMES
from worldgan.training.checkpoint import Run, RunInfo

HORIZONS = (1, 5, 15, 50)
SHOWN = ("psnr", "sharpness_gradient", "changed_pixel_error", "changed_pixel_error_best")
REPORTS = ("metrics.json", "report/metrics.json")
"""Where ``worldgan evaluate --out RUN`` or ``--out RUN/report`` left its numbers."""

TEMPLATE = """---
{front}---

# {repo}

A world model of `{env}`: it predicts the next frame, reward and end of an episode from the last {context} frames and
an action. It was trained with worldgan and can be stepped as a gymnasium environment.

| | |
| --- | --- |
{facts}

## Use

```python
import gymnasium, worldgan.hub
run = worldgan.hub.pull({repo!r}, {name!r})  # run.json, weights and start states; model = worldgan.load(run)
env = gymnasium.make("worldgan/Simulator-v0", model=run)
```

## Measured

{measured}

## Licence

Not stated yet: the owner of this repository chooses one here and in `license` above. `starts.safetensors` holds frames
of `{env}`, which may have a licence of its own.
"""


def card(run: Run, repo: str) -> str:
    """The text of README.md for a repository of that name. Raises WorldganError if the run cannot be read."""
    info = run.info()
    front = {
        "library_name": "worldgan",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "world-model", "worldgan", info.family],
        "license": "unknown",
    }
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(run, info).items())
    return TEMPLATE.format(
        front=yaml.safe_dump(front, sort_keys=False),
        repo=repo,
        name=repo.rpartition("/")[2],
        env=info.spec.id,
        context=run.starts(beginnings=True)[0].shape[1],
        facts=facts,
        measured=_measured(run.path),
    )


def _facts(run: Run, info: RunInfo) -> dict[str, str]:
    height, width, channels = info.spec.frame
    options = ", ".join(f"{key}={value}" for key, value in info.spec.options.items())
    parameters = sum(tensor.numel() for tensor in run.tensors("weights").values())
    progress = info.progress
    trained = f"{progress.get('step', 0):,.0f} updates in {progress.get('seconds', 0) / 60:,.1f} minutes"
    return {
        "env": f"`{info.spec.id}`" + (f" with {options}" if options else ""),
        "frames": f"{height}x{width}, {channels} channels",
        "actions": str(info.spec.actions),
        "family": info.family,
        "parameters": f"{parameters:,}",
        "data": Path(info.data).name,
        "trained": f"{trained}, batches of {info.training.get('batch')}, seed {info.training.get('seed')}",
    }


def _measured(folder: Path) -> str:
    """A table of the evaluation in the run's folder, or a sentence if there is none."""
    for name in REPORTS:
        if (folder / name).is_file():
            found = _read(folder / name)
            if found:
                return _table(found)
    return "No evaluation came with this run: `worldgan evaluate --runs RUN --data DATA --out RUN/report` makes one."


def _read(path: Path) -> dict[str, dict[str, list[float | None]]]:
    """{family: {metric: value per horizon}}; nothing if the file is something else."""
    try:
        found: Any = json.loads(path.read_text())
        return {str(family): {metric: list(curves[metric]) for metric in SHOWN} for family, curves in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _table(families: dict[str, dict[str, list[float | None]]]) -> str:
    longest = max(len(values) for curves in families.values() for values in curves.values())
    horizons = [h for h in HORIZONS if h <= longest]
    lines = [
        "On held-out episodes, by steps imagined:\n",
        "| | | " + " | ".join(map(str, horizons)) + " |",
        "| --- " * (2 + len(horizons)) + "|",
    ]
    for metric in SHOWN:
        for family, curves in families.items():
            values = " | ".join(_cell(curves[metric], h) for h in horizons)
            lines.append(f"| {NAMES[metric]} | {family} | {values} |")
    return "\n".join(lines)


def _cell(values: list[float | None], horizon: int) -> str:
    value = values[horizon - 1] if horizon <= len(values) else None
    return "" if value is None else f"{value:.2f}"
