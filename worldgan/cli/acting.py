"""Verbs that act in the real env."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from worldgan import envs
from worldgan.cli.settings import OneOf, Settings, check_same, each_of, model_at, options_of, planners, signals
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.progress import progress
from worldgan.saved import saved

if TYPE_CHECKING:
    from worldgan.agents import ActorCritic, PlannerConfig
    from worldgan.agents.factory import MakePlanner
    from worldgan.runtime.tensors import ExportedRun
    from worldgan.training.checkpoint import Run
    from worldgan.types import Agent, WorldModel

ACTOR = "actor"
"""What `plan --planner` calls an agent that acts without a plan."""


def plan(
    model: Path,
    env: str,
    out: Path,
    planner: Annotated[str, tyro.conf.arg(help_behavior_hint=OneOf(lambda: [*planners(), ACTOR]))] = "shooting",
    agent: Path | None = None,
    horizon: int = 12,
    candidates: int = 64,
    samples: int = 2,
    episodes: int = 4,
    max_steps: int = 1000,
    seed: int = 0,
    pessimism: float = 0.0,
    distrust: Annotated[str, tyro.conf.arg(help_behavior_hint=OneOf(signals))] = "realism",
    ensemble: tuple[Path, ...] = (),
    device: Device = "cpu",
    env_args: Settings = (),
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
) -> None:
    """Act in the real env as planned or learnt in the simulator; writes returns and a video beside what was imagined.

    Args:
        model: folder of the run to plan in, or an exported .onnx file.
        env: gymnasium id, or module:Id.
        out: folder for returns.json and plan.webm.
        planner: how plans are searched for; actor does what the agent does, without a plan.
        agent: folder of a trained agent, whose critic tells the other planners what lies behind the horizon.
        horizon: steps that a plan is long.
        candidates: plans imagined at once.
        samples: futures imagined per plan and averaged.
        episodes: how many to play.
        max_steps: longer episodes are truncated.
        seed: of envs and plans.
        pessimism: reward that an imagined step costs for each usual spread by which it is less trusted than usual.
        distrust: what tells how far to trust a step: the discriminator (gan), an ensemble, or prior and posterior.
        ensemble: two runs or exported files or more, whose disagreement tells where not to trust the model.
        device: what models compute on.
        env_args: options of the env; without any, those that the model was trained with.
        settings: single settings of the planner, such as iterations=4 or simulations=64.
    """
    from worldgan.agents import PlannerConfig, check_match, check_signal, planner_named
    from worldgan.config import load as configure
    from worldgan.evaluation.returns import imagined_vs_real, play, summary
    from worldgan.pictures import animate

    check_signal(distrust)
    make = None if planner == ACTOR else planner_named(planner, [ACTOR])
    if make is None and (pessimism or ensemble):
        raise WorldganError("expected a planner with --pessimism or --ensemble, got actor, which imagines nothing")
    world = model_at(model, device)
    options = options_of(env_args) if env_args else dict(world.spec.options)
    check_match(world.spec, envs.spec(env, options))
    check_same(world.spec.id, env)
    chosen = {"horizon": horizon, "candidates": candidates, "samples": samples, "seed": seed}
    config = configure(PlannerConfig, None, [*(f"{key}={value}" for key, value in chosen.items()), *each_of(settings)])
    networks = None if agent is None else _networks(agent, world, plans=make is not None)
    player = _player(make, _cautious(model, pessimism, distrust, ensemble, device), config, networks)
    with progress(f"plan {env}", episodes, unit="episodes") as report:
        played = play(
            lambda: envs.make(env, **options),
            player,
            episodes=episodes,
            seed=seed,
            max_steps=max_steps,
            num_envs=min(episodes, 8),
            report=report,
        )
    totals = [each.total for each in played]
    asked = {"model": str(model), "env": env, "planner": planner, **chosen, "max_steps": max_steps}
    result = {**asked, "returns": totals, **summary(totals)}
    atomic_write(out / "returns.json", json.dumps(result, indent=2).encode())
    with envs.make(env, **options) as real:
        rows = imagined_vs_real(world, real, player, horizon=horizon, seed=seed, max_steps=min(200, max_steps))
    animate(out / "plan.webm", rows, fps=10)
    print(f"mean return {result['mean']:.2f} over {episodes} episodes; {out}/returns.json, {out}/plan.webm")


def learn(
    env: str,
    budget: int,
    out: Path,
    resume: bool = False,
    family: str | None = None,
    seed: int | None = None,
    env_args: Settings = (),
    config: Path | None = None,
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
) -> None:
    """Learn to act in an env: play, train a model on all that was played, train the agent in it, and again.

    Args:
        env: gymnasium id, or module:Id.
        budget: steps to play in the real env.
        out: folder for data, model, agent, learn.json and returns.jsonl.
        resume: go on with what is in OUT, perhaps to a larger budget.
        family: of the model; gan, mse, ...
        seed: of everything random; without it, those of the settings.
        env_args: options of the env, such as size=64 or sticky=0.
        config: a YAML file.
        settings: single settings, such as every=1000, training.recent=0.25, model.events=4 or dream.horizon=10.
    """
    from worldgan.config import load as configure
    from worldgan.learn import LearnConfig
    from worldgan.learn import learn as run

    options = options_of(env_args)
    spec = envs.spec(env, options)
    named = {"budget": budget, "family": family, "seed": seed, "training.seed": seed, "dream.seed": seed}
    given = [f"{key}={value}" for key, value in named.items() if value is not None]
    chosen = configure(LearnConfig, config, [*each_of(settings), *given])
    with progress(f"learn {env}", budget) as report:
        rounds = run(lambda: envs.make(env, **options), spec, chosen, out, resume=resume, report=report).rounds
    print(f"{rounds[-1].steps:,} steps in {rounds[-1].episodes:,} episodes, {len(rounds)} rounds, at {out}")


def _networks(agent: Path, model: WorldModel[Any], *, plans: bool) -> ActorCritic:
    """Those of the agent in a folder.    plans: it judges what the model imagines, and does not act itself.

    Raises WorldganError if there is none, it is of another env, or it needs more frames than planners start from.
    """
    from worldgan.agents import AgentFolder, check_match

    folder = AgentFolder(agent)
    info = folder.info()
    check_match(info.spec, model.spec, what="an agent")
    check_same(info.spec.id, model.spec.id, what="the agent")
    if plans and info.frames > model.context:
        raise WorldganError(
            f"expected an agent that sees at most {model.context} frames, the model's context, got one of {info.frames}"
        )
    return folder.networks()


def _player(
    make: MakePlanner | None, model: WorldModel[Any], config: PlannerConfig, networks: ActorCritic | None
) -> Agent:
    """Who acts: a planner, or the agent itself."""
    from worldgan.agents import Actor, Recall

    if make is None:
        if networks is None:
            raise WorldganError("expected --agent, the folder of an agent trained by dream, for actor, got none")
        return Actor(networks, seed=config.seed)
    if networks is None:
        return make(model, config)
    return make(Recall(model, networks.frames), config, value=networks.value)


def _cautious(model: Path, weight: float, distrust: str, ensemble: tuple[Path, ...], device: Device) -> WorldModel[Any]:
    """The model to plan in: itself, or with lower rewards where it is not to be trusted."""
    from worldgan.agents import Ensemble, Pessimist, usual

    kept = saved(model)
    world: WorldModel[Any] = _telling(kept, distrust, device) if weight else kept.model(device=device)
    if ensemble:
        world = Ensemble(world, [model_at(path, device) for path in ensemble])
    if not weight:
        return world
    return Pessimist(world, usual(world, kept.starts(beginnings=False), distrust), distrust=distrust, weight=weight)


def _telling(kept: Run | ExportedRun, distrust: str, device: Device) -> WorldModel[Any]:
    """The model, saying with each step how far to trust it."""
    from worldgan.training.checkpoint import Run

    if isinstance(kept, Run):
        return kept.model(realism=distrust == "realism", surprise=distrust == "surprise", device=device)
    if distrust != "disagreement":
        expected = "expected --distrust disagreement with --ensemble, or the folder of the run"
        raise WorldganError(f"{expected}: the exported file {kept.path} cannot tell its {distrust}")
    return kept.model(device=device)
