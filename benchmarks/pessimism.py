"""Does a planner exploit a model of little data, and does pessimism help? Each signal of distrust at several weights.

Collects 500 steps of Paddle, trains a gan and a small ensemble of mse on them, then lets a planner play and compares
what the plans that it chose earn in imagination and in the real env. Goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from worldgan import envs
from worldgan.agents import PLANNERS, Ensemble, Pessimist, Planner, PlannerConfig, usual
from worldgan.config import load
from worldgan.data.collect import collect
from worldgan.evaluation.exploitation import exploitation, spread_of_mean
from worldgan.evaluation.figures import COLOURS, Line, Panel, chart
from worldgan.files import atomic_write, replacing
from worldgan.machine import keep_memory
from worldgan.models.world import NextFrameModel
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import Experiment, train
from worldgan.types import WorldModel

ENV, STEPS = "worldgan/Paddle-v0", 500
WEIGHTS = (0.1, 0.3, 0.03)  # the one that tells most first
CONFIG = PlannerConfig(horizon=14, candidates=24, samples=1, hold=10)


def trained(work: Path, name: str, family: str, minutes: float, seed: int) -> NextFrameModel:
    experiment = load(Experiment, "demo", [f"family={family}", f"training.seed={seed}", f"training.minutes={minutes}"])
    if not (work / name / "weights.safetensors").exists():
        train(work / "data", experiment, work / name, resume=True)
    return Run(work / name).model()


def measured(model: WorldModel[Any], planned_in: WorldModel[Any], options: argparse.Namespace) -> dict[str, float]:
    planner = PLANNERS["shooting"](planned_in, CONFIG)
    assert isinstance(planner, Planner)
    real = [envs.make(ENV) for _ in range(options.envs)]
    found = exploitation(
        model, planner, real, steps=options.steps, samples=options.samples, discount=CONFIG.discount, seed=0
    )
    values = {"imagined": found.imagined, "real": found.real, "gap": found.gap}
    means = {name: float(value.mean()) for name, value in values.items()}
    errors = {f"{name}_error": spread_of_mean(value, options.envs) for name, value in values.items()}
    return means | errors | {"earned": found.earned, "decisions": float(len(found.gap))}


def panel(results: dict[str, Any]) -> Panel:
    without = results["none"]
    lines = []
    for colour, name in zip(COLOURS, [name for name in results if name != "none"], strict=False):
        found = {0.0: without} | {float(weight): value for weight, value in results[name].items()}
        weights = sorted(found)
        for kind, style in (("imagined", "--"), ("real", "-")):
            lines.append(Line(f"{name}: {kind}", weights, [found[w][kind] for w in weights], colour, style))
    return Panel("Return of the chosen plans", "pessimism (reward per usual spread)", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/pessimism"), help="data and runs")
    parser.add_argument("--out", type=Path, default=Path("docs/results/pessimism"))
    parser.add_argument("--minutes", type=float, default=1.5, help="of training the gan")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--samples", type=int, default=16, help="futures of each chosen plan")
    options = parser.parse_args()
    keep_memory()
    collect(lambda: envs.make(ENV), envs.spec(ENV), options.work / "data", steps=STEPS, seed=0)
    model = trained(options.work, "gan", "gan", options.minutes, 0)
    others = [trained(options.work, f"mse{i}", "mse", options.minutes / 3, i) for i in range(3)]
    run = Run(options.work / "gan")
    worlds: dict[str, WorldModel[Any]] = {
        "realism": run.model(realism=True),
        "disagreement": Ensemble(model, others),
        "surprise": run.model(surprise=True),
    }
    starts = run.starts(beginnings=False)
    path = options.out / "pessimism.json"
    results = json.loads(path.read_text()) if path.exists() else {"none": measured(model, model, options)}
    for weight in WEIGHTS:
        for name, world in worlds.items():
            known = results.setdefault(name, {})
            if str(weight) not in known:
                level = usual(world, starts, name)
                known[str(weight)] = measured(model, Pessimist(world, level, distrust=name, weight=weight), options)
                atomic_write(path, json.dumps(results, indent=1).encode())
                with replacing(options.out / "pessimism.png") as temporary:
                    chart(panel(results)).save(temporary, "PNG")
    print(path.read_text())


if __name__ == "__main__":
    main()
