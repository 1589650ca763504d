"""Aggregates over runs are those of Agarwal et al. 2021; those that others compute, too, are in test_references.py."""

import numpy as np
import pytest

from worldgan.errors import WorldganError
from worldgan.evaluation.statistics import (
    bootstrap,
    interquartile_mean,
    normalised,
    on_grid,
    probability_of_improvement,
)


def test_improvement_is_of_the_same_tasks():
    with pytest.raises(WorldganError, match="got 1 and 2 tasks"):
        probability_of_improvement([[1.0]], [[4.0], [4.0]])


def test_no_runs_are_refused():
    for scores in ([], [[1.0], []]):
        with pytest.raises(WorldganError, match="one run or more in each task"):
            interquartile_mean(scores)


def test_the_bootstrap_redraws_runs_within_their_task():
    certain = bootstrap(interquartile_mean, [[0.0, 0.0], [10.0, 10.0]], resamples=50)
    assert (certain.value, certain.low, certain.high) == (5, 5, 5)
    same = [bootstrap(interquartile_mean, [[0.0, 1.0, 5.0]], resamples=50, seed=3).plain() for _ in range(2)]
    assert same[0] == same[1] != bootstrap(interquartile_mean, [[0.0, 1.0, 5.0]], resamples=50, seed=4).plain()
    assert same[0]["low"] < same[0]["value"] < same[0]["high"]


def test_the_bootstrap_of_two_groups_and_of_curves():
    better = bootstrap(probability_of_improvement, [[2.0, 3.0]], [[0.0, 1.0]], resamples=20)
    assert better.plain() == {"value": 1, "low": 1, "high": 1}
    curve = bootstrap(interquartile_mean, [[[0.0, 9.0], [1.0, 9.0]]], resamples=50)
    assert (curve.low <= curve.value).all()
    assert curve.plain()["high"] == [1, 9]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = []
    for trial in range(150):
        runs = rng.normal([[0.0], [4.0]], 1.0, (2, 40))
        found = bootstrap(lambda scores: np.mean(scores), runs, resamples=200, seed=trial)
        hits.append(found.low <= 2.0 <= found.high)
    assert 0.89 <= np.mean(hits) <= 0.99


def test_each_task_gets_its_own_scale():
    found = normalised([[1.0, 3.0], [-10.0, 0.0], [7.0]], zero=[1, -20, 5], one=[2, 0, 5])
    assert [runs.tolist() for runs in found] == [[0, 2], [0.5, 1], [2]]


def test_curves_on_a_grid_hold_what_was_known_last():
    found = on_grid([10, 20, 40], [1.0, 2.0, 3.0], [5, 10, 19, 20, 39, 40, 99])
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1, 1, 2, 2, 3, 3]
    assert np.isnan(on_grid([], [], [1.0])).all()
