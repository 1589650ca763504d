"""What agents, the online loop and benchmarks read; see ``readers``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_fakes import SPEC
from mutations import mutate
from reader import TB10, Reader
from tiny import settings

from worldgan.agents import AgentFolder, AgentInfo, DreamConfig
from worldgan.benchmark.competitors import COMPETITORS
from worldgan.benchmark.runs import _recipe, finished, result_file
from worldgan.benchmark.suite import Suite, jobs
from worldgan.config import load, to_mapping
from worldgan.learn import LearnConfig, Progress, Round, _begun


def agents(folder: Path) -> Reader:
    """agent.json, and the networks that it and weights promise."""
    agent, info = AgentFolder(folder), AgentInfo(SPEC, 2, DreamConfig(steps=1, width=4, units=8), "run", "data")
    agent.write(info, info.networks(), {})
    told = to_mapping(info)
    seed = json.dumps(told).encode()

    def read(data: bytes) -> Any:
        (folder / "agent.json").write_bytes(data)
        return agent.networks()

    sizes: tuple[dict[str, Any], ...] = (
        {"frames": TB10},
        {"training": told["training"] | {"units": TB10}},
        {"training": told["training"] | {"width": 2**31}},
        {"spec": told["spec"] | {"frame": [2**20, 2**20, 10]}},
        {"spec": told["spec"] | {"frame": [2**14, 2**14, 1]}},
    )
    huge = tuple(json.dumps(told | size).encode() for size in sizes)
    return Reader("agent.json", read, lambda rng: mutate(seed, [seed], rng), huge)


def loops(folder: Path) -> Reader:
    """learn.json, of a loop that is to go on."""
    folder.mkdir()
    config = load(LearnConfig, None, [*settings("mse"), "family=mse", "dream.width=4"])
    told = to_mapping(
        Progress(SPEC, config, (Round(2000, 9, 400, 200, 1.5, None), Round(4000, 18, 800, 400, 2.5, 0.5)))
    )
    seed = json.dumps(told).encode()

    def read(data: bytes) -> Any:
        (folder / "learn.json").write_bytes(data)
        return _begun(folder, Progress(SPEC, config), resume=True)

    vast = json.dumps(told | {"spec": told["spec"] | {"frame": [2**20, 2**20, 10]}}).encode()
    return Reader("learn.json", read, lambda rng: mutate(seed, [seed], rng), (vast, b"[" * 100_000))


def suites(folder: Path) -> Reader:
    """What a benchmark consists of, down to its runs, each with an env that can be made."""
    file = folder / "suite.yaml"
    seed = (
        b"envs:\n  worldgan/Paddle-v0: {size: 8}\ncompetitors:\n  random: {}\n"
        b"  plan-mse: {training: {steps: 9}, model: {backbone: {width: 16}}, search: {horizon: 3}}\n"
        b"budgets: [100, 200]\nseeds: 2\nepisodes: 3\nmax_steps: 50\nscales:\n  worldgan/Paddle-v0: [-1, 1.5]\n"
    )

    def read(data: bytes) -> Any:
        file.write_bytes(data)
        return jobs(load(Suite, file), COMPETITORS, str(folder))

    changes = (
        (b"seeds: 2", b"seeds: %d" % TB10),
        (b"size: 8", b"size: %d" % TB10),
        (b"seeds", b"points: %d\nseeds" % TB10),
    )
    huge = (*(seed.replace(*change) for change in changes), b"[" * 100_000)
    return Reader("bench suite", read, lambda rng: mutate(seed, [seed], rng), huge)


def results(folder: Path) -> Reader:
    """result.json of a run of a benchmark, of which only what it is a run of is looked at."""
    suite = Suite(envs={"worldgan/Paddle-v0": {"size": 8}}, competitors={"random": {}}, seeds=1, budgets=(20,))
    [job] = jobs(suite, COMPETITORS, str(folder))
    job.folder.mkdir(parents=True)
    seed = json.dumps({**_recipe(job), "score": 0.5, "returns": [0.0, 1.0], "curve": [[20, 0.5]], "steps": 20}).encode()

    def read(data: bytes) -> Any:
        result_file(job).write_bytes(data)
        return finished(job)

    return Reader("result.json", read, lambda rng: mutate(seed, [seed], rng), (b"[" * 100_000, b'{"a":' * 100_000))
