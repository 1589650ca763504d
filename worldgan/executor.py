"""Many jobs, one function: here, in processes of this machine, or on a Ray cluster, with the same results.

A job must depend on nothing but itself, so that it does not matter where it runs, when, or how often: one whose worker
died is run again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, final

from worldgan.errors import WorldganError, extra
from worldgan.machine import processors
from worldgan.progress import Report, say

J = TypeVar("J")
R = TypeVar("R")
Function = Callable[[Any], Any]
Workers = int | Literal["ray"]
"""Processes of this machine, or all processors of a Ray cluster."""

RETRIES = 2
"""How often a job is run again after its worker died."""
PATIENCE = 30.0
"""Seconds after which a Ray cluster that has ended no job is looked at."""
GRACE = 30.0
"""Seconds that jobs which are stopped, and catch SIGTERM, have to keep what they have done."""


def threads(workers: Workers) -> int:
    """That each of so many may use: they share the cores of this process, and have a processor each of a cluster."""
    return 1 if workers == "ray" else max(1, processors() // workers)


@dataclass(frozen=True)
class Failed:
    """In place of a result, of a job that raised or whose workers died.    reason: one line."""

    reason: str


class Returned(NamedTuple, Generic[R]):
    """The result of a job."""

    result: R


class Died(NamedTuple):
    """What ran the job is no more, or cannot be reached.    reason: one line."""

    reason: str


Ending = Returned[Any] | Failed | Died


class Backend(Protocol):
    """Where jobs run."""

    @property
    def slots(self) -> int:
        """How many run at once."""

    def begin(self, number: int, function: Function, job: Any) -> None:
        """Have a job run; of no more than ``slots`` at a time."""

    def end(self) -> tuple[int, Ending]:
        """Wait for the next of the jobs that were begun to end, in any order."""

    def close(self) -> None:
        """Stop what still runs."""


@final
@dataclass(frozen=True)
class Executor:
    """workers: 1 is this process.    retries: how often a job is run again after its worker died.

    fresh: every job gets a new process, which may start others; also where there is one worker.
    """

    workers: Workers = 1
    retries: int = RETRIES
    fresh: bool = False

    def __post_init__(self) -> None:
        """Raises WorldganError for no workers."""
        if self.workers != "ray" and self.workers < 1:
            raise WorldganError(f"expected at least 1 worker, or ray, got {self.workers}")

    @classmethod
    def named(cls, workers: str) -> Executor:
        """That of a word on the command line. Raises WorldganError if it means none."""
        if workers == "ray":
            return cls("ray")
        if not workers.isdecimal():
            raise WorldganError(f"expected a number of workers, or ray, got {workers!r}")
        return cls(int(workers))

    def map(self, function: Callable[[J], R], jobs: Iterable[J], report: Report | None = None) -> list[R | Failed]:
        """The result of each job, in their order, with a line on each that failed; see ``stream``.

        report: gets how many have ended.
        """
        found: dict[int, R | Failed] = {}
        for number, result in self.stream(function, jobs):
            found[number] = result
            if isinstance(result, Failed):
                say(f"worldgan: job {number} is left out: {result.reason}")
            if report is not None:
                report(len(found))
        return [found[number] for number in sorted(found)]

    def stream(self, function: Callable[[J], R], jobs: Iterable[J]) -> Generator[tuple[int, R | Failed], None, None]:
        """(number of the job, its result) in the order in which they end.

        No job is asked for before there is a free worker, and closing the generator stops those that run; a process of
        this machine has ``GRACE`` seconds, if it catches SIGTERM. A job that raises, or whose worker died ``retries``
        times more than once, is Failed; the others go on. function, jobs and results must be picklable, unless all is
        done in this process.
        """
        numbered, running = enumerate(jobs), dict[int, J]()
        deaths: Counter[int] = Counter()
        with closing(self._backend()) as backend:
            while True:
                for number, job in islice(numbered, max(0, backend.slots - len(running))):
                    running[number] = job
                    backend.begin(number, function, job)
                if not running:
                    return
                number, ending = backend.end()
                if isinstance(ending, Died):
                    deaths[number] += 1
                    if deaths[number] <= self.retries:
                        backend.begin(number, function, running[number])
                        continue
                    ending = Failed(f"{ending.reason}, {deaths[number]} times" if self.retries else ending.reason)
                del running[number]
                yield number, ending if isinstance(ending, Failed) else ending.result

    def _backend(self) -> Backend:
        if self.workers == "ray":
            return Ray(fresh=self.fresh)
        return Here() if self.workers == 1 and not self.fresh else Processes(self.workers, fresh=self.fresh)


def attempt(function: Function, job: Any) -> Ending:
    """Run a job; what it raises is its failure."""
    try:
        return Returned(function(job))
    except Exception as error:  # of the job, whatever it is
        return Failed(described(error))


def described(error: BaseException) -> str:
    """One line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, WorldganError) else f"{type(error).__name__}: {text}"


@final
class Here:
    """Jobs run in this process, when they are waited for."""

    slots = 1

    def __init__(self) -> None:
        self._begun: list[tuple[int, Function, Any]] = []

    def begin(self, number: int, function: Function, job: Any) -> None:
        """See ``Backend``."""
        self._begun.append((number, function, job))

    def end(self) -> tuple[int, Ending]:
        """See ``Backend``."""
        number, function, job = self._begun.pop(0)
        return number, attempt(function, job)

    def close(self) -> None:
        """See ``Backend``."""


@dataclass
class Worker:
    """A process, the way to it, and the number of its job."""

    process: Any
    pipe: Connection
    number: int | None = None


@final
class Processes:
    """Jobs run in processes of their own, which are started when they are needed and then kept, unless ``fresh``.

    Spawned, not forked: a fork of a process with threads may hang.
    """

    def __init__(self, count: int, *, fresh: bool) -> None:
        self.slots, self._fresh, self._workers = count, fresh, list[Worker]()

    def begin(self, number: int, function: Function, job: Any) -> None:
        """See ``Backend``."""
        worker = next((each for each in self._workers if each.number is None), None) or self._start()
        worker.number = number
        with suppress(OSError):  # it died while it had nothing to do, which ``end`` will see
            worker.pipe.send((function, job))

    def end(self) -> tuple[int, Ending]:
        """See ``Backend``."""
        busy = {each.pipe: each for each in self._workers if each.number is not None}
        worker = busy[wait(list(busy))[0]]  # type: ignore[index]
        number, worker.number = worker.number, None
        assert number is not None
        try:
            ending: Ending = worker.pipe.recv()
        except (EOFError, OSError):
            self._leave(worker)
            return number, Died(f"its process died with exit code {worker.process.exitcode}")
        if self._fresh:
            self._leave(worker)
        return number, ending

    def close(self) -> None:
        """See ``Backend``."""
        for worker in self._workers:
            worker.pipe.close()  # first: one that is stopped must not wait for another job
            worker.process.terminate()
        for worker in list(self._workers):
            self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        """See that it ends, which it does by itself when nobody is left at the other end of its pipe."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join(GRACE)
        worker.process.kill()
        worker.process.join()

    def _start(self) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs,), daemon=not self._fresh)  # daemons have no children
        process.start()
        theirs.close()  # else its death would not be seen
        self._workers.append(Worker(process, ours))
        return self._workers[-1]


def serve(pipe: Connection) -> None:
    """What a worker process does, until nobody is left at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C means the one who started it
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(answer(pipe.recv_bytes()))


def answer(question: bytes) -> bytes:
    """Pickled function and job -> how it ended, pickled, too. What cannot be pickled is a failure of the job."""
    try:
        function, job = pickle.loads(question)
        return pickle.dumps(attempt(function, job))
    except Exception as error:  # of pickling, which calls whatever the result is made of
        return pickle.dumps(Failed(described(error)))


@final
class Ray:
    """Jobs run on the Ray cluster that this process belongs to, or on a local one that is made."""

    def __init__(self, *, fresh: bool) -> None:
        """Raises WorldganError if Ray is missing."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no network unless asked
        with extra("cluster"):
            import ray
        self._ray: Any = ray  # half of it has types
        self._mine = not ray.is_initialized()
        if self._mine:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        # Ray would retry by itself, too: counted here, retries are the same everywhere.
        self._run = self._ray.remote(num_cpus=1, max_retries=0, max_calls=int(fresh))(attempt)  # 0: without end
        self._numbers: dict[Any, int] = {}

    @property
    def slots(self) -> int:
        """See ``Backend``; nodes may come and go."""
        return max(1, self._processors())

    def begin(self, number: int, function: Function, job: Any) -> None:
        """See ``Backend``."""
        self._numbers[self._run.remote(function, job)] = number

    def end(self) -> tuple[int, Ending]:
        """See ``Backend``."""
        done = self._ended()
        number = self._numbers.pop(done)
        try:
            return number, self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:  # not the job's own: that its result cannot be pickled
            return number, Failed(described(error.cause))
        except self._ray.exceptions.RayError as error:
            return number, Died(described(error))

    def close(self) -> None:
        """See ``Backend``."""
        for running in self._numbers:
            self._ray.cancel(running, force=True)
        if self._mine:
            self._ray.shutdown()

    def _ended(self) -> Any:
        """One that has ended. Where no processor is left to run it, that is said: more may come, or never."""
        while True:
            ended, _ = self._ray.wait(list(self._numbers), timeout=PATIENCE)
            if ended:
                return ended[0]
            if not self._processors():
                say("worldgan: the Ray cluster has no processors: waiting for a node to join")

    def _processors(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 0))
