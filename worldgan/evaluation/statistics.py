"""What a handful of runs tell: aggregates over tasks with honest intervals, and rank correlation.

Agarwal, Schwarzer, Castro, Courville, Bellemare 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (arXiv 2108.13264), section 4. ``Scores`` are one array per task of its runs' scores [R], or [R, P] at P
points of time; tasks may have different numbers of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldgan.errors import WorldganError
from worldgan.seeding import numpy_rng

Numbers = NDArray[np.float64]
Scores = Sequence[ArrayLike]

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A statistic of the runs, and the ends of its 95% interval; each float64 [] or [P]."""

    value: Numbers
    low: Numbers
    high: Numbers

    def plain(self) -> dict[str, Any]:
        """Numbers, or lists of them, by name."""
        return {"value": self.value.tolist(), "low": self.low.tolist(), "high": self.high.tolist()}


def interquartile_mean(scores: Scores) -> Numbers:
    """Mean of the middle half of all runs of all tasks, float64 [] or [P].

    A quarter of the runs, rounded down, is left out at either end. Raises WorldganError for no runs.
    """
    runs = np.sort(np.concatenate(_tasks(scores)), axis=0)
    cut = len(runs) // 4
    return np.asarray(runs[cut : len(runs) - cut].mean(0))


def probability_of_improvement(ours: Scores, theirs: Scores) -> Numbers:
    """Chance that a run of ours beats one of theirs on the same task, mean over tasks; a tie counts half.

    Raises WorldganError for no runs, or different numbers of tasks.
    """
    if len(ours) != len(theirs):
        raise WorldganError(f"expected scores of the same tasks, got {len(ours)} and {len(theirs)} tasks")
    pairs = zip(_tasks(ours), _tasks(theirs), strict=True)
    wins = [(np.sign(one[:, None] - other[None]) + 1).mean((0, 1)) / 2 for one, other in pairs]
    return np.asarray(np.mean(wins, axis=0))


def performance_profile(scores: Scores, thresholds: ArrayLike) -> Numbers:
    """Share of the runs that score above each of P ``thresholds``, mean over tasks, float64 [P]."""
    limits = np.asarray(thresholds, np.float64)
    return np.asarray(np.mean([(runs[:, None] > limits).mean(0) for runs in _tasks(scores)], axis=0))


def bootstrap(
    statistic: Callable[..., Numbers], *scores: Scores, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """``statistic(*scores)`` with a percentile bootstrap interval, stratified: runs are redrawn within their task.

    The tasks themselves stay: the interval is about other seeds, not about other tasks. It is too narrow for two or
    three runs in all. Raises what ``statistic`` does.
    """
    rng, given = numpy_rng(seed, "bootstrap"), [_tasks(each) for each in scores]
    draws = [
        statistic(*([runs[rng.integers(len(runs), size=len(runs))] for runs in tasks] for tasks in given))
        for _ in range(resamples)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    return Interval(np.asarray(statistic(*given)), np.asarray(low), np.asarray(high))


def normalised(scores: Scores, zero: Sequence[float], one: Sequence[float]) -> list[Numbers]:
    """Each task on a scale of its own, where ``zero`` becomes 0 and ``one`` 1; where both are equal, it is shifted."""
    scales = [high - low or 1.0 for low, high in zip(zero, one, strict=True)]
    return [(runs - low) / scale for runs, low, scale in zip(_tasks(scores), zero, scales, strict=True)]


def on_grid(steps: ArrayLike, values: ArrayLike, grid: ArrayLike) -> Numbers:
    """A learning curve, ``values`` [P] known from each of the rising ``steps`` [P] on, at the steps of a common grid.

    float64 [G]; NaN before the first.
    """
    known = np.concatenate([[np.nan], np.asarray(values, np.float64)])
    return np.asarray(known[np.searchsorted(np.asarray(steps), np.asarray(grid), side="right")])


def ranks(values: ArrayLike) -> Numbers:
    """Ranks from 1, float64 [N]; equals share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def spearman(one: ArrayLike, other: ArrayLike) -> float | None:
    """Rank correlation, -1 to 1, of two [N] (Spearman 1904); None if either is all equal, and so has no order."""
    first, second = ranks(one), ranks(other)
    if min(np.ptp(first), np.ptp(second)) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _tasks(scores: Scores) -> list[Numbers]:
    """As arrays. Raises WorldganError unless every task has a run."""
    tasks = [np.asarray(runs, np.float64) for runs in scores]
    if not tasks or not all(runs.size for runs in tasks):
        raise WorldganError(f"expected scores of one run or more in each task, got {[len(runs) for runs in tasks]}")
    return tasks
