"""The fault-injection suite: make faults. Faults that are not run keep the numbers that --out has of them.

Needs Linux. Everything random comes from the seed, but for the moments at which a process is killed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), *(str(TESTS / name) for name in ("", "data", "training"))]

import clocks
import disks
import fuzz
import harm
import kills
import page
import tensorboard.compat.proto.summary_pb2  # noqa: F401 - here, and not in every process that is forked
import torch.utils.tensorboard
from jobs import collecting, training
from readers import readers
from tally import Tally
from tiny import dot_store

from worldgan.training import trainer


def suite(folder: Path, share: float, seed: int, only: list[str], skip: list[str]) -> Iterator[tuple[str, Tally]]:
    """Every fault, as often as ``share`` of the whole says."""

    def times(whole: int) -> int:
        return max(2, round(share * whole))

    def place() -> Path:
        return Path(tempfile.mkdtemp(dir=folder))

    def every(most: int) -> int:
        return max(1, min(most, round(1 / share)))

    rng = Random(seed)
    data = dot_store(place() / "data")
    quick, slow, train = collecting(300), collecting(300, delay=0.0005), training(data, 6)
    faults: dict[str, Callable[[], Tally]] = {
        "kill collect": lambda: kills.randomly(slow, place(), times(200), rng),
        "kill train": lambda: kills.randomly(train, place(), times(100), rng),
        "step collect": lambda: kills.stepwise(quick, place(), every(20)),
        "step train": lambda: kills.stepwise(train, place(), every(20)),
        "full collect": lambda: disks.full(quick, place(), times(50), rng, most=40_000),
        "full train": lambda: disks.full(train, place(), times(30), rng, most=4_000_000),
        "read-only collect": lambda: disks.read_only(quick, place(), times(20), rng),
        "read-only train": lambda: disks.read_only(train, place(), times(10), rng),
        "cut": lambda: harm.cut(place(), times(1000), rng, every=every(20)),
        "flip": lambda: harm.flip(place(), times(5000), rng),
        "clock": lambda: clocks.jump(place(), data, times(20), rng),
    }
    for reader in readers(place()):
        faults[f"declared {reader.name}"] = partial(fuzz.declared, reader)
        faults[f"fuzz {reader.name}"] = partial(fuzz.fuzz, reader, times(100_000), seed)
    for name, fault in faults.items():
        if name not in skip and any(each in name for each in only):
            began = _spent()
            tally = fault()
            seconds = _spent() - began
            print(f"{seconds:6.1f} s  {name}: {tally.tried} tried, {tally.failed} failed", tally.counts, flush=True)
            print(*tally.failures, sep="\n", end="\n" if tally.failures else "")
            yield name, tally


def _spent() -> float:
    """Seconds of the processor, those of finished children too."""
    return sum(os.times()[:4])


def main() -> int:
    """Returns 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the whole suite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=[""], nargs="+", help="faults with one of these in their names")
    parser.add_argument("--skip", default=[], nargs="+", help="faults with these names")
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    parser.add_argument("--page", type=Path, help="Markdown made from it")
    given = parser.parse_args()
    logging.disable()
    torch.set_num_threads(1)  # and no pool of threads, which a fork would not have
    trainer.SHOWN_STEPS = 3  # long sample videos are most of a short training's time
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        found = json.loads(given.out.read_text()) if given.out.exists() else {}
        for name, tally in suite(Path(folder), given.share, given.seed, given.only, given.skip):
            found[name] = {"share": given.share, "seed": given.seed, **tally.plain()}
            given.out.write_text(json.dumps(found, indent=1) + "\n")
            if given.page:
                given.page.write_text(page.page(found))
    return int(any(each["failed"] for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
