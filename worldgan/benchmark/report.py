"""What a benchmark found: numbers, tables, curves, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from worldgan.evaluation.figures import Line, Panel, chart, palette, png, sheet
from worldgan.evaluation.findings import count, number
from worldgan.evaluation.page import Picture, Section, Table, page
from worldgan.evaluation.statistics import (
    RESAMPLES,
    Numbers,
    bootstrap,
    interquartile_mean,
    normalised,
    on_grid,
    performance_profile,
    probability_of_improvement,
)
from worldgan.files import atomic_write

REFERENCE = "random"
THRESHOLDS = np.linspace(0, 1.2, 25)
PLAIN = dict[str, Any]

SCORES = [
    "Mean return of the episodes played after learning, mean over seeds, with the least and the most of them.",
]
AGGREGATE = [
    "Scores normalised per game, such that random play is 0 and the best mean score of this benchmark is 1, unless the "
    "benchmark states fixed scores for both: only those stay where they are when another competitor comes. "
    "Interquartile mean over all runs of all games with its 95% interval from a bootstrap stratified by game, and "
    "beside it the chance that a run beats one of each other competitor on the same game (Agarwal et al. 2021). "
    "Intervals are of other seeds, not of other games, and too narrow for very few runs.",
]
PROFILE = [
    "Share of the runs that score above each threshold, mean over games; higher is better. Curves: what was earned "
    "while learning, mean of the last finished episodes; a model's planner appears once its real steps are spent.",
]
COST = [
    "Of a run, means; where one goes on after an interruption, with what came before. CPU seconds count all cores. "
    "Acting: milliseconds an action, after learning.",
]


@dataclass(frozen=True)
class Found:
    """Results at one budget, by competitor and env.    scales: env -> what becomes 0 and 1, if that is fixed.

    Left out of the aggregates are competitors that lack an env, and envs in which nobody beats random play.
    """

    budget: int
    results: Mapping[str, Mapping[str, Sequence[PLAIN]]]
    points: int
    scales: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def envs(self) -> list[str]:
        """All that anyone has played."""
        return list(dict.fromkeys(env for played in self.results.values() for env in played))

    @property
    def complete(self) -> list[str]:
        """Competitors that have a run in every env."""
        return [name for name, played in self.results.items() if len(played) == len(self.envs)]

    @property
    def judged(self) -> list[str]:
        """Envs that count in the aggregates."""
        return [env for env, (zero, one) in zip(self.envs, map(self.scale, self.envs), strict=True) if zero < one]

    @property
    def left_out(self) -> list[str]:
        """Those that do not, though competitors have played all."""
        return [env for env in self.envs if env not in self.judged] if self.complete else []

    def scale(self, env: str) -> tuple[float, float]:
        """What becomes 0 and 1, both 0 if nobody has played all envs.

        Without a fixed one: random play, or else the worst mean, and the best mean.
        """
        if env in self.scales:
            zero, one = self.scales[env]
            return zero, one
        means = {name: float(np.mean(self._column(name, env))) for name in self.complete}
        return means.get(REFERENCE, min(means.values(), default=0.0)), max(means.values(), default=0.0)

    def scores(self, name: str) -> list[Numbers]:
        """Of one competitor's runs, by judged env, normalised."""
        return normalised([self._column(name, env) for env in self.judged], *self._scales())

    def curves(self, name: str) -> list[Numbers]:
        """Of one competitor's runs, [R, P] by judged env, normalised; NaN where nothing is known yet."""
        return normalised([self.curve(name, env) for env in self.judged], *self._scales())

    def curve(self, name: str, env: str) -> Numbers:
        """Of one competitor's runs in one env, [R, P]."""
        runs = [np.asarray(run["curve"], np.float64).T for run in self.results[name][env]]
        return np.stack([on_grid(steps, values, self.grid()) for steps, values in runs])

    def grid(self) -> list[float]:
        """Steps of the curves' points."""
        return [float(step) for step in np.linspace(self.budget / self.points, self.budget, self.points)]

    def _column(self, name: str, env: str) -> list[float]:
        return [run["score"] for run in self.results[name][env]]

    def _scales(self) -> tuple[list[float], list[float]]:
        zero, one = zip(*map(self.scale, self.judged), strict=True)
        return list(zero), list(one)


def by_budget(
    results: Sequence[PLAIN], points: int, scales: Mapping[str, Sequence[float]] | None = None
) -> list[Found]:
    """Results in order, by budget.    points, scales: see ``Suite``."""
    found: dict[int, dict[str, dict[str, list[PLAIN]]]] = {}
    for each in results:
        found.setdefault(each["budget"], {}).setdefault(each["competitor"], {}).setdefault(each["env"], []).append(each)
    return [Found(budget, played, points, scales or {}) for budget, played in found.items()]


def numbers(found: Found, *, resamples: int = RESAMPLES) -> PLAIN:
    """All that is reported at one budget, ready for JSON."""
    scores = {name: found.scores(name) for name in found.complete} if found.judged else {}

    def interval(statistic: Any, *groups: Any) -> PLAIN:
        return bootstrap(statistic, *groups, resamples=resamples).plain()

    def profile(runs: Any) -> Numbers:
        return performance_profile(runs, THRESHOLDS)

    return {
        "budget": found.budget,
        "scales": {env: list(found.scale(env)) for env in found.envs},
        "left_out": found.left_out,
        "scores": {
            env: {
                name: [run["score"] for run in played[env]] for name, played in found.results.items() if env in played
            }
            for env in found.envs
        },
        "interquartile_mean": {name: interval(interquartile_mean, runs) for name, runs in scores.items()},
        "improvement": {
            name: {
                other: interval(probability_of_improvement, runs, scores[other]) for other in scores if other != name
            }
            for name, runs in scores.items()
        },
        "profile": {
            "thresholds": THRESHOLDS.tolist(),
            **{name: interval(profile, runs) for name, runs in scores.items()},
        },
        "curves": {"steps": found.grid(), **{name: _known(found.curves(name)) for name in scores}},
        "cost": {name: _cost(played) for name, played in found.results.items()},
    }


def write_report(
    out: Path,
    results: Sequence[PLAIN],
    *,
    points: int,
    command: str,
    scales: Mapping[str, Sequence[float]] | None = None,
    failed: Sequence[str] = (),
) -> str:
    """Write ``report.json``, ``index.html`` and ``curves.png`` of all results; returns a table for the terminal.

    points, scales: see ``Suite``.    failed: lines about runs that have no result.
    """
    budgets = by_budget(results, points, scales)
    measured = [numbers(found) for found in budgets]
    text = json.dumps({"budgets": measured, "failed": list(failed)}, indent=1, allow_nan=False)
    atomic_write(out / "report.json", text.encode())
    drawn = [[(panel.title, chart(panel)) for panel in _panels(*each)] for each in zip(budgets, measured, strict=True)]
    atomic_write(out / "curves.png", sheet([image for each in drawn for _, image in each]))
    sections = [section for each in zip(budgets, measured, drawn, strict=True) for section in _sections(*each)]
    sections.append(_settings(results))
    atomic_write(out / "index.html", page(_title(budgets), _lead(results, failed), command, sections).encode())
    return "\n".join(_text(each) for each in measured)


def _title(budgets: Sequence[Found]) -> str:
    return f"{', '.join(budgets[0].results)} on {', '.join(budgets[0].envs)}"


def _lead(results: Sequence[PLAIN], failed: Sequence[str]) -> list[str]:
    lines = [f"{len(results)} runs. All numbers are in report.json, each run's in runs/."]
    return [*lines, *(f"Failed: {line}" for line in failed)]


def _settings(results: Sequence[PLAIN]) -> Section:
    """Of each competitor, in the words of ``--set``."""
    settings = {each["competitor"]: each["settings"] for each in results}
    stated = [f"{name}: {', '.join(_leaves(each)) or 'none'}" for name, each in settings.items()]
    return Section("Settings", stated)


def _leaves(settings: PLAIN, prefix: str = "") -> Iterator[str]:
    """``path=value`` of every setting."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={value}"


def _sections(found: Found, measured: PLAIN, drawn: Sequence[tuple[str, Image]]) -> list[Section]:
    steps = f"{found.budget:,} real steps"
    charts = [Picture(png(image), title, wide=False) for title, image in drawn]
    return [
        Section(f"Games, {steps}", SCORES, [_score_table(found)]),
        Section(f"All games, {steps}", [*AGGREGATE, *_omitted(measured)], [_aggregate_table(measured)]),
        Section(f"Profiles and curves, {steps}", PROFILE, charts=charts),
        Section(f"What it took, {steps}", COST, [_cost_table(measured)]),
    ]


def _omitted(measured: PLAIN) -> list[str]:
    """What the aggregates do not hold, in a sentence if there is any."""
    left = measured["left_out"]
    return [f"Without {', '.join(left)}, where the best mean score is not above what counts as 0."] if left else []


def _score_table(found: Found) -> Table:
    rows = []
    for env in found.envs:
        played = [runs.get(env, []) for runs in found.results.values()]
        rows.append((env, [_spread([run["score"] for run in runs]) for runs in played]))
    return Table(list(found.results), rows)


def _aggregate_table(measured: PLAIN) -> Table:
    names = list(measured["interquartile_mean"])
    rows = []
    for name, each in measured["interquartile_mean"].items():
        odds = measured["improvement"][name]
        rows.append((name, [_interval(each), *(_interval(odds[other]) if other in odds else "-" for other in names)]))
    return Table(["interquartile mean", *(f"beats {name}" for name in names)], rows, (REFERENCE,))


def _cost_table(measured: PLAIN) -> Table:
    columns = ("runs", "real steps", "learning, seconds", "learning, CPU seconds", "acting, ms a step")
    rows = []
    for name, each in measured["cost"].items():
        whole = [count(each[key]) for key in ("runs", "steps", "seconds", "cpu_seconds")]
        rows.append((name, [*whole, number(each["acting_milliseconds"])]))
    return Table(columns, rows, (REFERENCE,))


def _panels(found: Found, measured: PLAIN) -> list[Panel]:
    """Profile and aggregated curves; then a panel per game, of raw means."""
    colours = palette(found.results, REFERENCE)
    steps, names = measured["curves"]["steps"], list(measured["interquartile_mean"])
    profiles = [Line(name, THRESHOLDS.tolist(), measured["profile"][name]["value"], colours[name]) for name in names]
    curves = [Line(name, steps, measured["curves"][name], colours[name]) for name in names]
    together = [
        Panel("share of runs above a normalised score", "normalised score", profiles, share=True),
        Panel("normalised score, interquartile mean", "real steps", curves),
    ]
    panels = together if names else []
    for env in found.envs:
        raw = {name: _plain(found.curve(name, env).mean(0)) for name, played in found.results.items() if env in played}
        lines = [Line(name, steps, values, colours[name]) for name, values in raw.items()]
        panels.append(Panel(f"return in {env}", "real steps", lines))
    return panels


def _known(curves: Sequence[Numbers]) -> list[float | None]:
    """Interquartile means at the points where every run is known."""
    known = ~np.isnan(np.concatenate(curves)).any(0)
    return _plain(np.where(known, interquartile_mean(curves), np.nan))


def _plain(values: Numbers) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _cost(played: Mapping[str, Sequence[PLAIN]]) -> dict[str, float]:
    runs = [run for each in played.values() for run in each]
    keys = ("steps", "seconds", "cpu_seconds", "acting_milliseconds")
    return {"runs": float(len(runs)), **{key: float(np.mean([run[key] for run in runs])) for key in keys}}


def _spread(scores: Sequence[float]) -> str:
    return f"{number(float(np.mean(scores)))} ({number(min(scores))} to {number(max(scores))})" if scores else "-"


def _interval(each: PLAIN) -> str:
    return f"{number(each['value'])} ({number(each['low'])} to {number(each['high'])})"


def _text(measured: PLAIN) -> str:
    """For a terminal."""
    width = max(map(len, measured["cost"]))
    head = f"{measured['budget']:,} real steps: normalised interquartile mean (95% interval), then mean returns"
    lines = [". ".join([head, *_omitted(measured)])]
    for name in measured["cost"]:
        total = measured["interquartile_mean"].get(name)
        raw = [f"{env} {_spread(scores[name])}" for env, scores in measured["scores"].items() if name in scores]
        lines.append(f"  {name:<{width}}  {'-' if total is None else _interval(total)}; {'; '.join(raw)}")
    return "\n".join(lines)
