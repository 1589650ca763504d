"""The fault-injection suite: make faults. Faults that are not run keep the numbers that --out has of them.

Parts of it can run at the same time, each with --only and an --out of its own, and then be put together with --merge.

Needs Linux. Everything random comes from the seed, but for the moments at which a process is killed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), *(str(TESTS / name) for name in ("", "data", "training"))]

import clocks
import crowd
import disks
import fuzz
import harm
import kills
import page
import tensorboard.compat.proto.summary_pb2  # noqa: F401 - here, and not in every process that is forked
import torch.utils.tensorboard
from jobs import benching, collecting, looping, training
from readers import readers
from rivals import rivals
from tally import Tally
from tiny import dot_store

from worldgan.training import trainer


def suite(
    folder: Path, share: float, seed: int, only: list[str], skip: list[str]
) -> Iterator[tuple[str, Tally, float]]:
    """Every fault, as often as ``share`` of the whole says, and the seconds that it took."""

    def times(whole: int) -> int:
        return max(2, round(share * whole))

    def place() -> Path:
        return Path(tempfile.mkdtemp(dir=folder))

    def every(most: int) -> int:
        return max(1, min(most, round(1 / share)))

    data = dot_store(place() / "data")
    quick, slow, train = collecting(300), collecting(300, delay=0.0005), training(data, 6)
    loop, bench = looping(), benching()
    faults: dict[str, Callable[[Random], Tally]] = {
        "kill collect": lambda rng: kills.randomly(slow, place(), times(200), rng),
        "kill train": lambda rng: kills.randomly(train, place(), times(100), rng),
        "kill learn": lambda rng: kills.randomly(loop, place(), times(50), rng),
        "kill bench": lambda rng: kills.randomly(bench, place(), times(20), rng),
        "step collect": lambda _: kills.stepwise(quick, place(), every(20)),
        "step train": lambda _: kills.stepwise(train, place(), every(20)),
        "step learn": lambda _: kills.stepwise(loop, place(), every(20)),
        "two collect": lambda _: rivals(slow, place(), times(100)),
        "two train": lambda _: rivals(train, place(), times(50)),
        "two learn": lambda _: rivals(loop, place(), times(20)),
        "two bench": lambda _: rivals(bench, place(), times(10), parts=True),
        "full collect": lambda rng: disks.full(quick, place(), times(50), rng, most=40_000),
        "full train": lambda rng: disks.full(train, place(), times(30), rng, most=4_000_000),
        "full learn": lambda rng: disks.full(loop, place(), times(20), rng, most=4_000_000),
        "full bench": lambda rng: disks.full(bench, place(), times(10), rng, most=4_000_000),
        "read-only collect": lambda rng: disks.read_only(quick, place(), times(20), rng),
        "read-only train": lambda rng: disks.read_only(train, place(), times(10), rng),
        "read-only learn": lambda rng: disks.read_only(loop, place(), times(10), rng, within=2),
        "read-only bench": lambda rng: disks.read_only(bench, place(), times(10), rng, within=8),
        "cut": lambda rng: harm.cut(place(), times(1000), rng, every=every(20)),
        "flip": lambda rng: harm.flip(place(), times(5000), rng),
        "clock": lambda rng: clocks.jump(place(), data, times(20), rng),
        "crowd": lambda rng: crowd.crowd(place(), share, rng),
    }
    for reader in readers(place()):
        faults[f"declared {reader.name}"] = lambda _, reader=reader: fuzz.declared(reader)
        faults[f"fuzz {reader.name}"] = lambda _, reader=reader: fuzz.fuzz(reader, times(100_000), seed)
    for name, fault in faults.items():
        if name not in skip and any(each in name for each in only):
            began, spent = time.monotonic(), _spent()
            tally = fault(Random(f"{seed} {name}"))  # of its own: it does not matter which others are run
            spent = _spent() - spent
            print(f"{spent:6.1f} s  {name}: {tally.tried} tried, {tally.failed} failed", tally.counts, flush=True)
            print(*tally.failures, sep="\n", end="\n" if tally.failures else "")
            yield name, tally, time.monotonic() - began


def _spent() -> float:
    """Seconds of the processor, those of finished children too."""
    return sum(os.times()[:4])


def _commit() -> str:
    """Of what is tested, with a + if that was changed since."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=TESTS.parent, capture_output=True, text=True)

    with suppress(OSError):  # no git
        head = git("rev-parse", "--short=10", "HEAD")
        changed = git("diff", "--quiet", "HEAD", "--", "worldgan", "envs", "agents", "tests").returncode
        if not head.returncode:
            return head.stdout.strip() + "+" * bool(changed)
    return "unknown"


def main() -> int:
    """Returns 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the whole suite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=[""], nargs="+", help="faults with one of these in their names")
    parser.add_argument("--skip", default=[], nargs="+", help="faults with these names")
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    parser.add_argument("--page", type=Path, help="Markdown made from it")
    parser.add_argument("--merge", type=Path, nargs="+", help="run nothing; JSON of parts, to be put into --out")
    given = parser.parse_args()
    found = json.loads(given.out.read_text()) if given.out.exists() else {}
    for part in given.merge or []:
        found |= json.loads(part.read_text())
    if given.merge:
        keep(given, found)
    else:
        run(given, found)
    return int(any(each["failed"] for each in found.values()))


def run(given: argparse.Namespace, found: dict[str, Any]) -> None:
    """Put what is counted into ``found``, and keep it, as it comes."""
    commit = _commit()
    logging.disable()
    torch.set_num_threads(1)  # and no pool of threads, which a fork would not have
    trainer.SHOWN_STEPS = 3  # long sample videos are most of a short training's time
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free >= 512 << 20  # in a container it may have 64 MB
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as folder:
        for name, tally, seconds in suite(Path(folder), given.share, given.seed, given.only, given.skip):
            origin = {"share": given.share, "seed": given.seed, "commit": commit, "seconds": round(seconds, 1)}
            found[name] = origin | tally.plain()
            keep(given, found)


def keep(given: argparse.Namespace, found: dict[str, Any]) -> None:
    """Write ``--out``, and ``--page``."""
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    if given.page:
        given.page.write_text(page.page(found))


if __name__ == "__main__":
    sys.exit(main())
