"""What more processes are worth on this machine: python benchmarks/scale.py --processes 1 2

Prints the tables of docs/scale.md: training at a batch for each process and at the same batch for all together, and
collection. Every process computes in one thread, so that one process does not take what two have.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from worldgan import envs
from worldgan.data.collect import collect
from worldgan.training.checkpoint import Run

ENV, SIZE, STEPS = "worldgan/Paddle-v0", 64, 2000
SETTINGS = ("training.rollout=[1]", "training.sample_minutes=1000", "model.adversary.warmup=0")


def trained(data: Path, out: Path, processes: int, batch: int, updates: int) -> float:
    """Seconds of an update."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *torchrun, "-m", "worldgan", "train", "--data", str(data), "--out", str(out)]
    command += ["--steps", str(updates), "--set", *SETTINGS, f"training.batch={batch}"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return Run(out).info().progress["seconds"] / updates


def collected(out: Path, workers: int, steps: int) -> float:
    """Steps a second, from the start of the command."""
    command = [sys.executable, "-m", "worldgan", "collect", "--env", ENV, "--out", str(out), "--steps", str(steps)]
    began = time.monotonic()
    subprocess.run([*command, "--workers", str(workers), "--env-args", f"size={SIZE}"], check=True, capture_output=True)
    return steps / (time.monotonic() - began)


def table(head: str, counts: Sequence[int], speed: Callable[[int], float]) -> None:
    """A row for each number of processes, with its speed over that of as many single ones."""
    print(f"\n| processes | {head} | efficiency |\n| --- | --- | --- |")
    alone = None
    for count in counts:
        found = speed(count)
        alone = alone or found / count
        print(f"| {count} | {found:,.1f} | {found / (count * alone):.0%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--collect-steps", type=int, default=40_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, batch, updates = Path(name), args.batch, args.updates
        data = folder / "data"
        collect(lambda: envs.make(ENV, size=SIZE), envs.spec(ENV, {"size": SIZE}), data, steps=STEPS)
        weak = lambda n: n * batch / trained(data, folder / f"weak{n}", n, n * batch, updates)  # noqa: E731
        strong = lambda n: batch / trained(data, folder / f"strong{n}", n, batch, updates)  # noqa: E731
        table(f"frames/s of gan, batch {batch} each", args.processes, weak)
        table(f"frames/s of gan, batch {batch} in all", args.processes, strong)
        table("steps/s collected", args.processes, lambda n: collected(folder / f"collected{n}", n, args.collect_steps))


if __name__ == "__main__":
    main()
