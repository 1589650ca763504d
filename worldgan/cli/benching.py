"""The verb that lets agents compete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from worldgan.cli.settings import Settings, command_line, each_of
from worldgan.executor import Workers


def bench(
    config: tyro.conf.Positional[str],
    out: Path,
    workers: Workers = 1,
    settings: Annotated[Settings, tyro.conf.arg(name="set")] = (),
) -> None:
    """Let agents that plan in a learned model and model-free ones compete at equal real steps; writes a page about it.

    Run it again to go on after an interruption, to try failed runs again, or to add competitors, games or seeds.

    Args:
        config: a YAML file, or the name of a preset: bench/builtin, bench/minatar, bench/atari.
        out: folder for runs, report.json, curves.png and index.html.
        workers: runs at a time, a process each, or ray for those of a whole cluster; 0 only writes up what is there.
        settings: single settings of the benchmark, such as seeds=2 or competitors.ppo.envs=4.
    """
    from worldgan.benchmark import bench as run
    from worldgan.benchmark.suite import Suite
    from worldgan.config import load

    chosen = {"out": out, "workers": workers, "set": each_of(settings)}
    command = command_line("bench", chosen, config)
    print(run(load(Suite, config, each_of(settings)), out, workers=workers, command=command))
    print(f"page at {out}/index.html")
