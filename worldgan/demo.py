"""The main job in under six minutes, on an env that needs nothing installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from worldgan import envs
from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.config import load
from worldgan.data.collect import RandomPolicy, collect
from worldgan.data.store import EpisodeStore
from worldgan.evaluation.held_out import evaluate
from worldgan.evaluation.returns import imagined_vs_real, play, summary
from worldgan.evaluation.rollouts import Curves
from worldgan.files import atomic_write
from worldgan.models.world import NextFrameModel
from worldgan.pictures import animate
from worldgan.progress import progress
from worldgan.training.trainer import Experiment, train
from worldgan.types import Agent

ENV = "worldgan/Paddle-v0"
FAMILIES = ("gan", "mse")
STEPS, HORIZON, EPISODES, MAX_STEPS = 30_000, 15, 12, 45
PLANNER = PlannerConfig(horizon=14, candidates=12, samples=2, hold=10)


def run(out: Path, *, seed: int = 0) -> None:
    """Collect, train gan and mse for equal minutes, evaluate both, plan in both, and print what came out.

    Goes on where it was interrupted. Files: data/, gan/, mse/, report/, plan.webm and demo.json in ``out``.
    """
    with progress("1/4 collect", STEPS) as report:
        store = collect(lambda: envs.make(ENV), envs.spec(ENV), out / "data", steps=STEPS, seed=seed, report=report)
    models = {family: _trained(family, out, seed) for family in FAMILIES}
    with progress("3/4 evaluate", len(models), unit="models") as report:
        curves = evaluate(models, store, out / "report", horizon=HORIZON, samples=4, seed=seed, report_progress=report)
    returns = _returns(models, store, seed)
    _film(models["gan"], out / "plan.webm", seed)
    atomic_write(out / "demo.json", json.dumps({"returns": returns, "curves": curves}, indent=1).encode())
    _conclude(curves, returns, out)


def _trained(family: str, out: Path, seed: int) -> NextFrameModel:
    settings = (f"family={family}", f"training.seed={seed}")
    with progress(f"2/4 train {family}", 100, unit="%") as report:
        experiment = load(Experiment, "demo", settings)
        trained = train(
            out / "data",
            experiment,
            out / family,
            resume=True,
            report=lambda done, note="": report(100 * done, note),
        )
    return trained.model()


def _returns(models: dict[str, NextFrameModel], store: EpisodeStore, seed: int) -> dict[str, dict[str, Any]]:
    """Returns of each agent in the real env, over the same episodes."""
    agents: dict[str, Agent] = {"random": RandomPolicy(store.spec.actions, seed=seed)}
    for family, model in models.items():
        agents[f"plan in {family}"] = PLANNERS["shooting"](model, PLANNER)
    found = {}
    for name, agent in agents.items():
        with progress(f"4/4 {name}", EPISODES, unit="episodes") as report:
            played = play(
                lambda: envs.make(ENV),
                agent,
                episodes=EPISODES,
                seed=seed,
                max_steps=MAX_STEPS,
                num_envs=EPISODES,
                report=report,
            )
        found[name] = summary([each.total for each in played])
    return found


def _film(model: NextFrameModel, path: Path, seed: int) -> None:
    """The planner at play, beside what the model imagined of it."""
    agent = PLANNERS["shooting"](model, PLANNER)
    with envs.make(ENV) as env:
        rows = imagined_vs_real(model, env, agent, horizon=PLANNER.horizon, seed=seed, max_steps=MAX_STEPS)
    animate(path, rows, fps=8)


def _conclude(curves: dict[str, Curves], returns: dict[str, dict[str, Any]], out: Path) -> None:
    console = Console()
    looks = Table(title=f"Next frames of {ENV}, 1 = as sharp as real")
    for column in ("family", "sharpness +1", f"sharpness +{HORIZON}", "changed-pixel error +1", "best of 4"):
        looks.add_column(column, justify="left" if column == "family" else "right")
    for family, curve in curves.items():
        sharp, error, best = (
            curve[key] for key in ("sharpness_gradient", "changed_pixel_error", "changed_pixel_error_best")
        )
        looks.add_row(family, *(f"{value:.2f}" for value in (sharp[0], sharp[-1], error[0], best[0])))
    scores = Table(title=f"Return in the real env, {EPISODES} episodes of at most {MAX_STEPS} steps")
    for column in ("agent", "mean", "95% interval"):
        scores.add_column(column, justify="left" if column == "agent" else "right")
    for name, score in returns.items():
        scores.add_row(name, f"{score['mean']:.2f}", f"{score['low']:.2f} to {score['high']:.2f}")
    console.print(looks, scores)
    pictures = f"{out}/report/strip.png, {out}/report/rollout.gif, {out}/plan.webm"
    console.print(f"Look at {pictures}", highlight=False, soft_wrap=True)
