"""The command line: one short function per verb."""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

from worldgan.cli.acting import learn, plan
from worldgan.cli.benching import bench
from worldgan.cli.datasets import collect, data, doctor, imagine
from worldgan.cli.modelling import compare, dream, evaluate, train
from worldgan.cli.sharing import export, play, pull, push
from worldgan.errors import WorldganError
from worldgan.machine import keep_memory
from worldgan.progress import console


def demo(out: Path = Path("demo"), seed: int = 0) -> None:
    """The main job in under six minutes: collect, train gan and mse, evaluate both, plan in both, compare.

    Args:
        out: folder for data, runs, tables and pictures.
        seed: of everything random.
    """
    from worldgan.demo import run

    run(out, seed=seed)


_MODELS = (doctor, collect, train, evaluate, compare)
_AGENTS = (dream, plan, learn, bench)
_SHARING = (play, imagine, export, data, push, pull, demo)
VERBS = {verb.__name__: verb for verb in (*_MODELS, *_AGENTS, *_SHARING)}


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
        line = (
            "worldgan: interrupted; what was finished is kept, the same command (train, dream, learn: --resume) goes on"
        )
        console.print(line, soft_wrap=True)
        return 130
    return 0
