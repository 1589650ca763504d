"""Verbs that make models and measure them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from worldgan.cli.settings import Settings, command_line, each_of, experiment_of
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.progress import progress
from worldgan.saved import saved


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
    """Train a predictor family on a data set; in several processes under torchrun (docs/scale.md).

    Args:
        data: folder of the data set.
        out: folder of the run.
        family: gan, mse, ...; overrides the preset's.
        minutes: budget of training time.
        steps: budget of updates, instead of minutes.
        resume: go on with the run in OUT.
        config: a YAML file, or the name of a preset.
        settings: single settings, such as model.events=4 or training.batch=64.
    """
    from worldgan.parallel import group, leads
    from worldgan.training.trainer import train as fit

    experiment = experiment_of(config, each_of(settings), family, minutes, steps)
    with group(), progress(f"train {experiment.family}", 100, unit="%") as report:
        fit(data, experiment, out, resume=resume, report=lambda done, note="": report(100 * done, note))
        if leads():
            print(f"run at {out}")


def dream(
    run: tyro.conf.Positional[Path],
    out: Path,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    data: Path | None = None,
    seed: int | None = None,
    device: Device = "cpu",
    config: Path | None = None,
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
) -> None:
    """Train an agent, an actor and a critic, in the imagination of a model, for worldgan plan to play or to plan with.

    Args:
        run: folder of the run whose model imagines.
        out: folder of the agent.
        minutes: budget of training time.
        steps: budget of updates, instead of minutes.
        resume: go on with the agent in OUT.
        data: folder of a data set to start from states of; without it, that of the run.
        seed: of everything random; without it, that of the settings.
        device: what the model computes on.
        config: a YAML file.
        settings: single settings, such as horizon=10 or entropy=0.003.
    """
    from worldgan.agents import DreamConfig
    from worldgan.config import load as configure
    from worldgan.dream import dream as learn

    chosen = configure(DreamConfig, config, each_of(settings))
    if minutes is not None or steps is not None:
        chosen = replace(chosen, minutes=minutes, steps=steps)
    if seed is not None:
        chosen = replace(chosen, seed=seed)
    with progress("dream", 100, unit="%") as report:
        learn(
            run, chosen, out, data=data, resume=resume, report=lambda done, note="": report(100 * done, note),
            device=device,
        )  # fmt: skip
    print(f"agent at {out}")


def evaluate(
    runs: tuple[Path, ...],
    data: Path,
    out: Path,
    horizon: int = 50,
    windows: int = 64,
    samples: int = 4,
    policies: int = 10,
    agent: Path | None = None,
    seed: int = 0,
    workers: str = "1",
    device: Device = "cpu",
) -> None:
    """Put trained runs beside each other on held-out windows: table, metrics.json, curves, strip and animation.

    Where the env is installed, policies of different strength also play in each simulator and in the real env, and
    ranking.json and ranking.png say whether the simulator ranks them right.

    Args:
        runs: folders of runs, or exported .onnx files.
        data: folder of the data set; its validation episodes are used.
        out: folder for the report.
        horizon: steps imagined.
        windows: how many contexts.
        samples: rollouts per context for the "best of N" metrics and the energy score, which needs 2 to see chance.
        policies: how many are ranked by their returns, minutes of work for large frames; 0 ranks none.
        agent: folder of an agent that dream or learn trained, which a part of these policies follow, if any are ranked.
        seed: of windows, samples and policies.
        workers: processes that share out the runs' curves and policies; or "ray", for a whole cluster.
        device: what the models compute on.
    """
    from worldgan.evaluate import Measurement, Subject
    from worldgan.evaluate import evaluate as measure
    from worldgan.executor import Executor

    executor = Executor.named(workers)
    here = Path.cwd() if executor.workers == "ray" else Path()  # workers of a cluster may be at work in other folders
    families = [saved(path).info().family for path in runs]
    names = families if len({*families}) == len(families) else [str(path) for path in runs]
    subjects = [Subject(name, here / path, device) for name, path in zip(names, runs, strict=True)]
    how = Measurement(here / data, horizon, windows, samples, policies, seed, None if agent is None else here / agent)
    with progress("evaluate", 100, unit="%") as report:
        told = lambda done, note="": report(100 * done, note)  # noqa: E731
        tables = measure(subjects, how, out, executor=executor, report_progress=told)
    print(tables)
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
        settings: single settings, such as training.batch=64 for all families or gan.model.events=4 for one.
        horizon: steps imagined.
        windows: how many contexts.
        samples: rollouts per context for the "best of N" metrics and the energy score, which needs 2 to see chance.
        drift: steps of the long rollouts.
    """
    from worldgan.compare import Comparison
    from worldgan.compare import compare as run
    from worldgan.data.store import EpisodeStore
    from worldgan.evaluation.report import table
    from worldgan.evaluation.yardstick import Sizes

    if len({*families}) < len(families):
        raise WorldganError(f"expected different families, got {', '.join(families)}")
    given = {name: of_family(name, families, each_of(settings)) for name in families}
    experiments = {
        name: experiment_of(config, [f"training.seed={seed}", *each], name, minutes, steps)
        for name, each in given.items()
    }
    sizes = Sizes(horizon=horizon, windows=windows, samples=samples, drift=drift)
    budget = {"minutes": minutes, "steps": steps}
    chosen = {"seed": seed, "config": config, "set": each_of(settings), **vars(sizes)}
    command = command_line("compare", {"data": data, "families": families, **budget, "out": out, **chosen})
    found = run(Comparison(EpisodeStore.open(data), experiments, sizes, seed, command), out)
    print(table({name: each.horizons for name, each in found.items() if each.horizons}))
    print(f"page at {out}/index.html")


def of_family(family: str, families: tuple[str, ...], settings: list[str]) -> list[str]:
    """Those for all families, and those that begin with the name of this one, without it."""
    others = tuple(f"{other}." for other in families if other != family)
    return [setting.removeprefix(f"{family}.") for setting in settings if not setting.startswith(others)]
