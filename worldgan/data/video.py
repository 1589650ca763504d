"""Recorded videos and a table of the actions taken in them -> a data set.

The table is a CSV file with a row per action: ``video``, the file; ``step`` (or ``frame``), the number of the frame
that the action was taken at, from 0; ``action``; and, if known, ``reward`` and ``terminated`` of the transition from
that frame to the next. A missing reward is kept as unknown. Each unbroken run of rows of a video is an episode.
"""

from __future__ import annotations

import csv
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import cv2
import numpy as np

from worldgan.actions import ActionSpec
from worldgan.data import codec
from worldgan.data.store import EpisodeStore, writing
from worldgan.errors import WorldganError, unknown
from worldgan.pixels import Frames, check_size, fit
from worldgan.progress import Report
from worldgan.types import EnvSpec

SUFFIXES = (".mp4", ".webm", ".gif")
COLUMNS = ("video", "step", "frame", "action", "reward", "terminated")
TRUTHS = {"": False, "0": False, "false": False, "1": True, "true": True}
_WHOLE = re.compile(r"[-+]?\d+")


@dataclass(frozen=True)
class Row:
    """A line of the table, or several of one video that became one step.

    line: its number in the file, for messages.    step, after: the frames it leads from and to.
    action: its numbers.    whole: whether all are written without a point.    reward: None if nobody wrote it down.
    """

    line: int
    step: int
    after: int
    action: tuple[float, ...]
    whole: bool
    reward: float | None
    terminated: bool


Runs = list[list[Row]]


def import_videos(
    folder: Path,
    out: Path,
    *,
    table: Path | None = None,
    actions: int | None = None,
    size: int | None = None,
    every: int = 1,
    fps: float | None = None,
    report: Report | None = None,
) -> EpisodeStore:
    """Make ``out`` the data set of the videos in ``folder``; again to go on after a kill.

    table: the CSV file, None for the only one in ``folder``.    size: side of the square frames, as in ``pixels.fit``.
    actions: how many there are, None for as many as are found; only for one whole number a row.
    every: keep each so many-th frame, with the action taken there and the sum of the rewards on the way, which is
    unknown if one of them is.
    fps: keep about so many frames a second instead.    report: gets the share done, 0 to 1.
    Whole numbers become a Discrete space, several of them MultiDiscrete; others a Box as wide as the values found.
    A step that leads beyond the end of its video is left out. Episodes are truncated unless the table says
    terminated. One episode is in memory at a time, compressed.
    Raises WorldganError, with the row, for a bad table, or with the file for a video that cannot be read.
    """
    check_size(size)
    if every < 1 or (fps is not None and (fps <= 0 or every > 1)):
        raise WorldganError(f"expected every of at least 1, or fps above 0 alone, got every {every}, fps {fps}")
    table = table or _only_table(folder)
    runs = {name: _runs(rows, name, table) for name, rows in _read(table, folder).items()}
    shape = _shape(folder / next(iter(runs)), size)
    spec = EnvSpec(f"video/{folder.resolve().name}", shape, _space(runs, actions, table))
    pace = f"{fps:g} a second" if fps else f"every {every}"
    policy = f"{table.name} {zlib.crc32(table.read_bytes()):08x}, frames: {pace}"
    with writing(out, spec, seed=0, policy=policy) as store:
        number = 0
        for done, (name, found) in enumerate(runs.items(), 1):
            episodes = dict(enumerate(found, number))
            number += len(found)
            stride = _stride(folder / name, fps) if fps else every
            thinned = {index: _thin(rows, stride) for index, rows in episodes.items() if index not in store}
            for index, data in _encoded(folder / name, thinned, spec, size, table):
                store.add_encoded(index, data)
            if report is not None:
                report(done / len(runs), name)
    if not store.indices():
        raise WorldganError(f"expected videos that go on after the actions in {table}, got none that does")
    return store


def _only_table(folder: Path) -> Path:
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise WorldganError(f"expected one CSV file in {folder}, got {names}: name it with --table")
    return found[0]


def _read(table: Path, folder: Path) -> dict[str, list[Row]]:
    """Video -> its rows, both in the order of the table."""
    found: dict[str, list[Row]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="", skipinitialspace=True)
            _check_columns(reader.fieldnames or [], table)
            for cells in reader:
                where = f"{table.name} row {reader.line_num}"
                if cells.get(""):
                    raise WorldganError(f"{where}: expected {len(reader.fieldnames or [])} cells, got more")
                row = _row({key: str(value or "").strip() for key, value in cells.items()}, reader.line_num, where)
                found.setdefault(_video(cells["video"].strip(), folder, where), []).append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WorldganError(f"cannot read {table}: {getattr(error, 'strerror', None) or error}") from None
    if not found:
        raise WorldganError(f"expected rows in {table}, found none below the header")
    return found


def _check_columns(names: Iterable[str], table: Path) -> None:
    given = list(names)
    for name in given:
        if name not in COLUMNS:
            raise unknown(f"column of {table.name}", name, COLUMNS)
    if not {"video", "action"} <= {*given} or ("step" in given) == ("frame" in given) or len({*given}) < len(given):
        raise WorldganError(f"expected columns video, step and action in {table}, got {', '.join(given) or 'none'}")


def _video(name: str, folder: Path, where: str) -> str:
    path = folder / name
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise WorldganError(f"{where}: expected a video ({', '.join(SUFFIXES)}) in {folder}, got {name!r}")
    return name


def _row(cells: Mapping[str, str], line: int, where: str) -> Row:
    step = cells.get("step") or cells.get("frame") or ""
    if not step.isdecimal():
        raise WorldganError(f"{where}: expected the number of a frame, from 0, got {step!r}")
    words = cells["action"].split()
    if not words:
        raise WorldganError(f"{where}: expected a number for action, or several with spaces between them, got nothing")
    ended = cells.get("terminated", "").lower()
    if ended not in TRUTHS:
        raise WorldganError(f"{where}: expected terminated to be 0 or 1, got {ended!r}")
    return Row(
        line=line,
        step=int(step),
        after=int(step) + 1,
        action=tuple(_number(word, "action", where) for word in words),
        whole=all(_WHOLE.fullmatch(word) for word in words),
        reward=_number(cells["reward"], "reward", where) if cells.get("reward") else None,
        terminated=TRUTHS[ended],
    )


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WorldganError(f"{where}: expected a finite number for {what}, got {text!r}")
    return value


def _runs(rows: list[Row], video: str, table: Path) -> Runs:
    """Unbroken runs of rows, in the order of their frames."""
    runs: Runs = []
    for row in sorted(rows, key=lambda row: row.step):
        last = runs[-1][-1] if runs else None
        if last is None or row.step > last.after:
            runs.append([row])
            continue
        where = f"{table.name} row {row.line}"
        if row.step == last.step:
            raise WorldganError(f"{where}: expected one row for step {row.step} of {video}, row {last.line} is another")
        if last.terminated:
            raise WorldganError(
                f"{where}: expected no action at the last frame of an episode, which ended in row {last.line}: leave "
                f"step {row.step} of {video} out"
            )
        runs[-1].append(row)
    return runs


def _space(runs: Mapping[str, Runs], count: int | None, table: Path) -> ActionSpec:
    """What the actions have in common. Raises WorldganError, with the row, for one that does not fit."""
    rows = [row for found in runs.values() for run in found for row in run]
    for row in rows:
        if len(row.action) != len(rows[0].action):
            numbers = f"{len(rows[0].action)} numbers as in row {rows[0].line}, got {len(row.action)}"
            raise WorldganError(f"{table.name} row {row.line}: expected an action of {numbers}")
    values = np.asarray([row.action for row in rows])
    low, high = values.min(0), values.max(0)
    if not all(row.whole for row in rows):
        if count is not None:
            row = next(row for row in rows if not row.whole)
            raise WorldganError(f"{table.name} row {row.line}: expected an action in 0..{count - 1}, got {row.action}")
        return ActionSpec("box", low.shape, tuple(map(float, low)), tuple(map(float, high)))
    if count is not None and len(low) > 1:
        raise WorldganError(f"expected one number an action in {table} for a given count of actions, got {len(low)}")
    sizes = high + 1 if count is None else np.asarray([count])
    for row in rows:
        if (np.asarray(row.action) < 0).any() or (np.asarray(row.action) >= sizes).any():
            given = " ".join(f"{number:.0f}" for number in row.action)
            limit = f"0..{count - 1}" if count else "0 or more"
            raise WorldganError(f"{table.name} row {row.line}: expected an action of {limit}, got {given}")
    return ActionSpec("discrete" if len(sizes) == 1 else "multidiscrete", tuple(map(int, sizes)))


def _thin(rows: list[Row], stride: int) -> list[Row]:
    """Join each ``stride`` rows into one; fewer at the end are left out, unless they lead to the end of the episode."""
    groups = [rows[start : start + stride] for start in range(0, len(rows), stride)]
    whole = [group for group in groups if len(group) == stride or group[-1].terminated]
    return [
        replace(
            group[0],
            line=group[-1].line,
            after=group[-1].after,
            reward=_sum([row.reward for row in group]),
            terminated=group[-1].terminated,
        )
        for group in whole
    ]


def _sum(rewards: list[float | None]) -> float | None:
    """None if any is unknown."""
    known = [reward for reward in rewards if reward is not None]
    return math.fsum(known) if len(known) == len(rewards) else None


def _encoded(
    path: Path, runs: Mapping[int, list[Row]], spec: EnvSpec, size: int | None, table: Path
) -> Iterator[tuple[int, bytes]]:
    """Index and file of every episode that has a step, reading the video once."""
    with closing(_Video(path, size)) as video:
        for index, rows in ((index, rows) for index, rows in runs.items() if rows):
            first = video.at(rows[0].step)
            if first is None:
                raise _too_short(video, rows[0], table)
            if first.shape != spec.frame:
                got = f"frames {spec.frame} in {path} as in the first video, got {first.shape}"
                raise WorldganError(f"expected {got}: give all one --size")
            encoder, known = codec.Encoder(spec, first), list[bool]()
            for row in rows:
                frame = video.at(row.after)
                if frame is not None:
                    action = np.asarray(row.action, spec.actions.dtype).reshape(spec.actions.shape)
                    encoder.step(action, row.reward or 0.0, frame)
                    known.append(row.reward is not None)
                elif row.terminated or row.after > video.count:
                    raise _too_short(video, row, table)
            if len(encoder):
                ended, masks = rows[-1].terminated, {} if all(known) else {"reward_known": np.asarray(known)}
                yield index, encoder.finish(terminated=ended, truncated=not ended, masks=masks)


def _too_short(video: _Video, row: Row, table: Path) -> WorldganError:
    needed = f"frame {row.after} after the end of an episode" if row.terminated else f"frame {row.after - 1}"
    return WorldganError(
        f"{table.name} row {row.line}: expected {needed} in {video.path.name}, which has {video.count} frames"
    )


@final
class _Video:
    """Frames of a video, in ascending order. count: frames seen so far.

    Raises WorldganError if it cannot be opened.
    """

    def __init__(self, path: Path, size: int | None) -> None:
        self.path, self.count, self._size = path, 0, size
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise WorldganError(f"cannot read {path} as a video: convert it to mp4 or webm")

    @property
    def fps(self) -> float:
        """Frames a second. Raises WorldganError if the file does not say."""
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        if not rate > 0:
            raise WorldganError(f"expected {self.path} to state its frames a second, and it does not: use --every")
        return rate

    def at(self, number: int) -> Frames | None:
        """Frame ``number``, uint8 [H, W, 3], resized; later than the one before. None beyond the end."""
        assert number >= self.count
        while self.count <= number:
            if not self._capture.grab():
                return None
            self.count += 1
        _, frame = self._capture.retrieve()
        return fit(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8), self._size)

    def close(self) -> None:
        """Free the decoder."""
        self._capture.release()


def _shape(path: Path, size: int | None) -> tuple[int, int, int]:
    """(H, W, C) of the first frame, resized."""
    with closing(_Video(path, size)) as video:
        first = video.at(0)
    if first is None:
        raise WorldganError(f"expected frames in {path}, found none")
    return first.shape[0], first.shape[1], first.shape[2]


def _stride(path: Path, fps: float) -> int:
    """How many frames of the video are nearest to 1 / ``fps`` seconds."""
    with closing(_Video(path, None)) as video:
        return max(1, round(video.fps / fps))
