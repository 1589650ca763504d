"""Does memory stay flat while simulating, and small while training on a store of millions of frames?

``python benchmarks/memory.py --data data/breakout``: the store is made of copies of the episodes of the one that is
given, in a temporary folder (about 600 MB for 5 million frames of Breakout), opened, while its files are still in the
page cache, and trained on for a few updates by a process of its own. Then a small model simulates. On Linux.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from simulate import SPEC, build, starts

from worldgan.data.store import EpisodeStore
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.progress import progress
from worldgan.simulator import SimulatedVectorEnv
from worldgan.types import EnvSpec

SMALL = EnvSpec("benchmark", (32, 32, 3), SPEC.actions)
EVERY = 1000
"""Steps between two looks at the memory."""


def resident() -> float:
    """MB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def multiplied(data: Path, out: Path, frames: int) -> None:
    """A store of at least so many steps."""
    source, steps = EpisodeStore.open(data), 0
    (out / "episodes").mkdir(parents=True)
    shutil.copyfile(data / "dataset.json", out / "dataset.json")
    with progress("copy episodes", frames) as report:
        for number, index in enumerate(cycle(source.indices())):
            shutil.copyfile(source.file(index), out / "episodes" / source.file(number).name)
            steps += source.length(index)
            report(steps)
            if steps >= frames:
                return


def opened(path: Path) -> dict[str, float]:
    before, began = resident(), time.perf_counter()
    store = EpisodeStore.open(path)
    took = time.perf_counter() - began
    found = {"steps": store.steps, "episodes": len(store.indices()), "open_seconds": round(took, 2)}
    return found | {"open_mb": round(resident() - before)}


def trained(data: Path, out: Path, updates: int) -> dict[str, float]:
    """Peak memory in GB of ``worldgan train`` with the default gan."""
    command = [sys.executable, "-m", "worldgan", "train", "--data", str(data), "--out", str(out)]
    subprocess.run([*command, "--family", "gan", "--steps", str(updates)], check=True)
    return {"updates": updates, "peak_gb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2)}


def simulated(steps: int) -> list[float]:
    """MB every thousand steps of one env."""
    model, found = build("gan", SMALL, width=16), list[float]()
    env = SimulatedVectorEnv(model, 1, starts=starts(model, 64))
    env.reset(seed=0)
    env.action_space.seed(0)
    with progress("simulate", steps) as report:
        for done in range(steps):
            env.step(env.action_space.sample())
            if done % EVERY == 0:
                found.append(round(resident(), 1))
                report(done, f"{found[-1]} MB")
    return found


def slope(memory: list[float]) -> float:
    """MB that the second half of the run would add in 10^5 steps, along a straight line."""
    late = memory[len(memory) // 2 :]
    return float(np.polyfit(np.arange(len(late)), late, 1)[0] * 1e5 / EVERY) if len(late) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set whose episodes are copied")
    parser.add_argument("--frames", type=int, default=5_000_000, help="of the store")
    parser.add_argument("--updates", type=int, default=12, help="of training on it")
    parser.add_argument("--steps", type=int, default=100_000, help="to simulate")
    parser.add_argument("--out", type=Path, default=Path("docs/results/memory.json"))
    options = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        multiplied(options.data, data, options.frames)
        store = opened(data)
        store |= trained(data, Path(name) / "run", options.updates)
    memory = simulated(options.steps)
    simulation = {"steps": options.steps, "mb_per_100k_steps": round(slope(memory), 2), "mb": memory}
    atomic_write(options.out, json.dumps({"store": store, "simulation": simulation}).encode())
    print("| steps | episodes | opened in | which takes | peak in training |\n|" + 5 * " ---: |")
    print("| {steps:,} | {episodes:,} | {open_seconds} s | {open_mb} MB | {peak_gb} GB |\n".format(**store))
    print("| simulated steps | MB at first | at last | at most | growth in 10^5 steps |\n|" + 5 * " ---: |")
    print(f"| {options.steps:,} | {memory[0]} | {memory[-1]} | {max(memory)} | {slope(memory):.2f} MB |")


if __name__ == "__main__":
    main()
