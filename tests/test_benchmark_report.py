"""The report of a benchmark says what happened, and nothing that is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldgan.benchmark.competitors import recent
from worldgan.benchmark.report import by_budget, numbers, write_report
from worldgan.evaluation.statistics import interquartile_mean, normalised, probability_of_improvement


def result(env: str, competitor: str, seed: int, score: float, **more: Any) -> dict[str, Any]:
    cost = {"steps": 100, "seconds": 2.0, "cpu_seconds": 3.0, "acting_milliseconds": 1.0}
    base = {"env": env, "competitor": competitor, "seed": seed, "budget": 100, "score": score, "settings": {}}
    return base | cost | {"curve": [[50, score / 2], [100, score]]} | more


RAW = {"a": {"random": [0.0, 2.0], "ppo": [5.0, 7.0]}, "b": {"random": [-20.0, -20.0], "ppo": [-20.0, 0.0]}}
RESULTS = [
    result(env, name, seed, score)
    for env, played in RAW.items()
    for name, scores in played.items()
    for seed, score in enumerate(scores)
]


def test_the_report_is_what_the_statistics_say() -> None:
    [found] = by_budget(RESULTS, points=2)
    said = numbers(found, resamples=50)
    scaled = {
        name: normalised([RAW[env][name] for env in RAW], zero=[1, -20], one=[6, -10]) for name in ("random", "ppo")
    }
    assert said["scores"] == RAW
    for name, runs in scaled.items():
        assert said["interquartile_mean"][name]["value"] == pytest.approx(interquartile_mean(runs))
    wins = said["improvement"]["ppo"]["random"]
    assert wins["value"] == pytest.approx(probability_of_improvement(scaled["ppo"], scaled["random"])) == 0.875
    assert wins["low"] <= 0.875 <= wins["high"]
    assert said["profile"]["ppo"]["value"][0] == 0.75  # one of four runs is no better than chance
    assert said["curves"]["steps"] == [50, 100]
    assert said["curves"]["ppo"][1] == pytest.approx(interquartile_mean(scaled["ppo"]))
    assert said["cost"]["ppo"]["cpu_seconds"] == 3


def test_curves_begin_where_all_runs_are_known() -> None:
    late = [*RESULTS, result("a", "dqn", 0, 3.0), result("b", "dqn", 0, 3.0, curve=[[100, 3.0]])]
    [found] = by_budget(late, points=2)
    assert numbers(found, resamples=5)["curves"]["dqn"][0] is None


def test_who_lacks_a_game_is_left_out_of_the_aggregates() -> None:
    [found] = by_budget([*RESULTS, result("a", "dqn", 0, 3.0)], points=2)
    said = numbers(found, resamples=5)
    assert set(said["interquartile_mean"]) == {"random", "ppo"}
    assert said["scores"]["a"]["dqn"] == [3.0]


def test_games_in_which_nobody_beats_random_play_are_left_out_of_the_aggregates() -> None:
    lost = [result("c", name, seed, score) for name, score in (("random", 1.0), ("ppo", -99.0)) for seed in range(2)]
    without, found = (numbers(by_budget(each, points=2)[0], resamples=5) for each in (RESULTS, [*RESULTS, *lost]))
    assert (without["left_out"], found["left_out"]) == ([], ["c"])
    for key in ("interquartile_mean", "improvement", "profile", "curves"):
        assert found[key] == without[key]
    assert found["scores"]["c"]["ppo"] == [-99, -99]
    [alone] = by_budget(lost, points=2)
    assert numbers(alone, resamples=5)["interquartile_mean"] == {}


def test_fixed_scales_stay_as_they_are() -> None:
    better = [result(env, "dqn", 0, 1000.0) for env in RAW]
    for results in (RESULTS, [*RESULTS, *better]):
        [found] = by_budget(results, points=2, scales={"a": [0, 10], "b": [-20, 0]})
        assert numbers(found, resamples=5)["scales"] == {"a": [0, 10], "b": [-20, 0]}
        assert [list(runs) for runs in found.scores("ppo")] == [[0.5, 0.7], [0, 1]]


def test_recent_returns() -> None:
    episodes = [(step, float(step)) for step in range(1, 13)]
    assert recent(episodes)[0] == (1, 1)
    assert recent(episodes)[-1] == (12, pytest.approx(np.mean(range(3, 13))))


def test_the_page_states_settings_as_they_are_set(tmp_path: Path) -> None:
    settings = {"envs": 8, "loop": {"every": 5, "training": {"rollout": [1, 2]}}}
    write_report(tmp_path, [each | {"settings": settings} for each in RESULTS], points=2, command="worldgan bench")
    assert "ppo: envs=8, loop.every=5, loop.training.rollout=[1, 2]" in (tmp_path / "index.html").read_text()
