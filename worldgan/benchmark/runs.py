"""Runs in processes of their own: what is finished is not done again, and one that dies takes no other with it."""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from worldgan.benchmark.suite import Job
from worldgan.config import to_mapping
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import play
from worldgan.files import atomic_write, sole_writer
from worldgan.machine import keep_memory
from worldgan.progress import Report, say
from worldgan.seeding import derive
from worldgan.version import VERSION

FORMAT = 1
POINTS = 200
"""Of a learning curve, at most, in a run's file."""

Result = dict[str, Any]


class _Running(NamedTuple):
    job: Job
    process: SpawnProcess
    said: Connection


def result_file(job: Job) -> Path:
    """Where the result of a run is, or will be."""
    return job.folder / "result.json"


def finished(job: Job) -> Result | None:
    """The result, if there is one. Raises WorldganError if it is of another run, or damaged."""
    file = result_file(job)
    if not file.exists():
        return None
    try:
        found = dict(json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise WorldganError(f"{file} is damaged ({error}): delete it, and the run is done again") from None
    for key, value in _recipe(job).items():
        if found.get(key) != value:
            raise WorldganError(f"expected {key} {found.get(key)} as in {file}, got {value}: use another folder")
    return found


def perform(job: Job) -> Result:
    """Learn and play, in this process -> the result."""
    began, busy = time.monotonic(), time.process_time()
    learnt = job.competitor.learn(job)
    learning, cpu, shown = time.monotonic() - began, time.process_time() - busy, time.monotonic()
    played = play(
        job.make_env,
        learnt.agent,
        episodes=job.episodes,
        seed=derive(job.seed, "benchmark"),
        max_steps=job.max_steps,
        num_envs=min(job.episodes, 8),
    )
    returns = [each.total for each in played]
    score = sum(returns) / len(returns)
    curve = learnt.curve or [(min(learnt.steps, job.budget), score)]  # its last episode may have gone over the budget
    return _recipe(job) | {
        "steps": learnt.steps,
        "curve": [list(point) for point in _thinned(curve)],
        "score": score,
        "returns": returns,
        "seconds": learning,
        "cpu_seconds": cpu,
        "acting_milliseconds": 1000 * (time.monotonic() - shown) / sum(each.length for each in played),
        "version": VERSION,
    }


def run_all(jobs: Sequence[Job], *, workers: int, report: Report) -> list[str]:
    """Do what is not finished, ``workers`` runs at a time -> a line for each that failed; each is also said at once.

    report: gets the number of runs that are over.
    """
    waiting, running, failed = deque(jobs), dict[int, _Running](), list[str]()
    threads = max(1, (os.cpu_count() or 1) // workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                started = _start(waiting.popleft(), threads)
                running[started.process.sentinel] = started
            for sentinel in wait(list(running)):
                assert isinstance(sentinel, int)
                over = running.pop(sentinel)
                trouble = _trouble(over)
                if trouble:
                    failed.append(f"{over.job.title}: {trouble}")
                    say(failed[-1])
                report(len(jobs) - len(waiting) - len(running), over.job.title)
    finally:
        for left in running.values():
            left.process.terminate()
            left.process.join()
    return failed


def _thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS of them, the last among them."""
    every = max(1, math.ceil(len(curve) / POINTS))
    return curve[::-every][::-1]


def _recipe(job: Job) -> Result:
    """What makes a run the same as another."""
    return {
        "format": FORMAT,
        "env": job.env,
        "options": job.options,
        "competitor": job.name,
        "settings": to_mapping(job.competitor),
        "seed": job.seed,
        "budget": job.budget,
        "episodes": job.episodes,
        "max_steps": job.max_steps,
    }


def _start(job: Job, threads: int) -> _Running:
    context = get_context("spawn")  # a fork would inherit torch's threads, without the threads
    hears, says = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, threads, says))
    process.start()
    says.close()  # the child alone holds it, so that its death is heard
    return _Running(job, process, hears)


def _work(job: Job, threads: int, says: Connection) -> None:
    """In a process of its own: write the result, or say in a line why there is none."""
    import torch

    keep_memory()
    torch.set_num_threads(threads)
    try:
        with sole_writer(job.folder):
            atomic_write(result_file(job), json.dumps(perform(job), indent=1, allow_nan=False).encode())
    except WorldganError as error:
        says.send(str(error))
    except Exception as error:  # whatever a competitor or an env raises costs its own run alone
        says.send(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        says.send("interrupted")


def _trouble(over: _Running) -> str:
    """Why a run has no result, in a line; nothing if it has one."""
    over.process.join()
    try:
        return " ".join(str(over.said.recv()).split())
    except EOFError:
        code = over.process.exitcode
        return "" if code == 0 and result_file(over.job).exists() else f"its process died with exit code {code}"
