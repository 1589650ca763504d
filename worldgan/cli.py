"""The command line: one short function per verb."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from worldgan import cli_data, envs
from worldgan.config import parse
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.progress import console, progress

if TYPE_CHECKING:
    from worldgan.training.trainer import Experiment
    from worldgan.types import WorldModel

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
    from worldgan.training.trainer import train as fit

    experiment = _experiment(config, _each(settings), family, minutes, steps)
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
    """Put trained runs beside each other on held-out windows: table, metrics.json, curves, strip and animation.

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
    from worldgan.evaluation.held_out import evaluate as measure
    from worldgan.evaluation.report import table
    from worldgan.training.checkpoint import Run

    found = [Run(path) for path in runs]
    families = [run.info().family for run in found]
    names = families if len({*families}) == len(families) else [str(run.path) for run in found]
    models = {name: run.model() for name, run in zip(names, found, strict=True)}
    with progress("evaluate", len(models), unit="models") as report:
        curves = measure(
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


def compare(
    data: Path,
    families: tuple[str, ...],
    out: Path,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    config: str | None = None,
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
    horizon: int = 50,
    windows: int = 64,
    samples: int = 4,
    drift: int = 1000,
) -> None:
    """Train families for the same time on the same data, measure all of them, and write a page about it.

    Run it again to go on after an interruption, to add families, or with more minutes.

    Args:
        data: folder of the data set.
        families: gan, mse, ...
        out: folder for runs, judge, index.html, metrics.json and pictures.
        minutes: budget of training time of each family.
        steps: budget of updates of each, instead of minutes.
        seed: of everything random.
        config: a YAML file, or the name of a preset, for all families.
        settings: single settings, such as training.batch=64 for all families or gan.model.digits=4 for one.
        horizon: steps imagined.
        windows: how many contexts.
        samples: rollouts per context for the "best of N" metrics.
        drift: steps of the long rollouts.
    """
    from worldgan.compare import Comparison
    from worldgan.compare import compare as run
    from worldgan.data.store import EpisodeStore
    from worldgan.evaluation.report import table
    from worldgan.evaluation.yardstick import Sizes

    if len({*families}) < len(families):
        raise WorldganError(f"expected different families, got {', '.join(families)}")
    given = {name: _of_family(name, families, _each(settings)) for name in families}
    experiments = {
        name: _experiment(config, [f"training.seed={seed}", *each], name, minutes, steps)
        for name, each in given.items()
    }
    sizes = Sizes(horizon=horizon, windows=windows, samples=samples, drift=drift)
    budget = {"minutes": minutes, "steps": steps}
    chosen = {"seed": seed, "config": config, "set": _each(settings), **vars(sizes)}
    command = _command("compare", {"data": data, "families": families, **budget, "out": out, **chosen})
    found = run(Comparison(EpisodeStore.open(data), experiments, sizes, seed, command), out)
    print(table({name: each.horizons for name, each in found.items() if each.horizons}))
    print(f"page at {out}/index.html")


def plan(
    model: Path,
    env: str,
    out: Path,
    planner: Literal["shooting", "cem", "icem", "mppi", "mcts"] = "shooting",
    horizon: int = 12,
    candidates: int = 64,
    samples: int = 1,
    episodes: int = 4,
    max_steps: int = 1000,
    seed: int = 0,
    pessimism: float = 0.0,
    distrust: Literal["realism", "disagreement", "surprise"] = "realism",
    ensemble: tuple[Path, ...] = (),
    env_args: Settings = (),
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
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
        pessimism: reward that an imagined step costs for each usual spread by which it is less trusted than usual.
        distrust: what tells how far to trust a step: the discriminator (gan), an ensemble, or prior and posterior.
        ensemble: folders of two runs or more, whose disagreement tells where not to trust the model.
        env_args: options of the env; without any, those that the model was trained with.
        settings: single settings of the planner, such as iterations=4 or simulations=64.
    """
    from worldgan.agents import PLANNERS, PlannerConfig, check_match
    from worldgan.config import load as configure
    from worldgan.evaluation.returns import imagined_vs_real, play, summary
    from worldgan.pictures import animate

    world = _model(model)
    options = _options(env_args) if env_args else dict(world.spec.options)
    check_match(world.spec, envs.spec(env, options))
    _check_same(world.spec.id, env)
    chosen = {"horizon": horizon, "candidates": candidates, "samples": samples, "seed": seed}
    config = configure(PlannerConfig, None, [*(f"{key}={value}" for key, value in chosen.items()), *_each(settings)])
    agent = PLANNERS[planner](_cautious(model, pessimism, distrust, ensemble), config)
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


def imagine(
    model: tyro.conf.Positional[Path],
    steps: int,
    out: Path,
    policy: Literal["random", "shooting", "cem"] = "random",
    num_envs: int = 16,
    horizon: int = 200,
    seed: int = 0,
) -> None:
    """Play episodes in the learned simulator into a data set; run it again to go on, or with more steps.

    Args:
        model: folder of the run to imagine with.
        steps: how many to imagine at least.
        out: folder of the data set.
        policy: who acts: random play, or a planner in the same model.
        num_envs: envs imagined at once.
        horizon: steps after which an episode is truncated.
        seed: of everything random.
    """
    from worldgan.agents import PLANNERS, PlannerConfig
    from worldgan.imagine import imagine as play
    from worldgan.training.checkpoint import Run

    run = Run(model)
    world = run.model()
    agent = None if policy == "random" else PLANNERS[policy](world, PlannerConfig(seed=seed))
    with progress(f"imagine {world.spec.id}", steps) as report:
        store = play(
            world,
            run.starts(beginnings=True),
            out,
            steps=steps,
            name=f"{model} at step {run.info().progress.get('step', 0):.0f}",
            policy=agent,
            policy_name=policy,
            num_envs=num_envs,
            horizon=horizon,
            seed=seed,
            report=report,
        )
    print(f"{store.steps:,} imagined steps in {len(store.indices()):,} episodes at {out}")


def push(run: tyro.conf.Positional[Path], repo: tyro.conf.Positional[str], private: bool = False) -> None:
    """Upload a run to the Hugging Face Hub, with a model card and without what only training needs.

    Args:
        run: folder of the run.
        repo: user/name of the repository; made if it is not there.
        private: whether a repository that is made is private.
    """
    from worldgan.hub import push as upload

    print(f"run at {upload(run, repo, private=private)}")


def pull(repo: tyro.conf.Positional[str], out: tyro.conf.Positional[Path], revision: str = "main") -> None:
    """Download a run from the Hugging Face Hub.

    Args:
        repo: user/name of the repository.
        out: new folder of the run.
        revision: branch, tag or commit.
    """
    from worldgan.hub import pull as download

    print(f"run at {download(repo, out, revision=revision)}")


Job = Annotated[
    Annotated[Any, tyro.conf.subcommand("to-minari", constructor=cli_data.to_minari)]
    | Annotated[Any, tyro.conf.subcommand("from-minari", constructor=cli_data.from_minari)]
    | Annotated[Any, tyro.conf.subcommand("from-video", constructor=cli_data.from_video)],
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.OmitArgPrefixes,
]


def data(job: Job) -> None:
    """Data sets of other formats: Minari, and videos with a table of actions."""
    del job  # done by being parsed


def export(
    run: tyro.conf.Positional[Path], onnx: bool = False, web: bool = False, out: Path | None = None, seed: int = 0
) -> None:
    """Take a trained model elsewhere, checked against torch: as an ONNX file, as a page that plays in any browser.

    Args:
        run: folder of the run.
        onnx: write OUT/onnx, whose model.onnx worldgan.load, the simulator and onnxruntime read.
        web: write OUT/web, static files for any web server.
        out: folder for both; without it, the run's.
        seed: of the rollout that is checked.
    """
    from worldgan.export import product
    from worldgan.export import web as page
    from worldgan.training.checkpoint import Run

    if not onnx and not web:
        raise WorldganError("expected --onnx, --web or both, got neither")
    made, out = product.produce(Run(run), seed=seed), out or run
    print(f"onnxruntime follows torch over {made.check}")
    print("onnxruntime: " + ", ".join(f"{rate:,.0f} frames/s at batch {batch}" for batch, rate in made.speed.items()))
    if onnx:
        print(f"model at {product.save(made, out / 'onnx')}")
    if web:
        print(f"page at {page.save(made, out / 'web')}: serve that folder, e.g. python -m http.server -d {out / 'web'}")


def play(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    host: str = "127.0.0.1",
    port: int = 8700,
    sessions: int = 6,
    seed: int | None = None,
) -> None:
    """Open a page on which you play the learned simulator, with the real env beside it where it is installed.

    Args:
        runs: folders of runs of one env; the page switches between their models.
        host: address to serve on; other than the default lets other machines in.
        port: where, 0 for any that is free.
        sessions: tabs that can play at once.
        seed: of all chance; without one every play is different.
    """
    from worldgan.play.run import serve

    serve(runs, host, port, sessions, seed)


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


def _each(settings: tuple[tuple[str, ...], ...]) -> list[str]:
    """All settings, however they were grouped."""
    return [setting for group in settings for setting in group]


def _experiment(
    config: str | None, settings: list[str], family: str | None, minutes: float | None, steps: int | None
) -> Experiment:
    """What options ask for: they win over settings, and those over the preset."""
    from worldgan.config import load
    from worldgan.training.trainer import Experiment

    experiment = load(Experiment, config, settings)
    experiment = replace(experiment, family=family or experiment.family)
    if minutes is not None or steps is not None:
        experiment = replace(experiment, training=replace(experiment.training, minutes=minutes, steps=steps))
    return experiment


def _of_family(family: str, families: tuple[str, ...], settings: list[str]) -> list[str]:
    """Those for all families, and those that begin with the name of this one, without it."""
    others = tuple(f"{other}." for other in families if other != family)
    return [setting.removeprefix(f"{family}.") for setting in settings if not setting.startswith(others)]


def _command(verb: str, options: dict[str, Any]) -> str:
    """The command line that gives these options, without those that are None or empty."""
    words = ["worldgan", verb]
    for name, value in options.items():
        values = [str(each) for each in value] if isinstance(value, tuple | list) else [str(value)]
        words += [f"--{name}", *values] if values and value is not None else []
    return shlex.join(words)


def _check_same(trained: str, env: str) -> None:
    """Raises WorldganError unless both ids, module prefixes aside, are one: frames of two envs may well fit."""
    if trained.rpartition(":")[2] != env.rpartition(":")[2]:
        raise WorldganError(f"expected --env {trained}, on which the model was trained, got {env}")


def _cautious(model: Path, weight: float, distrust: str, ensemble: tuple[Path, ...]) -> WorldModel[Any]:
    """The model to plan in: itself, or with lower rewards where it is not to be trusted."""
    from worldgan.agents import Ensemble, Pessimist, usual
    from worldgan.training.checkpoint import Run

    run = Run(model)
    world: WorldModel[Any] = run.model(realism=bool(weight), surprise=distrust == "surprise")
    if ensemble:
        world = Ensemble(world, [_model(path) for path in ensemble])
    if not weight:
        return world
    return Pessimist(world, usual(world, run.starts(beginnings=False), distrust), distrust=distrust, weight=weight)


def _model(run: str | Path) -> WorldModel[Any]:
    from worldgan import load

    return load(run)


_VERBS = (doctor, collect, train, evaluate, compare, plan, play, imagine, export, data, push, pull, demo)
VERBS = {verb.__name__: verb for verb in _VERBS}


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
