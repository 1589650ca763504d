"""Planner by model, in the built-in game: returns of planning in each trained model and in the real env's own clones.

The oracle searches as the others do, but knows the truth: what it lacks is the planner's error, what the others lack
beside it is their model's. Run ``make demo`` first, or name other runs. Goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from worldgan import envs
from worldgan.agents import PLANNERS, SEARCHES, Oracle, OracleTree, PlannerConfig, Truth, check_match
from worldgan.agents.factory import mcts
from worldgan.data.collect import RandomPolicy
from worldgan.evaluation.returns import play, summary
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.training.checkpoint import load
from worldgan.types import Agent

BASE = PlannerConfig(horizon=14, candidates=24, samples=2, hold=10)
CONFIGS = {
    "shooting": BASE,
    "cem": replace(BASE, candidates=12),
    "icem": replace(BASE, candidates=12),
    "mcts": replace(BASE, simulations=24, outcomes=3, samples=1),
}
"""About 700 imagined steps an action each: 24 plans, 2 futures and 14 steps, in all iterations together."""

Real = list[Any]
Make = Callable[[Real], Agent]


def oracle(planner: str, seed: int) -> Make:
    def make(real: Real) -> Agent:
        config = replace(CONFIGS[planner], seed=seed)
        if planner == "mcts":
            truth = Truth(real[0])
            return OracleTree(real, truth, mcts(truth, config))
        search = SEARCHES[planner](envs.env_spec(real[0], "", {}).actions, config)
        return Oracle(real, search, samples=config.samples, discount=config.discount, seed=seed)

    return make


def in_model(path: str, planner: str, env: str, seed: int) -> Make:
    def make(real: Real) -> Agent:
        model = load(path)
        check_match(model.spec, envs.env_spec(real[0], env, {}))
        return PLANNERS[planner](model, replace(CONFIGS[planner], seed=seed))

    return make


def returns(make: Make, options: argparse.Namespace) -> dict[str, Any]:
    real = [envs.make(options.env) for _ in range(min(options.batch, options.episodes))]
    waiting = iter(real)
    played = play(
        lambda: next(waiting), make(real), episodes=options.episodes, seed=options.seed,
        max_steps=options.max_steps, num_envs=len(real),
    )  # fmt: skip
    totals = [each.total for each in played]
    return {"returns": totals, **summary(totals)}


def table(results: dict[str, Any], planners: list[str]) -> Table:
    shown = Table(title="Mean return (95% interval), and share of the oracle's")
    models = list(dict.fromkeys(name.split(" ", 1)[1] for name in results if " " in name))
    for column in ("planner", *models):
        shown.add_column(column, justify="left" if column == "planner" else "right")
    for planner in planners:
        best = results.get(f"{planner} oracle", {}).get("mean")
        cells = [_cell(results.get(f"{planner} {model}"), best) for model in models]
        shown.add_row(planner, *cells)
    shown.caption = f"random player: {_cell(results['random'], None)}"
    return shown


def _cell(found: dict[str, Any] | None, best: float | None) -> str:
    if found is None:
        return ""
    text = f"{found['mean']:.2f}"
    if found["low"] is not None:
        text += f" ({found['low']:.2f} to {found['high']:.2f})"
    return f"{text} {found['mean'] / best:.0%}" if best and best > 0 else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="worldgan/Paddle-v0")
    parser.add_argument("--models", nargs="+", default=["gan=demo/gan", "mse=demo/mse"], metavar="NAME=RUN")
    parser.add_argument("--planners", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32, help="envs played at once")
    parser.add_argument("--max-steps", type=int, default=45)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/planners"))
    options = parser.parse_args()
    keep_memory()
    rows: dict[str, Make] = {"random": lambda real: RandomPolicy(envs.spec(options.env).actions, seed=options.seed)}
    for planner in options.planners:
        rows[f"{planner} oracle"] = oracle(planner, options.seed)
        for name, path in (each.split("=", 1) for each in options.models):
            rows[f"{planner} {name}"] = in_model(path, planner, options.env, options.seed)
    path = options.out / "planners.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, make in rows.items():
        if name not in results:
            results[name] = returns(make, options)
            atomic_write(path, json.dumps(results, indent=1).encode())
            print(f"{name}: {results[name]['mean']:.2f}", flush=True)
    Console(width=120).print(table(results, options.planners))


if __name__ == "__main__":
    main()
