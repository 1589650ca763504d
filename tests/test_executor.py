"""The same jobs have the same results, wherever they run and whoever dies meanwhile."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from chores import drawn, fatal, killed_once, process, refused, slow, unsendable

from worldgan import envs
from worldgan.benchmark.competitors import COMPETITORS
from worldgan.benchmark.runs import finished, perform, run_all
from worldgan.benchmark.suite import Job as BenchmarkJob
from worldgan.benchmark.suite import Learnt, Suite, jobs
from worldgan.data.collect import RandomPolicy, collect
from worldgan.data.shards import Shard
from worldgan.errors import WorldganError
from worldgan.evaluate import Job, Measurement, Subject, evaluate
from worldgan.evaluate import perform as perform_part
from worldgan.executor import Executor, Failed, Workers, threads
from worldgan.training.checkpoint import Run

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the cluster extra is not installed")
PADDLE = "worldgan/Paddle-v0"
KINDS = [1, 2, pytest.param("ray", marks=needs_ray)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests: it takes seconds to start."""
    import ray

    paths = os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)])
    environment = {"env_vars": {"PYTHONPATH": paths}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> Workers:
    """Of an executor; with a cluster, if that is where they are."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    found: Workers = request.param
    return found


on = partial(pytest.mark.parametrize, "workers", indirect=True)


@on(KINDS)
def test_results_are_in_order_and_the_same_everywhere(workers: Workers) -> None:
    counted: list[float] = []
    found = Executor(workers).map(drawn, range(7), lambda done, note="": counted.append(done))
    assert found == [drawn(seed) for seed in range(7)]
    assert counted == [1, 2, 3, 4, 5, 6, 7]


@on(KINDS[1:])
def test_the_job_of_a_killed_worker_is_run_again(workers: Workers, tmp_path: Path) -> None:
    found = Executor(workers).map(killed_once, [(tmp_path, number) for number in range(4)])
    assert found == [0, 1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.0", "1.0", "1.1", "2.0", "3.0"]


def test_one_that_always_dies_is_left_out() -> None:
    found = Executor(2, retries=1).map(fatal, range(4))
    assert [each for each in found if not isinstance(each, Failed)] == [0, 2, 3]
    assert isinstance(found[1], Failed)
    assert found[1].reason.endswith("2 times")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("worldgan.executor.say", lines.append)
    return lines


@on(KINDS)
def test_one_that_raises_is_left_out_and_said_in_a_line(workers: Workers, said: list[str]) -> None:
    found = Executor(workers).map(refused, range(3))
    assert found == [0, Failed("expected another"), 2]
    assert said == ["worldgan: job 1 is left out: expected another"]


@on(KINDS[1:])
def test_a_result_that_cannot_be_sent_is_left_out_at_once(workers: Workers, said: list[str]) -> None:
    zero, failed = Executor(workers).map(unsendable, range(2))
    assert zero == 0
    assert isinstance(failed, Failed)
    assert "lock" in failed.reason
    assert "times" not in failed.reason
    assert said == [f"worldgan: job 1 is left out: {failed.reason}"]


@on(KINDS[2:])
def test_a_cluster_without_processors_is_waited_for(
    workers: Workers, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldgan.executor.PATIENCE", 0.05)
    monkeypatch.setattr("ray.cluster_resources", dict)
    assert Executor(workers).map(slow, [3]) == [3]
    assert set(said) == {"worldgan: the Ray cluster has no processors: waiting for a node to join"}


@on([1, 2])
def test_endless_jobs_can_be_stopped(workers: int) -> None:
    asked: list[int] = []

    def jobs() -> Iterator[int]:
        for number in iter(int, 1):
            asked.append(number)
            yield number

    results = Executor(workers).stream(drawn, jobs())
    next(results)
    results.close()
    assert len(asked) == workers


@on([KINDS[0], KINDS[2]])
def test_a_fresh_process_does_one_job_and_may_start_others(workers: Workers) -> None:
    found: list[Any] = Executor(workers, fresh=True).map(process, range(3))
    assert len({os.getpid(), *(number for number, _ in found)}) == 4
    assert not any(daemonic for _, daemonic in found)


@on(KINDS[1:])
def test_runs_of_a_benchmark_are_the_same_everywhere(workers: Workers, tmp_path: Path) -> None:
    suite = Suite(envs={PADDLE: {"size": 8}}, competitors={"random": {}}, seeds=2, episodes=2, max_steps=100)
    runs = jobs(suite, COMPETITORS, str(tmp_path), threads=1)
    assert not run_all(runs, workers=workers, report=lambda done, note="": None)
    for job in runs:
        found = finished(job)
        assert found is not None
        assert (found["returns"], found["threads"]) == (perform(job)["returns"], 1)


@dataclass(frozen=True)
class Fragile:
    """A competitor whose process is killed, once."""

    def check(self, job: BenchmarkJob) -> None:
        pass

    def learn(self, job: BenchmarkJob) -> Learnt:
        killed = Path(job.root) / "killed"
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Learnt(RandomPolicy(job.spec().actions, seed=job.seed), 0, [])


@on(KINDS[2:])
def test_a_run_of_a_benchmark_that_a_cluster_loses_is_done_again(workers: Workers, tmp_path: Path) -> None:
    suite = Suite(envs={PADDLE: {"size": 8}}, competitors={"fragile": {}}, seeds=1, episodes=2, max_steps=20)
    [run] = jobs(suite, {"fragile": Fragile}, str(tmp_path), threads=1)
    assert not run_all([run], workers=workers, report=lambda done, note="": None)
    assert (tmp_path / "killed").exists()
    assert finished(run) is not None


@on(KINDS[1:])
def test_an_evaluation_is_the_same_everywhere(
    workers: Workers, paddle_run: Run, paddle_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "worldgan.executor.processors", lambda: 2
    )  # one thread for each, as here: rounding depends on it
    how = Measurement(paddle_data, horizon=3, windows=4, samples=2, policies=3, seed=1)
    made = []
    for each in (1, workers):
        subjects = [Subject(name, paddle_run.path, "cpu") for name in ("one", "other")]
        shares: list[float] = []
        told = lambda done, note="", shares=shares: shares.append(done)  # noqa: E731
        out = tmp_path / str(len(made))
        tables = evaluate(subjects, how, out, executor=Executor(each), report_progress=told)
        assert shares == [part / 8 for part in range(1, 9)]  # the curves of each run, and each policy in it
        made.append((tables, {file.name: file.read_bytes() for file in out.glob("*.json")}))
    assert made[0] == made[1]
    assert made[0][1].keys() == {"metrics.json", "ranking.json"}


def test_a_run_that_cannot_be_measured_is_named_and_what_was_found_stays(
    paddle_run: Run, paddle_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy(job: Job) -> Any:
        if job.policy == 1:
            raise WorldganError("too lazy")
        return perform_part(job)

    monkeypatch.setattr("worldgan.evaluate.perform", lazy)
    gan = [Subject("gan", paddle_run.path, "cpu")]
    how = Measurement(paddle_data, horizon=2, windows=2, samples=1, policies=3)
    with pytest.raises(WorldganError, match="gan could not be measured: too lazy"):
        evaluate(gan, how, tmp_path, executor=Executor(), report_progress=lambda done, note="": None)
    assert (tmp_path / "metrics.json").exists()
    assert not (tmp_path / "ranking.json").exists()


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldgan.executor.processors", lambda: 6)
    assert [threads(workers) for workers in (1, 2, 4, 9, "ray")] == [6, 3, 1, 1, 1]


class Deadly(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An env whose process is killed in its fourth episode, once."""

    def __init__(self, flag: Path) -> None:
        super().__init__(envs.make(PADDLE))
        self.flag, self.episodes = flag, 0

    def reset(self, **options: Any) -> Any:
        self.episodes += 1
        if self.episodes == 4 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(**options)


@on(KINDS[1:])
def test_nothing_is_lost_or_double_when_a_collecting_worker_is_killed(workers: Workers, tmp_path: Path) -> None:
    flag, spec = tmp_path / "killed", envs.spec(PADDLE)
    collect(partial(envs.make, PADDLE), spec, tmp_path / "one", steps=400)
    collect(partial(Deadly, flag), spec, tmp_path / "many", steps=400, executor=Executor(workers))
    assert flag.exists()
    one, many = ({f.name: f.read_bytes() for f in (tmp_path / name).rglob("*.*")} for name in ("one", "many"))
    assert one == many


def play_shard(job: tuple[Path, int]) -> None:
    folder, number = job
    deadly, shard = partial(Deadly, folder / "killed"), Shard(number, 3)
    collect(deadly, envs.spec(PADDLE), folder / "many", steps=400, num_envs=1, shard=shard)


@on(KINDS[1:])
def test_workers_may_write_what_they_play_to_a_disk_that_they_share(workers: Workers, tmp_path: Path) -> None:
    assert Executor(workers).map(play_shard, [(tmp_path, number) for number in (1, 2, 3)]) == [None] * 3
    assert (tmp_path / "killed").exists()
    for name in ("one", "many"):
        collect(partial(envs.make, PADDLE), envs.spec(PADDLE), tmp_path / name, steps=400)
    one, many = ({f.name: f.read_bytes() for f in (tmp_path / name).rglob("*.*")} for name in ("one", "many"))
    assert one == many


def test_words_that_mean_no_workers_are_refused() -> None:
    assert Executor.named("ray") == Executor("ray")
    assert Executor.named("3") == Executor(3)
    for word in ("0", "-1", "two", "1.5"):
        with pytest.raises(WorldganError, match="worker"):
            Executor.named(word)
