"""Does a planner exploit a model of little data, and does pessimism help? Each sign of distrust at several weights.

Collects 500 steps of Paddle, trains a gan and a small ensemble of mse on them, tries random plans in the gan and in
clones of the real env, and compares what random shooting would choose. All signs and weights choose among the same
plans. Training goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldgan import envs
from worldgan.agents import SIGNALS, Ensemble, Pessimist, usual
from worldgan.config import load
from worldgan.data.collect import collect
from worldgan.evaluation.exploitation import Plans, judge_plans
from worldgan.evaluation.figures import COLOURS, GREY, Line, Panel, chart
from worldgan.files import atomic_write, replacing
from worldgan.machine import keep_memory
from worldgan.models.world import NextFrameModel
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import Experiment, train

ENV, STEPS = "worldgan/Paddle-v0", 500
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0)
DISCOUNT = 0.99


def trained(work: Path, name: str, family: str, minutes: float, seed: int) -> Run:
    experiment = load(Experiment, "demo", [f"family={family}", f"training.seed={seed}", f"training.minutes={minutes}"])
    if not (work / name / "weights.safetensors").exists():
        train(work / "data", experiment, work / name, resume=True)
    return Run(work / name)


def compared(found: Plans, groups: int) -> dict[str, Any]:
    """Returns of the chosen plans. The intervals are over envs, since moments of one env are not independent."""
    results: dict[str, Any] = {"any plan": _told(found.again.mean(1), found.real.mean(1), groups)}
    results["none"] = _told(*found.chosen(), groups)
    for name in found.prices:
        chosen = {str(weight): _told(*found.chosen(name, weight), groups) for weight in WEIGHTS}
        results[name] = {"warning": found.warning(name), **chosen}
    return results


def _told(imagined: NDArray[np.float64], real: NDArray[np.float64], groups: int) -> dict[str, float]:
    told = {}
    for name, values in {"imagined": imagined, "real": real, "gap": imagined - real}.items():
        means = values.reshape(-1, groups).mean(0)
        told |= {name: float(means.mean()), f"{name}_error": float(means.std(ddof=1) / np.sqrt(groups))}
    return told


def panel(results: dict[str, Any]) -> Panel:
    """The gap for each sign over weights, and without pessimism."""
    lines = [Line("none", WEIGHTS, [results["none"]["gap"]] * len(WEIGHTS), GREY, "--")]
    for colour, name in zip(COLOURS, SIGNALS, strict=False):
        lines.append(Line(name, WEIGHTS, [results[name][str(weight)]["gap"] for weight in WEIGHTS], colour))
    return Panel("Imagined minus real return of the chosen plans", "pessimism", lines, real=0.0, logx=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/pessimism"), help="data and runs")
    parser.add_argument("--out", type=Path, default=Path("docs/results/pessimism"))
    parser.add_argument("--minutes", type=float, default=1.5, help="of training the gan")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--moments", type=int, default=16, help="steps at which plans are tried")
    parser.add_argument("--plans", type=int, default=64)
    parser.add_argument("--samples", type=int, default=4, help="futures behind what is reported of each plan")
    options = parser.parse_args()
    keep_memory()
    collect(lambda: envs.make(ENV), envs.spec(ENV), options.work / "data", steps=STEPS, seed=0)
    run = trained(options.work, "gan", "gan", options.minutes, 0)
    others: list[NextFrameModel] = [
        trained(options.work, f"mse{i}", "mse", options.minutes / 3, i).model() for i in range(3)
    ]
    model = Ensemble(run.model(realism=True, surprise=True), others)
    cautious = {}
    for name in SIGNALS:
        level = usual(model, run.starts(beginnings=False), name)
        cautious[name] = Pessimist(model, level, distrust=name, weight=1.0)
    found = judge_plans(
        run.model(),
        model,
        cautious,
        [envs.make(ENV) for _ in range(options.envs)],
        moments=options.moments,
        plans=options.plans,
        horizon=14,
        hold=10,
        samples=options.samples,
        discount=DISCOUNT,
        seed=0,
    )
    shown = {name: value for name, value in vars(options).items() if name not in {"work", "out"}}
    results: dict[str, Any] = {"settings": shown}
    results |= {"updates": run.info().progress["step"]} | compared(found, options.envs)
    atomic_write(options.out / "pessimism.json", json.dumps(results, indent=1).encode())
    with replacing(options.out / "pessimism.png") as temporary:
        chart(panel(results)).save(temporary, "PNG")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
