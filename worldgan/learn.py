"""The online loop: act, learn the model, learn to act in it, and again, for a budget of steps in the real env.

Every stage of every round has a total to reach, in steps or updates since the beginning, so that after a stop each is
taken up where it was. Episode i is a function of the seed, i and the agent of its round.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from worldgan.agents import Actor, AgentFolder, DreamConfig
from worldgan.config import check_fields, check_unchanged, from_mapping, to_mapping
from worldgan.data.collect import MakeEnv, collect
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import needed_steps
from worldgan.dream import dream
from worldgan.errors import WorldganError
from worldgan.files import atomic_write, sole_writer
from worldgan.progress import Report, part
from worldgan.training.logs import Logs
from worldgan.training.trainer import Experiment, TrainingConfig, train
from worldgan.types import EnvSpec

FORMAT = 1
POLICY = "random, then an agent that learns"
SHOWN = 100
"""Episodes over which returns are averaged for TensorBoard, as Stable-Baselines3 does."""
LEFTOVERS = {".lock", ".learn.tmp.json"}
"""All that is there of a loop that was killed before it began."""


@dataclass(frozen=True)
class LearnConfig:
    """budget: steps in the real env; the episode that reaches it is played to its end.    every: steps of a round.

    epsilon: share of random actions beside the agent's; the first round is random.
    updates, dreams: of the model and of the agent, per round.    seed: of the env and of how it is explored.
    family, model, training: how the model is trained; see ``Experiment``.    dream: how the agent is.
    """

    budget: int = 100_000
    every: int = 2000
    epsilon: float = 0.05
    updates: int = 400
    dreams: int = 50
    seed: int = 0
    family: str = "gan"
    model: dict[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    dream: DreamConfig = field(default_factory=DreamConfig)

    def __post_init__(self) -> None:
        """Raises WorldganError for a value that the loop cannot work with."""
        check_fields(self, lambda x: x >= 1, "at least 1", "budget", "every", "updates", "dreams")
        check_fields(self, lambda x: 0 <= x <= 1, "within 0..1", "epsilon")
        for name, section in (("training", self.training), ("dream", self.dream)):
            if section.steps is not None or section.minutes is not None:
                raise WorldganError(f"expected no {name}.steps or {name}.minutes: set updates and dreams, per round")


@dataclass(frozen=True)
class Round:
    """What a round came to. steps, episodes, updates, dreams: since the beginning.    seconds: of this round.

    mean_return: of its own episodes, not discounted; None if it needed none.
    """

    steps: int
    episodes: int
    updates: int
    dreams: int
    seconds: float
    mean_return: float | None


@dataclass(frozen=True)
class Progress:
    """What ``learn.json`` holds."""

    spec: EnvSpec
    config: LearnConfig
    rounds: tuple[Round, ...] = ()
    format: int = FORMAT

    def write(self, out: Path) -> None:
        """Write it."""
        atomic_write(out / "learn.json", json.dumps(to_mapping(self), indent=2).encode())


def learn(
    make_env: MakeEnv,
    spec: EnvSpec,
    config: LearnConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Report | None = None,
) -> Progress:
    """Learn to act in an env, in folder ``out``: ``data``, ``model``, ``agent``, ``learn.json`` and ``returns.jsonl``.

    One env is played at a time, so that no step is played that does not count.
    resume: go on with what is in ``out``, under the options it was begun with; only the budget may be another.
    report: gets the steps in the real env, counting those of a round as its stages are done.
    Raises WorldganError for options that do not fit, or if ``out`` holds anything else, or resume is False.
    """
    check_first_round(config)
    _begun(out, Progress(spec, config), resume=resume)  # before anything is written
    with sole_writer(out), closing(Logs(out)) as logs:
        progress = _begun(out, Progress(spec, config), resume=resume)  # another process may just have been at work
        progress.write(out)
        for number in range(len(progress.rounds) + 1, -(-config.budget // config.every) + 1):
            inner = part(report, _target(config, number - 1), _target(config, number), 3)
            done = _round(make_env, spec, config, out, number, inner)
            progress = replace(progress, rounds=(*progress.rounds, done))
            logs.scalars("rollout", _write_returns(out), done.steps)
            progress.write(out)
    return progress


def _round(make_env: MakeEnv, spec: EnvSpec, config: LearnConfig, out: Path, number: int, report: Report) -> Round:
    """All stages of round ``number``, counted from 1.    report: gets 0 to 3."""
    began, before = time.monotonic(), _target(config, number - 1)
    store = _collect(make_env, spec, config, out, number, part(report, 0, 1, _target(config, number)))
    run = train(store.path, _experiment(config, number), out / "model", resume=True, report=part(report, 1, 2, 1))
    dreaming = replace(config.dream, steps=number * config.dreams)
    agent = dream(
        run.path, dreaming, out / "agent", data=store.path, resume=True, report=part(report, 2, 3, 1),
        device=config.training.device,
    )  # fmt: skip
    returns = [total for steps, total, length in _episodes(store) if steps - length >= before]
    return Round(
        steps=store.steps,
        episodes=len(store.indices()),
        updates=int(run.info().progress["step"]),
        dreams=int(agent.info().progress["step"]),
        seconds=time.monotonic() - began,
        mean_return=float(np.mean(returns)) if returns else None,
    )


def _collect(
    make_env: MakeEnv, spec: EnvSpec, config: LearnConfig, out: Path, number: int, report: Report
) -> EpisodeStore:
    """The steps of round ``number`` and those before, played by the agent of the round before."""
    agent, data = None, out / "data"
    if number > 1:
        played = len(EpisodeStore.open(data).indices())
        agent = Actor(AgentFolder(out / "agent").networks(), seed=config.seed, first=played)
    return collect(
        make_env, spec, data, steps=_target(config, number), policy=agent, policy_name=POLICY, epsilon=config.epsilon,
        num_envs=1, seed=config.seed, report=report,
    )  # fmt: skip


def _episodes(store: EpisodeStore) -> list[tuple[int, float, int]]:
    """Of each episode the steps played by its end, its return, and its length."""
    lengths = [store.length(index) for index in store.indices()]
    returns = [float(store.rewards(index).sum()) for index in store.indices()]
    return list(zip(np.cumsum(lengths).tolist(), returns, lengths, strict=True))


def _write_returns(out: Path) -> dict[str, float]:
    """Write ``returns.jsonl``, a line per episode -> what Stable-Baselines3 calls the means of the last of them."""
    found = _episodes(EpisodeStore.open(out / "data"))
    lines = (json.dumps({"steps": steps, "return": total, "length": length}) for steps, total, length in found)
    atomic_write(out / "returns.jsonl", "".join(f"{line}\n" for line in lines).encode())
    _, returns, lengths = zip(*found[-SHOWN:], strict=True)
    return {"ep_rew_mean": float(np.mean(returns)), "ep_len_mean": float(np.mean(lengths))}


def _begun(out: Path, asked: Progress, *, resume: bool) -> Progress:
    """How far ``out`` has come. Raises WorldganError if it is of anything else than ``asked``, the budget aside."""
    file = out / "learn.json"
    if not file.exists():
        if out.exists() and (not out.is_dir() or any(each.name not in LEFTOVERS for each in out.iterdir())):
            raise WorldganError(f"expected {out} to be a new or an empty folder, or one of learn, and it is neither")
        return asked
    if not resume:
        raise WorldganError(f"{out} was begun before: add --resume to go on with it, or choose another folder")
    try:
        plain = json.loads(file.read_text())
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise WorldganError(f"expected format {FORMAT}")
        found = from_mapping(Progress, plain)
    except (OSError, ValueError, RecursionError, WorldganError) as error:
        raise WorldganError(
            f"{file} is damaged, or of another version of worldgan ({error}): learn in another folder"
        ) from None
    begun = replace(found.config, budget=asked.config.budget)
    for was, now in ((found.spec, asked.spec), (begun, asked.config)):
        check_unchanged(to_mapping(was), to_mapping(now), out)
    return replace(found, config=asked.config)


def _target(config: LearnConfig, rounds: int) -> int:
    """Steps in the real env after so many rounds."""
    return min(config.budget, rounds * config.every)


def _experiment(config: LearnConfig, rounds: int) -> Experiment:
    """How the model is trained until so many rounds are over: its learning rate cools down in each of them."""
    cooldown = config.training.cooldown / rounds
    training = replace(config.training, steps=rounds * config.updates, cooldown=cooldown)
    return Experiment(config.family, config.model, training)


def check_first_round(config: LearnConfig) -> None:
    """Raises WorldganError for an unknown family or key, or if the first round is shorter than a training window."""
    context, horizon = _experiment(config, 1).model_config().backbone.context, max(config.training.rollout)
    needed, first = needed_steps(context, horizon), _target(config, 1)
    if first < needed:
        raise WorldganError(
            f"expected a first round of at least {needed} steps for windows of {context} + {horizon} frames, "
            f"got {first}: raise budget and every"
        )
