"""Agents that plan in what they have learnt, against model-free ones, at equal numbers of real steps."""

from __future__ import annotations

from pathlib import Path

from worldgan.benchmark.competitors import COMPETITORS
from worldgan.benchmark.report import write_report
from worldgan.benchmark.runs import finished, run_all
from worldgan.benchmark.suite import Suite, jobs
from worldgan.errors import WorldganError
from worldgan.executor import Workers, threads
from worldgan.progress import progress


def bench(suite: Suite, out: Path, *, workers: Workers = 1, command: str = "worldgan bench") -> str:
    """Do the runs of a suite that ``out`` does not hold yet, and write up all of them; returns a table.

    workers: runs at a time, which share the cores; 0 only writes up what there is; "ray": as many as a cluster has
    processors, all of whose nodes see ``out``.
    command: what the page says made it.
    Raises WorldganError for a suite that cannot be run, before anything is done; and at the end, after the write-up, if
    runs failed.
    """
    if workers != "ray" and workers < 0:
        raise WorldganError(f"expected workers of at least 0, got {workers}")
    root = out.absolute() if workers == "ray" else out  # workers of a cluster may be at work in other folders
    runs, failed = jobs(suite, COMPETITORS, str(root), threads=threads(workers) if workers else None), list[str]()
    missing = [job for job in runs if finished(job) is None]
    if missing and workers:
        with progress("bench", len(missing), unit="runs") as report:
            failed = run_all(missing, workers=workers, report=report)
    results = [result for job in runs if (result := finished(job)) is not None]
    if not results:
        raise WorldganError(f"expected a finished run in {out}, got none: {failed[0] if failed else 'give it workers'}")
    table = write_report(out, results, points=suite.points, scales=suite.scales, command=command, failed=failed)
    if failed:
        again = "the others are written up, and the same command tries again"
        raise WorldganError(f"{len(failed)} of {len(runs)} runs failed, the first: {failed[0]}; {again}")
    return table
