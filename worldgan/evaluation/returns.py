"""What an agent earns in the real env, and how what a model imagined compares with what happened there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from worldgan import pixels
from worldgan.agents import check_match
from worldgan.data.collect import MakeEnv
from worldgan.envs import env_spec
from worldgan.errors import WorldganError
from worldgan.pixels import Frames
from worldgan.progress import Report
from worldgan.rollout import rollout
from worldgan.seeding import derive, numpy_rng, torch_rng
from worldgan.types import Agent, Episode, Window, WorldModel

Env = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Played:
    """One episode in the real env.

    number: of the episode, which fixes the env's seed.    total: sum of rewards, not discounted.
    length: steps.    terminated: the env ended it.    truncated: something else did (time limit, max_steps).
    episode: all of it, if it was to be recorded.
    """

    number: int
    total: float
    length: int
    terminated: bool
    truncated: bool
    episode: Episode | None = None


def play(
    make_env: MakeEnv,
    agent: Agent,
    *,
    episodes: int,
    seed: int,
    max_steps: int = 10_000,
    num_envs: int = 8,
    record: int = 0,
    report: Report | None = None,
) -> list[Played]:
    """Play episodes 0..episodes - 1 to their ends, in ``num_envs`` envs in step -> one entry each, in order.

    Episode i resets the env with a seed of (seed, i) alone, so the episodes do not depend on ``num_envs``, unless
    the agent does.    max_steps: longer episodes are truncated.    record: keep the first ``record`` episodes.
    report: gets the number of finished episodes. Raises WorldganError for counts below 1.
    """
    if min(episodes, max_steps, num_envs) < 1:
        raise WorldganError(f"expected episodes, max_steps and num_envs >= 1, got {episodes}, {max_steps}, {num_envs}")
    with ExitStack() as stack:
        envs = [stack.enter_context(closing(make_env())) for _ in range(min(num_envs, episodes))]
        rows = [_Row(env, seed=seed, max_steps=max_steps, record=record) for env in envs]
        return _play(rows, agent, episodes, report)


def summary(returns: Sequence[float], *, resamples: int = 5000, seed: int = 0) -> dict[str, float | None]:
    """Mean return, its standard error and 95% interval ("low" to "high"), min, max and number of episodes.

    The interval is a percentile bootstrap over episodes (Efron 1979), which fits lopsided returns too. None for
    what a single episode cannot tell. Raises WorldganError for no returns.
    """
    values, number = np.asarray(returns, np.float64), len(returns)
    if not number:
        raise WorldganError("expected the return of at least one episode, got none")
    error = low = high = None
    if number > 1:
        error = float(values.std(ddof=1) / np.sqrt(number))
        draws = numpy_rng(seed, "bootstrap").integers(number, size=(resamples, number))
        low, high = (float(q) for q in np.quantile(values[draws].mean(1), (0.025, 0.975)))
    return {
        "mean": float(values.mean()),
        "standard_error": error,
        "low": low,
        "high": high,
        "min": float(values.min()),
        "max": float(values.max()),
        "episodes": float(number),
    }


def imagined_vs_real(
    model: WorldModel[Any], env: Env, agent: Agent, *, horizon: int, seed: int, max_steps: int = 200
) -> dict[str, Frames]:
    """One episode beside what the model imagines of it: "imagined" and "real" frames [T, H, W, C].

    The agent plays; the model sees the real frames at steps 0, H, 2H, ... (H = ``horizon``) and imagines the H
    frames after each under the actions that were really taken. The env is left open.
    Raises WorldganError if the model is not for such an env.
    """
    check_match(model.spec, env_spec(env, env.spec.id if env.spec else str(env), {}))
    if min(horizon, max_steps) < 1:
        raise WorldganError(f"expected horizon and max_steps >= 1, got {horizon}, {max_steps}")
    [played] = _play([_Row(env, seed=seed, max_steps=max_steps, record=1)], agent, 1, None)
    episode = played.episode
    assert episode is not None, "it was to be recorded"
    window = _windows(episode, model, horizon)
    dreamt = rollout(model, window, torch_rng(seed, "imagined")).frames.flatten(0, 1)[: len(episode)]
    return {"imagined": np.concatenate([episode.frames[:1], pixels.to_array(dreamt)]), "real": episode.frames}


class _Row:
    """One env and the episode being played in it."""

    def __init__(self, env: Env, *, seed: int, max_steps: int, record: int) -> None:
        self._env, self._seed, self._max_steps, self._record = env, seed, max_steps, record

    def begin(self, number: int) -> None:
        """Reset for episode ``number``."""
        seed = derive(self._seed, "play", number) % 2**31  # several emulators take 32 bits or fewer
        self.observation: Frames = self._env.reset(seed=seed)[0]
        self.number, self._recording = number, number < self._record
        self._frames, self._rewards = [np.array(self.observation)], list[float]()
        self._actions: list[NDArray[Any]] = []

    def step(self, action: Any) -> bool:
        """Play on; returns whether the episode is over."""
        self.observation, reward, terminated, truncated, _ = self._env.step(action)
        self._rewards.append(float(reward))
        if self._recording:
            self._frames.append(np.array(self.observation))
            self._actions.append(np.array(action))
        self._terminated = bool(terminated)
        self._truncated = bool(truncated) or (not terminated and len(self._rewards) >= self._max_steps)
        return self._terminated or self._truncated

    def played(self) -> Played:
        """The finished episode."""
        rewards, episode, ends = np.asarray(self._rewards, np.float32), None, (self._terminated, self._truncated)
        if self._recording:
            episode = Episode(np.stack(self._frames), np.stack(self._actions), rewards, *ends)
        return Played(self.number, sum(self._rewards), len(rewards), *ends, episode=episode)


def _play(rows: Sequence[_Row], agent: Agent, episodes: int, report: Report | None) -> list[Played]:
    """An env whose episode ended takes the next one, wanted or not, so that the agent always sees B live envs.

    Those wanted are all played to the end: to stop at the first so many finished would favour short ones.
    """
    numbers, finished = count(), dict[int, Played]()
    done = np.ones(len(rows), np.bool_)
    for step in count(1):
        if len(finished) == episodes:
            break
        if done.any():
            for i in np.flatnonzero(done).tolist():
                rows[i].begin(next(numbers))
            agent.reset(done)
        actions = agent.act(np.stack([row.observation for row in rows]))
        done = np.asarray([row.step(action) for row, action in zip(rows, actions, strict=True)])
        ended = [rows[i].played() for i in np.flatnonzero(done).tolist()]
        finished |= {played.number: played for played in ended if played.number < episodes}
        if report is not None:
            report(len(finished), f"step {step:,}")
    return [finished[number] for number in range(episodes)]


def _windows(episode: Episode, model: WorldModel[Any], horizon: int) -> Window:
    """Windows of the model's context and ``horizon`` targets whose last context frames are 0, H, 2H, ...

    As in training windows, the nearest frame and zero actions stand for what lies outside the episode.
    """
    length = len(episode)
    starts: NDArray[np.int64] = np.arange(0, length, horizon)
    times = starts[:, None] - model.context + 1 + np.arange(model.context + horizon)
    steps, inside = times[:, :-1], np.clip(times[:, :-1], 0, length - 1)
    valid = (steps >= 0) & (steps < length)
    return Window(
        frames=pixels.to_tensor(episode.frames[np.clip(times, 0, length)]),
        actions=torch.from_numpy(model.spec.actions.encode(episode.actions)[inside] * valid[..., None]),
        rewards=torch.from_numpy(episode.rewards[inside] * valid),
        terminated=torch.from_numpy((steps == length - 1) & episode.terminated),
        valid=torch.from_numpy(valid),
        context=model.context,
    )
