"""Verbs that fill data sets, from envs, from a model, from other formats, and look after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from worldgan import envs
from worldgan.cli.settings import OneOf, Settings, check_same, options_of, planners
from worldgan.data.store import EpisodeStore
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.progress import Report, part, progress
from worldgan.saved import saved

if TYPE_CHECKING:
    from worldgan.data.damage import Condition


def doctor(env: str, env_args: Settings = ()) -> None:
    """Say in plain words what worldgan will do with an env, or why it cannot.

    Args:
        env: gymnasium id, or module:Id.
        env_args: options of the env, such as size=64 or sticky=0.
    """
    print(envs.describe(envs.diagnose(env, options_of(env_args))))


def collect(
    env: str,
    steps: int,
    out: Path,
    policy: str = "random",
    num_envs: int = 8,
    seed: int = 0,
    epsilon: float = 0.1,
    workers: str = "1",
    shard: str | None = None,
    device: Device = "cpu",
    env_args: Settings = (),
) -> None:
    """Play episodes into a data set; run it again to go on after an interruption, or with more steps.

    Args:
        env: gymnasium id, or module:Id.
        steps: how many to collect at least.
        out: folder of the data set.
        policy: "random", or the folder of a run, or an .onnx file, whose model a planner then plays with.
        num_envs: envs played at once; random play does not depend on it.
        seed: of everything random.
        epsilon: share of random actions beside a planner's.
        workers: processes that play at random, with the same result as one; or "ray", for a whole cluster.
        shard: such as 3/100, to play the third of a hundred shares, beside the others (docs/scale.md).
        device: what the policy's model computes on.
        env_args: options of the env, such as size=64 or sticky=0; without any, those that the policy's model knows.
    """
    from worldgan.agents import PLANNERS, PlannerConfig, check_match
    from worldgan.data.collect import collect as play
    from worldgan.data.shards import Shard
    from worldgan.executor import Executor

    mine = None if shard is None else Shard.named(shard)
    executor, options, agent, name = Executor.named(workers), options_of(env_args), None, policy
    if policy != "random":
        kept = saved(Path(policy))
        world, name = kept.model(device=device), f"{policy} {kept.stamp()}"
        options = options or dict(world.spec.options)
        check_match(world.spec, envs.spec(env, options))
        check_same(world.spec.id, env)
        agent = PLANNERS["shooting"](world, PlannerConfig(seed=seed))
    with progress(f"collect {env}", mine.share(steps) if mine else steps) as report:
        store = play(
            partial(envs.make, env, **options),
            envs.spec(env, options),
            out,
            steps=steps,
            policy=agent,
            policy_name=name,
            epsilon=epsilon if agent else 0.0,
            num_envs=num_envs,
            executor=None if executor == Executor() else executor,
            shard=mine,
            seed=seed,
            report=report,
        )
    if mine:
        print(f"shard {mine} has played its share: after all have, the same command without --shard puts them in place")
        return
    print(f"{store.steps:,} steps in {len(store.indices()):,} episodes at {out}")


def imagine(
    model: tyro.conf.Positional[Path],
    steps: int,
    out: Path,
    policy: Annotated[str, tyro.conf.arg(help_behavior_hint=OneOf(lambda: ["random", *planners()]))] = "random",
    num_envs: int = 16,
    horizon: int = 200,
    seed: int = 0,
    device: Device = "cpu",
) -> None:
    """Play episodes in the learned simulator into a data set; run it again to go on, or with more steps.

    Args:
        model: folder of the run to imagine with, or an exported .onnx file.
        steps: how many to imagine at least.
        out: folder of the data set.
        policy: who acts: random play, or a planner in the same model.
        num_envs: envs imagined at once.
        horizon: steps after which an episode is truncated.
        seed: of everything random.
        device: what the model computes on.
    """
    from worldgan.agents import PlannerConfig, planner_named
    from worldgan.imagine import imagine as play

    make, kept = None if policy == "random" else planner_named(policy, ["random"]), saved(model)
    world = kept.model(device=device)
    agent = make(world, PlannerConfig(seed=seed)) if make else None
    with progress(f"imagine {world.spec.id}", steps) as report:
        store = play(
            world,
            kept.starts(beginnings=True),
            out,
            steps=steps,
            name=f"{model} {kept.stamp()}",
            policy=agent,
            policy_name=policy,
            num_envs=num_envs,
            horizon=horizon,
            seed=seed,
            report=report,
        )
    print(f"{store.steps:,} imagined steps in {len(store.indices()):,} episodes at {out}")


def to_minari(data: tyro.conf.Positional[Path], id: str) -> None:
    """Write a data set as a Minari data set, losing nothing.

    Args:
        data: folder of the data set.
        id: of the Minari data set, such as breakout/random-v0.
    """
    from worldgan.data.minari import export_minari

    store = EpisodeStore.open(data)
    with _shares(f"export {data}") as report:
        path = export_minari(store, id, report=report)
    print(f"{store.steps:,} steps in {len(store.indices()):,} episodes at {path}")


def from_minari(id: tyro.conf.Positional[str], out: Path, key: str | None = None, size: int | None = None) -> None:
    """Read a Minari data set of images that is on this machine.

    Args:
        id: of the Minari data set, such as breakout/random-v0.
        out: folder of the data set.
        key: entry of dict observations that holds the images, if several do.
        size: side of the frames in pixels; without it at most 64 are kept and more are shrunk to 64x64.
    """
    from worldgan.data.minari import import_minari

    with _shares(f"import {id}") as report:
        store = import_minari(id, out, key=key, size=size, report=report)
    print(_said(store))


def from_video(
    videos: tyro.conf.Positional[Path],
    out: Path,
    table: Path | None = None,
    actions: int | None = None,
    size: int | None = None,
    every: int = 1,
    fps: float | None = None,
) -> None:
    """Read a folder of videos (mp4, webm, gif) and a CSV file of the actions taken in them.

    Args:
        videos: folder of the videos.
        out: folder of the data set.
        table: CSV file of columns video, step, action and perhaps reward, terminated; without it the one there.
        actions: how many actions there are; without it as many as are found.
        size: side of the frames in pixels; without it at most 64 are kept and more are shrunk to 64x64.
        every: keep each so many-th frame.
        fps: keep about so many frames a second.
    """
    from worldgan.data.video import import_videos

    with _shares(f"import {videos}") as report:
        store = import_videos(videos, out, table=table, actions=actions, size=size, every=every, fps=fps, report=report)
    print(_said(store))


def verify(data: tyro.conf.Positional[Path]) -> None:
    """Read every byte of a data set and name what is damaged; exit code 2 if anything is.

    Args:
        data: folder of the data set.
    """
    from worldgan.data.damage import verify as look

    with _shares(f"verify {data}") as report:
        found = look(data, report=report)
    _tell(found)
    if found.damaged:
        raise WorldganError(
            f"expected sound files in {data}, got {_files(len(found.damaged))} damaged: set aside what is with "
            f"worldgan data repair {data}"
        )


def repair(data: tyro.conf.Positional[Path]) -> None:
    """Move what is damaged to DATA/damaged; the command that made the data set then replaces it, bit for bit.

    Args:
        data: folder of the data set.
    """
    from worldgan.data.damage import ASIDE
    from worldgan.data.damage import repair as mend

    with _shares(f"repair {data}") as report:
        found = mend(data, report=report)
    _tell(found)
    print(
        f"{_files(len(found.damaged))} moved to {data / ASIDE}, {_files(len(found.leftovers))} removed as half written"
    )


def _files(number: int) -> str:
    return f"{number:,} file" if number == 1 else f"{number:,} files"


def _tell(found: Condition) -> None:
    """A line each on what is damaged, missing and sound."""
    for why in found.damaged.values():
        print(why)
    if found.missing:
        first = ", ".join(map(str, found.missing[:10])) + (", ..." if len(found.missing) > 10 else "")
        print(f"not there or damaged: episodes {first}; run again what made the data set to replace them")
    print(f"sound: {found.steps:,} steps in {found.episodes:,} episodes")


JOBS = {
    "to-minari": to_minari,
    "from-minari": from_minari,
    "from-video": from_video,
    "verify": verify,
    "repair": repair,
}
Job = Annotated[
    Annotated[Any, tyro.conf.subcommand("to-minari", constructor=to_minari)]
    | Annotated[Any, tyro.conf.subcommand("from-minari", constructor=from_minari)]
    | Annotated[Any, tyro.conf.subcommand("from-video", constructor=from_video)]
    | Annotated[Any, tyro.conf.subcommand("verify", constructor=verify)]
    | Annotated[Any, tyro.conf.subcommand("repair", constructor=repair)],
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.OmitArgPrefixes,
]


def data(job: Job) -> None:
    """Data sets: of other formats (Minari, and videos with a table of actions), and of damaged files."""
    del job  # done by being parsed


@contextmanager
def _shares(label: str) -> Iterator[Report]:
    """A progress display of shares, 0 to 1."""
    with progress(label, 100, unit="%") as report:
        yield part(report, 0, 100, 1)


def _said(store: EpisodeStore) -> str:
    """One line on what there is now."""
    height, width, _ = store.spec.frame
    amount = f"{store.steps:,} steps in {len(store.indices()):,} episodes"
    return f"{amount} of {height}x{width} frames and {store.spec.actions} actions at {store.path}"
