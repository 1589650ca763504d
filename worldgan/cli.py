"""The command line: one short function per verb."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from worldgan import envs
from worldgan.config import parse
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.progress import console, progress

if TYPE_CHECKING:
    from worldgan.models.world import NextFrameModel

Settings = Annotated[
    tuple[tuple[str, ...], ...],  # so that "--set a=1 b=2" and "--set a=1 --set b=2" mean the same
    tyro.conf.arg(metavar="KEY=VALUE [KEY=VALUE ...]"),
    tyro.conf.UseAppendAction,
]


def doctor(env: str, env_args: Settings = ()) -> None:
    """Say in plain words what worldgan will do with an env, or why it cannot.

    Args:
        env: gymnasium id, or module:Id.
        env_args: options of the env, such as size=64 or sticky=0.
    """
    print(envs.describe(envs.diagnose(env, _options(env_args))))


def collect(
    env: str,
    steps: int,
    out: Path,
    policy: str = "random",
    num_envs: int = 8,
    seed: int = 0,
    epsilon: float = 0.1,
    env_args: Settings = (),
) -> None:
    """Play episodes into a data set; run it again to go on after an interruption, or with more steps.

    Args:
        env: gymnasium id, or module:Id.
        steps: how many to collect at least.
        out: folder of the data set.
        policy: "random", or the folder of a run whose model a planner then plays with.
        num_envs: envs played at once; random play does not depend on it.
        seed: of everything random.
        epsilon: share of random actions beside a planner's.
        env_args: options of the env, such as size=64 or sticky=0.
    """
    from worldgan.agents import PLANNERS, PlannerConfig, check_match
    from worldgan.data.collect import collect as play

    options = _options(env_args)
    spec = envs.spec(env, options)
    agent = None
    if policy != "random":
        world = _model(policy)
        check_match(world.spec, spec)
        agent = PLANNERS["shooting"](world, PlannerConfig(seed=seed))
    with progress(f"collect {env}", steps) as report:
        store = play(
            lambda: envs.make(env, **options),
            spec,
            out,
            steps=steps,
            policy=agent,
            policy_name=policy,
            epsilon=epsilon if agent else 0.0,
            num_envs=num_envs,
            seed=seed,
            report=report,
        )
    print(f"{store.steps:,} steps in {len(store.indices()):,} episodes at {out}")


def train(
    data: Path,
    out: Path,
    family: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    config: str | None = None,
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
) -> None:
    """Train a predictor family on a data set.

    Args:
        data: folder of the data set.
        out: folder of the run.
        family: gan, mse, ...; overrides the preset's.
        minutes: budget of training time.
        steps: budget of updates, instead of minutes.
        resume: go on with the run in OUT.
        config: a YAML file, or the name of a preset.
        settings: single settings, such as model.digits=4 or training.batch=64.
    """
    from worldgan.config import load
    from worldgan.training.trainer import Experiment
    from worldgan.training.trainer import train as fit

    experiment = load(Experiment, config, [setting for group in settings for setting in group])
    experiment = replace(experiment, family=family or experiment.family)
    if minutes is not None or steps is not None:
        experiment = replace(experiment, training=replace(experiment.training, minutes=minutes, steps=steps))
    with progress(f"train {experiment.family}", 100, unit="%") as report:
        fit(data, experiment, out, resume=resume, report=lambda done, note="": report(100 * done, note))
    print(f"run at {out}")


def evaluate(
    runs: tuple[Path, ...],
    data: Path,
    out: Path,
    horizon: int = 50,
    windows: int = 64,
    samples: int = 4,
    seed: int = 0,
) -> None:
    """Compare trained runs on the same held-out windows: table, metrics.json, curves, strip and animation.

    Args:
        runs: folders of runs.
        data: folder of the data set; its validation episodes are used.
        out: folder for the report.
        horizon: steps imagined.
        windows: how many contexts.
        samples: rollouts per context for the "best of N" metrics.
        seed: of windows and samples.
    """
    from worldgan.data.store import EpisodeStore
    from worldgan.evaluation.compare import compare
    from worldgan.evaluation.report import table
    from worldgan.training.checkpoint import Run

    found = [Run(path) for path in runs]
    families = [run.info().family for run in found]
    names = families if len({*families}) == len(families) else [str(run.path) for run in found]
    models = {name: run.model() for name, run in zip(names, found, strict=True)}
    with progress("evaluate", len(models), unit="models") as report:
        curves = compare(
            models,
            EpisodeStore.open(data),
            out,
            horizon=horizon,
            windows=windows,
            samples=samples,
            seed=seed,
            report_progress=report,
        )
    print(table(curves))
    print(f"report at {out}")


def plan(
    model: Path,
    env: str,
    out: Path,
    planner: Literal["shooting", "cem"] = "shooting",
    horizon: int = 12,
    candidates: int = 64,
    samples: int = 1,
    episodes: int = 4,
    max_steps: int = 1000,
    seed: int = 0,
    env_args: Settings = (),
) -> None:
    """Act in the real env by planning in the learned simulator; writes returns and a video beside what was imagined.

    Args:
        model: folder of the run to plan in.
        env: gymnasium id, or module:Id.
        out: folder for returns.json and plan.webm.
        planner: how plans are searched for.
        horizon: steps that a plan is long.
        candidates: plans imagined at once.
        samples: futures imagined per plan and averaged.
        episodes: how many to play.
        max_steps: longer episodes are truncated.
        seed: of envs and plans.
        env_args: options of the env; without any, those that the model was trained with.
    """
    from worldgan.agents import PLANNERS, PlannerConfig, check_match
    from worldgan.evaluation.returns import imagined_vs_real, play, summary
    from worldgan.pictures import animate

    world = _model(model)
    options = _options(env_args) if env_args else dict(world.spec.options)
    check_match(world.spec, envs.spec(env, options))
    settings = PlannerConfig(horizon=horizon, candidates=candidates, samples=samples, seed=seed)
    agent = PLANNERS[planner](world, settings)
    with progress(f"plan {env}", episodes, unit="episodes") as report:
        played = play(
            lambda: envs.make(env, **options),
            agent,
            episodes=episodes,
            seed=seed,
            max_steps=max_steps,
            num_envs=min(episodes, 8),
            report=report,
        )
    result = {"returns": [each.total for each in played], **summary([each.total for each in played])}
    atomic_write(out / "returns.json", json.dumps(result, indent=2).encode())
    with envs.make(env, **options) as real:
        rows = imagined_vs_real(world, real, agent, horizon=horizon, seed=seed, max_steps=min(200, max_steps))
    animate(out / "plan.webm", rows, fps=10)
    print(f"mean return {result['mean']:.2f} over {episodes} episodes; {out}/returns.json, {out}/plan.webm")


def demo(out: Path = Path("demo"), seed: int = 0) -> None:
    """The main job in under six minutes: collect, train gan and mse, evaluate both, plan in both, compare.

    Args:
        out: folder for data, runs, tables and pictures.
        seed: of everything random.
    """
    from worldgan.demo import run

    run(out, seed=seed)


def _options(settings: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """(("size=64",),) -> {"size": 64}. Raises WorldganError for anything else."""
    options = {}
    for setting in (setting for group in settings for setting in group):
        key, equals, value = setting.partition("=")
        if not equals:
            raise WorldganError(f"expected env args like size=64, got {setting!r}")
        options[key] = parse(value, repr(setting))
    return options


def _model(run: str | Path) -> NextFrameModel:
    from worldgan.training.checkpoint import load

    return load(run)


VERBS = {verb.__name__: verb for verb in (doctor, collect, train, evaluate, plan, demo)}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb. Returns 0, 2 for what cannot be done (in one line), 130 when interrupted."""
    keep_memory()
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # so that module:Id finds a user's own env
    try:
        tyro.extras.subcommand_cli_from_dict(VERBS, prog="worldgan", description=__doc__, args=arguments)
    except (WorldganError, OSError) as error:  # OSError: a full disk, a folder that may not be written, ...
        line = " ".join(str(error).splitlines())
        console.print(f"worldgan: {line}", style="red", highlight=False, markup=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        line = "worldgan: interrupted; what was finished is kept, the same command (train: --resume) goes on"
        console.print(line, soft_wrap=True)
        return 130
    return 0
