"""What `worldgan data` offers: data sets of other formats, one short function each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tyro

from worldgan.data.store import EpisodeStore
from worldgan.progress import Report, part, progress


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
