"""Runs in processes of their own: what is finished is not done again, and one that dies takes no other with it."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from worldgan.benchmark.suite import Job
from worldgan.config import to_mapping
from worldgan.errors import WorldganError
from worldgan.evaluation.returns import play
from worldgan.executor import RETRIES, Executor, Failed, Workers
from worldgan.files import atomic_write, sole_writer
from worldgan.machine import keep_memory
from worldgan.progress import Report, say
from worldgan.seeding import derive
from worldgan.types import Agent
from worldgan.version import VERSION

FORMAT = 2
POINTS = 200
"""Of a learning curve, at most, in a run's file."""
LONGEST = 2000
"""Characters of what went wrong in a run, at most."""

Result = dict[str, Any]


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
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WorldganError(f"{file} is damaged ({error}): delete it, and the run is done again") from None
    for key, value in _recipe(job).items():
        if found.get(key) != value:
            way = "as many workers, or another folder" if key == "threads" else "another folder"
            raise WorldganError(f"expected {key} {found.get(key)!r} as in {file}, got {value!r}: use {way}")
    return found


def perform(job: Job) -> Result:
    """Learn and play, in this process -> the result."""
    earlier, began = _spent(job), _clocks()
    try:
        learnt = job.competitor.learn(job)
    finally:
        took = {name: now - began[name] for name, now in _clocks().items()}
        total = {name: earlier[name] + took[name] for name in took}
        atomic_write(_spent_file(job), json.dumps(total).encode())
    agent = _Timed(learnt.agent)
    played = play(
        job.make_env,
        agent,
        episodes=job.episodes,
        seed=derive(job.seed, "benchmark"),
        max_steps=job.max_steps,
        num_envs=min(job.episodes, 8),
    )
    returns = [each.total for each in played]
    score = sum(returns) / len(returns)
    curve = learnt.curve or [(min(learnt.steps, job.budget), score)]  # its last episode may have gone over the budget
    return {
        "threads": torch.get_num_threads(),
        **_recipe(job),
        "steps": learnt.steps,
        "curve": [list(point) for point in _thinned(curve)],
        "score": score,
        "returns": returns,
        **(total if learnt.resumed else took),
        "acting_milliseconds": 1000 * agent.seconds / agent.actions,
        "version": VERSION,
    }


@final
class _Timed:
    """Another ``Agent``.    seconds: that it took to act.    actions: that it gave, one for each env and step."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self.seconds, self.actions = agent, 0.0, 0

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """See ``Agent``."""
        self._agent.reset(rows)

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """See ``Agent``."""
        began = time.monotonic()
        actions = self._agent.act(observation)
        self.seconds += time.monotonic() - began
        self.actions += len(actions)
        return actions


def _clocks() -> dict[str, float]:
    """Of the wall, and of all cores at work for this process."""
    return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}


def _spent_file(job: Job) -> Path:
    """What attempts at a run have taken, finished or interrupted, but for one that was killed."""
    return job.folder / "spent.json"


def _spent(job: Job) -> dict[str, float]:
    """By earlier attempts, as ``_clocks`` count. Raises WorldganError if the file is damaged."""
    file = _spent_file(job)
    try:
        found = json.loads(file.read_text())
        return {name: float(found[name]) for name in _clocks()}
    except FileNotFoundError:
        return dict.fromkeys(_clocks(), 0.0)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise WorldganError(f"{file} is damaged ({error}): delete it, and that time is not counted") from None


def run_all(jobs: Sequence[Job], *, workers: Workers, report: Report) -> list[str]:
    """Do runs, ``workers`` at a time -> a line for each that failed; each is also said at once.

    report: gets the number of runs that are over.
    """
    # What a process died of, such as too little memory, is most likely still there; a cluster has other machines.
    executor = Executor(workers, retries=RETRIES if workers == "ray" else 0, fresh=True)
    failed: list[str] = []
    with closing(executor.stream(_work, jobs)) as endings:
        for over, (number, ending) in enumerate(endings, start=1):
            if isinstance(ending, Failed):
                failed.append(f"{jobs[number].title}: {ending.reason[:LONGEST]}")
                say(failed[-1])
            report(over, jobs[number].title)
    return failed


def _thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS of them, the last among them."""
    every = max(1, math.ceil(len(curve) / POINTS))
    return curve[::-every][::-1]


def _recipe(job: Job) -> Result:
    """What makes a run the same as another. Threads matter where learning ends by the clock."""
    settings = to_mapping(job.competitor)
    timed = settings.get("training", {}).get("minutes") is not None
    return {
        "format": FORMAT,
        "env": job.env,
        "options": job.options,
        "competitor": job.name,
        "settings": settings,
        "seed": job.seed,
        "budget": job.budget,
        "episodes": job.episodes,
        "max_steps": job.max_steps,
        **({"threads": job.threads} if timed and job.threads is not None else {}),
    }


def _work(job: Job) -> None:
    """In a process of its own: write the result."""
    keep_memory()
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    try:
        finish(job)
    except KeyboardInterrupt:
        raise WorldganError("interrupted") from None


def finish(job: Job) -> None:
    """Write the result, unless another process just has."""
    with sole_writer(job.folder):
        if finished(job) is None:
            atomic_write(result_file(job), json.dumps(perform(job), indent=1, allow_nan=False).encode())


def _interrupted(number: int, frame: object) -> None:
    """Interrupt once: a second signal, of Ctrl-C and of the executor, would interrupt the saving."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
