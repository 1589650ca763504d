"""Play episodes in a learned simulator and keep them as a data set, to look at, train on, or hand over.

Envs are played in rounds, each until its last episode ends, so that long episodes are kept as often as short ones. A
round is a function of the seed and its number: an interrupted data set goes on as if nothing had happened.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from worldgan.data import codec
from worldgan.data.collect import RandomPolicy
from worldgan.data.store import EpisodeStore, writing
from worldgan.errors import WorldganError
from worldgan.progress import Report
from worldgan.seeding import derive
from worldgan.simulator import HORIZON, SimulatedVectorEnv
from worldgan.types import Agent, WorldModel


def imagine(
    model: WorldModel[Any],
    starts: tuple[Tensor, Tensor],
    out: Path,
    *,
    steps: int,
    name: str,
    policy: Agent | None = None,
    policy_name: str = "random",
    num_envs: int = 16,
    horizon: int = HORIZON,
    seed: int = 0,
    report: Report | None = None,
) -> EpisodeStore:
    """Make ``out`` a data set of at least ``steps`` imagined steps; again to go on after a kill, or with more steps.

    starts: states to start from, as in ``SimulatedVectorEnv``.    name: of the model; recorded, as ``policy_name`` is.
    policy: acts in all envs, None for ``RandomPolicy``. Rounds are functions of the seed only if it keeps nothing
    beyond ``reset``.    horizon: steps after which an episode is truncated.
    report: gets the steps so far. Rewards are the model's expected ones.
    Raises WorldganError if ``out`` holds another data set or has another writer, or the model imagines NaN.
    """
    if min(steps, num_envs, horizon) < 1:
        raise WorldganError(f"expected steps, num_envs and horizon >= 1, got {steps}, {num_envs} and {horizon}")
    envs = SimulatedVectorEnv(model, num_envs, horizon=horizon, starts=starts)
    description = f"imagined by {name}, {policy_name} actions, {num_envs} at once, at most {horizon} steps"
    with writing(out, model.spec, seed=seed, policy=description) as store:
        for number in count():
            first = number * num_envs
            indices = range(first, first + num_envs)
            if not all(index in store for index in indices):
                played = _round(envs, policy, first, seed, report, store.steps)
                for index, data in zip(indices, played, strict=True):
                    if store.unbroken < steps and index not in store:
                        store.add_encoded(index, data)
            if store.unbroken >= steps:
                return store
    raise AssertionError("count() does not end")


def _round(
    envs: SimulatedVectorEnv, policy: Agent | None, first: int, seed: int, report: Report | None, before: int
) -> list[bytes]:
    """One episode of every env, the first of which is episode ``first``.    before: steps played earlier."""
    observation, _ = envs.reset(seed=derive(seed, "imagine", first))
    encoders = [codec.Encoder(envs.model.spec, frame) for frame in observation]
    files: dict[int, bytes] = {}
    actor = policy or RandomPolicy(envs.model.spec.actions, seed=derive(seed, "play", first))
    actor.reset(np.ones(envs.num_envs, np.bool_))
    while len(files) < envs.num_envs:
        actions = actor.act(observation)
        observation, rewards, terminated, truncated, _ = envs.step(actions)
        for row in (row for row in range(envs.num_envs) if row not in files):
            encoders[row].step(actions[row], float(rewards[row]), observation[row])
            if terminated[row] or truncated[row]:
                over = bool(terminated[row])
                files[row] = encoders[row].finish(terminated=over, truncated=bool(truncated[row]))
        if report is not None:
            report(before + sum(map(len, encoders)))
    return [files[row] for row in range(envs.num_envs)]
