"""A benchmark: what is finished is not done again, and what dies or cannot be is said in a line."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import settings

from worldgan import cli
from worldgan.benchmark import bench
from worldgan.benchmark.competitors import COMPETITORS, Random
from worldgan.benchmark.report import numbers
from worldgan.benchmark.runs import _recipe, finish, finished, perform, result_file, run_all
from worldgan.benchmark.suite import Job, Learnt, Suite, jobs
from worldgan.config import from_mapping, load, parse, presets
from worldgan.data.collect import RandomPolicy
from worldgan.errors import WorldganError

PADDLE = "worldgan/Paddle-v0"


@dataclass(frozen=True)
class Strange:
    """Dies as a process that is out of memory does, or raises, waits, or knows it all before, by its name."""

    def check(self, job: Job) -> None:
        pass

    def learn(self, job: Job) -> Learnt:
        if job.name == "doomed":
            os._exit(9)
        if job.name == "patient":
            (Path(job.root) / "begun").touch()
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(0.1)
                (Path(job.root) / "kept").touch()
                raise
        while job.name == "watchful" and not (Path(job.root) / "begun").exists():
            time.sleep(0.01)
        if job.name == "endless":
            raise WorldganError("x" * 200_000)
        if job.name == "raising":
            raise ValueError("two\nlines")
        return Learnt(RandomPolicy(job.spec().actions, seed=job.seed), 3, [(1, 0.5), (3, -0.5)])


@pytest.fixture(autouse=True)
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("worldgan.benchmark.report.numbers", partial(numbers, resamples=20))
    for name in ("doomed", "raising", "endless", "patient", "watchful", "lucky"):
        monkeypatch.setitem(COMPETITORS, name, Strange)


def small(**changes: Any) -> dict[str, Any]:
    base = {"envs": {PADDLE: None}, "competitors": {"random": {}}, "seeds": 1, "budgets": [20]}
    return base | {"episodes": 2, "max_steps": 6, "points": 2} | changes


def suite(**changes: Any) -> Suite:
    return from_mapping(Suite, small(**changes))


def made(out: Path, **changes: Any) -> list[Job]:
    return jobs(suite(**changes), COMPETITORS, str(out))


def tiny_plan() -> dict[str, Any]:
    """As ``tiny.tiny`` trains."""
    found: dict[str, Any] = {"search": {"horizon": 2, "candidates": 2, "samples": 1}, "training": {"steps": 2}}
    for setting in settings("gan"):
        path, value = setting.split("=")
        *parents, last = path.split(".")
        section = found
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = parse(value, setting)
    return found


def tiny_loop() -> dict[str, Any]:
    """Two rounds of the online loop."""
    plan, dream = tiny_plan(), {"batch": 4, "horizon": 2, "width": 4, "units": 8}
    del plan["training"]["steps"]
    sections = {"model": plan["model"], "training": plan["training"], "dream": dream}
    return {"every": 30, "updates": 2, "dreams": 2, **sections}


TINY: dict[str, dict[str, Any]] = {
    "random": {},
    "ppo": {"envs": 2, "frames": 3, "settings": {"n_steps": 8, "batch_size": 8}},
    "dqn": {"envs": 1, "settings": {"learning_starts": 5, "buffer_size": 50}},
    "plan-gan": tiny_plan(),
    "learn-gan": {"loop": tiny_loop()},
}
FIRST = {"ppo": 12, "dqn": 6, "learn-gan": 6}
"""Steps of all envs together when the first of them reaches ``max_steps``."""


@pytest.mark.parametrize("name", TINY)
def test_every_competitor_learns_and_plays(name: str, tmp_path: Path) -> None:
    [job] = made(tmp_path, competitors={name: TINY[name]}, budgets=[60])
    result = perform(job)
    assert json.loads(json.dumps(result)) == result
    assert (result["env"], result["competitor"], result["budget"]) == (PADDLE, name, 60)
    assert result["score"] == pytest.approx(np.mean(result["returns"]))
    assert len(result["returns"]) == 2
    assert result["steps"] == 0 if name == "random" else 60 <= result["steps"] < 120
    steps = [step for step, _ in result["curve"]]
    assert steps
    assert steps == sorted(steps)
    assert steps[-1] <= 60 or name in {"ppo", "learn-gan"}  # those that play while they learn finish what they play
    if name in FIRST:  # its first episode ended where those that are scored do: a ball takes longer to fall
        assert steps[0] == FIRST[name]
    assert result["seconds"] <= json.loads((job.folder / "spent.json").read_text())["seconds"]
    assert min(result[key] for key in ("seconds", "cpu_seconds", "acting_milliseconds")) >= 0


def test_every_env_of_a_job_is_truncated_after_as_many_steps(tmp_path: Path) -> None:
    [job] = made(tmp_path, max_steps=3)
    env = job.make_env()
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]


@dataclass(frozen=True)
class Slow:
    """Is interrupted, or learns; goes on with what it had, or not."""

    interrupted: bool = False
    resumed: bool = False

    def check(self, job: Job) -> None:
        pass

    def learn(self, job: Job) -> Learnt:
        if self.interrupted:
            raise KeyboardInterrupt
        return Learnt(RandomPolicy(job.spec().actions, seed=job.seed), 3, [], resumed=self.resumed)


def test_what_interrupted_attempts_took_counts_for_who_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMPETITORS, "slow", Slow)
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(
        "worldgan.benchmark.runs._clocks", lambda: dict.fromkeys(("seconds", "cpu_seconds"), next(clock))
    )

    def job(**settings: bool) -> Job:
        [found] = made(tmp_path, competitors={"slow": settings})
        return found

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            perform(job(interrupted=True))
    assert [perform(job(resumed=resumed))["seconds"] for resumed in (False, True)] == [100, 400]


def test_a_run_that_dies_takes_no_other_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = suite(competitors={"doomed": {}, "raising": {}, "endless": {}, "random": {}})
    with pytest.raises(
        WorldganError, match=r"3 of 4 runs failed, the first: (doomed|raising|endless) on .*Paddle-v0, 20 steps"
    ):
        bench(plan, tmp_path, workers=2)
    said = capsys.readouterr().err
    assert said.count("doomed on worldgan/Paddle-v0, 20 steps, seed 0: its process died with exit code 9\n") == 1
    assert said.count("raising on worldgan/Paddle-v0, 20 steps, seed 0: ValueError: two lines\n") == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["failed"]) == 3
    assert max(map(len, report["failed"])) < 3000
    assert report["budgets"][0]["scores"][PADDLE].keys() == {"random"}
    assert "died with exit code 9" in (tmp_path / "index.html").read_text()


def test_what_is_interrupted_keeps_what_it_has_learnt(tmp_path: Path) -> None:
    patient, watchful = made(tmp_path, competitors={"patient": {}, "watchful": {}})

    def interrupted(done: float, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([patient, watchful], workers=2, report=interrupted)
    assert (tmp_path / "kept").exists()
    assert json.loads((patient.folder / "spent.json").read_text())["seconds"] > 0
    assert (finished(patient), finished(watchful) is None) == (None, False)


def test_what_is_finished_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[tuple[str, int]]] = []

    def run_all(missing: list[Job], **options: Any) -> list[str]:
        asked.append([(job.name, job.seed) for job in missing])
        for job in missing[:3]:
            job.folder.mkdir(parents=True)
            result_file(job).write_text(json.dumps(perform(job)))
        return []

    monkeypatch.setattr("worldgan.benchmark.run_all", run_all)
    plan = suite(competitors={"random": {}, "lucky": {}}, seeds=2)
    with pytest.raises(WorldganError, match=r"expected a finished run in .*: give it workers"):
        bench(plan, tmp_path, workers=0)
    assert [bench(plan, tmp_path).count("\n") for _ in range(2)] == [2, 2]
    assert asked == [[("random", 0), ("lucky", 0), ("random", 1), ("lucky", 1)], [("lucky", 1)]]


def test_what_another_process_finished_meanwhile_stays(tmp_path: Path) -> None:
    [job] = made(tmp_path)
    finish(job)
    result_file(job).write_text(json.dumps(perform(job) | {"score": 7}))
    finish(job)
    assert finished(job)["score"] == 7


def test_workers_of_a_cluster_find_the_folder_from_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_all(missing: list[Job], **options: Any) -> list[str]:
        assert options["workers"] == "ray"
        assert [(job.root, job.threads) for job in missing] == [(str(tmp_path / "out"), 1)]
        return ["all were asked for"]

    monkeypatch.setattr("worldgan.benchmark.run_all", run_all)
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(json.dumps(small()))
    assert cli.main(["bench", "suite.yaml", "--out", "out", "--workers", "ray"]) == 2
    assert "all were asked for" in capsys.readouterr().err


def test_the_command_on_the_page_makes_the_page_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def run_all(missing: list[Job], **options: Any) -> list[str]:
        asked.append(len(missing))
        for job in missing:
            job.folder.mkdir(parents=True)
            result_file(job).write_text(json.dumps(perform(job)))
        return []

    monkeypatch.setattr("worldgan.benchmark.run_all", run_all)
    monkeypatch.chdir(tmp_path)
    Path("my suite.yaml").write_text(json.dumps(small()))
    assert cli.main(["bench", "my suite.yaml", "--out", "out", "--set", "seeds=2", "budgets=[10, 20]"]) == 0
    page = Path("out/index.html").read_text()
    [command] = re.findall("<p>Made by</p>\n<pre><code>(.*?)</code>", page)
    program, *arguments = shlex.split(html.unescape(command))
    Path("out/index.html").unlink()
    assert (program, cli.main(arguments), asked) == ("worldgan", 0, [4])
    assert Path("out/index.html").read_text() == page


def test_a_competitor_may_have_budgets_of_its_own(tmp_path: Path) -> None:
    both = made(tmp_path, competitors={"random": {"budgets": [30, 20]}, "ppo": {"budgets": [30]}, "dqn": {}}, seeds=2)
    runs = [(job.seed, job.budget, job.name) for job in both]
    one_seed = [(20, "random"), (20, "dqn"), (30, "random"), (30, "ppo")]
    assert runs == [(seed, *run) for seed in (0, 1) for run in one_seed]


def test_results_of_other_settings_are_refused(tmp_path: Path) -> None:
    [job] = made(tmp_path)
    assert finished(job) is None
    job.folder.mkdir(parents=True)
    result_file(job).write_text(json.dumps(perform(job)))
    assert finished(job) is not None
    [other] = made(tmp_path, competitors={"random": {"repeat": 2}})
    with pytest.raises(WorldganError, match=r"expected settings {'repeat': 4} as in .*result.json, got {'repeat': 2}"):
        finished(other)
    timed = {"plan-gan": {"training": {"minutes": 1}}}
    counted = {"plan-gan": {"training": {"steps": 1}}}
    told = pytest.raises(WorldganError, match=r"expected threads 1 as in .*, got 2: use as many workers")
    for competitors, outcome in ((timed, told), (counted, nullcontext())):
        one, two = (
            jobs(suite(competitors=competitors), COMPETITORS, str(tmp_path), threads=threads)[0] for threads in (1, 2)
        )
        one.folder.mkdir(parents=True, exist_ok=True)
        result_file(one).write_text(json.dumps(_recipe(one)))
        assert finished(one) is not None
        with outcome:
            finished(two)


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"\xff", b"[1]", None])
def test_a_result_that_is_none_is_named(data: bytes | None, tmp_path: Path) -> None:
    [job] = made(tmp_path)
    job.folder.mkdir(parents=True)
    if data is None:
        result_file(job).mkdir()
    else:
        result_file(job).write_bytes(data)
    with pytest.raises(WorldganError, match=r"result\.json is damaged .*: delete it") as caught:
        finished(job)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["[" * 100_000, '{"seconds": 1%s, "cpu_seconds": 0}' % ("0" * 400), "[]"])
def test_a_count_of_time_that_is_none_is_named(data: str, tmp_path: Path) -> None:
    [job] = made(tmp_path)
    job.folder.mkdir(parents=True)
    (job.folder / "spent.json").write_text(data)
    with pytest.raises(WorldganError, match=r"spent\.json is damaged"):
        perform(job)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 10**13}, "expected at most 100,000 runs"),
        ({"points": 10**13}, "expected at most 100,000 runs in a benchmark, and points"),
        ({"envs": {PADDLE: {"size": 2**30}}}, "expected a size of at least 8 pixels and at most 8192, got 1073741824"),
        ({"envs": {PADDLE: 3}}, "expected envs and options of theirs by name"),
        ({"envs": {PADDLE: {3: 3}}}, "expected envs and options of theirs by name"),
        ({"envs": {3: {}}}, "expected envs and options of theirs by name, got 3: {}"),
        ({"competitors": {3: {}}}, "expected competitors and options of theirs by name"),
        ({"scales": {3: [0, 1]}}, "unknown game of scales '3'"),
    ],
)
def test_a_suite_that_cannot_be_is_refused_before_it_is_laid_out(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldganError, match=message):
        jobs(suite(**wrong), COMPETITORS, "bench")


WRONG = [
    ({"competitors": {"pppo": {}}}, "unknown competitor 'pppo': did you mean 'ppo'"),
    ({"competitors": {"ppo": {"env": 3}}}, "did you mean 'competitors.ppo.envs'"),
    ({"competitors": {}}, "expected envs, competitors and budgets of one or more"),
    ({"competitors": {"random": {"budgets": 20}}}, "competitors.random.budgets like [100000, 500000], got 20"),
    ({"competitors": {"random": {"budgets": [0]}}}, "competitors.random.budgets like [100000, 500000], got [0]"),
    ({"competitors": {"plan-gan": {"training": {"steps": 3}}}, "budgets": [3]}, "a budget of one window or more"),
    ({"competitors": {"plan-gan": {}}, "budgets": [400]}, "either training.steps or training.minutes for plan-gan"),
    ({"competitors": {"plan-gan": {"training": {"steps": 3}, "planner": "shoting"}}}, "did you mean 'shooting'"),
    (
        {"competitors": {"plan-gan": {"training": {"steps": 3}, "search": {"horizn": 1}}}},
        "did you mean 'search.horizon'",
    ),
    (
        {"competitors": {"plan-gan": {"training": {"steps": 3}, "planner": "mppi"}}},
        "expected Box actions for mppi",
    ),
    (
        {"competitors": {"plan-gan": {"training": {"steps": 3, "seed": 1}}}},
        "expected no competitors.plan-gan.training.seed, which the benchmark sets, got 1",
    ),
    ({"competitors": {"learn-gan": {"loop": {"budget": 3}}}}, "expected no competitors.learn-gan.loop.budget"),
    ({"competitors": {"learn-gan": {"loop": {"dream": {"seed": 3}}}}}, "competitors.learn-gan.loop.dream.seed"),
    ({"competitors": {"ppo": {"settings": {"seed": 3}}}}, "expected no competitors.ppo.settings.seed"),
    ({"competitors": {"ppo": {"frames": 0}}}, "expected envs and frames >= 1, got 8, 0"),
    ({"scales": {PADDLE: [1, 1]}}, "expected scales.worldgan/Paddle-v0 of two rising numbers, got [1, 1]"),
    ({"scales": {"worldgan/Padle-v0": [0, 1]}}, "did you mean 'worldgan/Paddle-v0'"),
    ({"envs": {"worldgan/Padle-v0": None}}, "worldgan/Paddle-v0"),
    ({"seeds": 0}, "seeds"),
    ({"seed": 0}, "unknown config key 'seed': did you mean 'seeds'"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_suite_is_one_line_before_anything_is_done(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(json.dumps(small(**changes)))
    assert cli.main(["bench", str(file), "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_extra_that_a_competitor_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stable_baselines3", None)
    with pytest.raises(WorldganError, match=r"pip install -e '\.\[sb3\]'"):
        made(tmp_path, competitors={"ppo": {}})


@pytest.mark.parametrize("name", [name for name in presets() if name.startswith("bench/")])
def test_presets_can_be_run(name: str, tmp_path: Path) -> None:
    found = load(Suite, name)
    runs = jobs(found, COMPETITORS, str(tmp_path))
    budgets = [(settings or {}).get("budgets", found.budgets) for settings in found.competitors.values()]
    assert len(runs) == len(found.envs) * found.seeds * sum(map(len, budgets))
    assert isinstance(runs[0].competitor, Random)
