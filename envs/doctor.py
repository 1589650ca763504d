"""What worldgan sees of an env, in plain words: the first thing to run on a new one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worldgan.actions import ActionSpec
from worldgan.envs.enumerable import enumerable
from worldgan.envs.factory import env_spec, make
from worldgan.envs.frames import About, PixelEnv
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class Play:
    """What random actions met.

    steps: taken.    seconds: they took, resets included.    lengths: steps of each finished episode.
    rewards: (least, greatest) of one step.    terminated, truncated: number of episodes that ended so.
    """

    steps: int
    seconds: float
    lengths: tuple[int, ...]
    rewards: tuple[float, float]
    terminated: int
    truncated: int


@dataclass(frozen=True)
class Diagnosis:
    """spec: frame and actions.    native: the env's own observation space.    action_space: its own, as text.

    frame, actions: what worldgan does to each, in words.    rules: what else options decide.    play: what random
    actions met.
    enumerable: whether the true distribution of the next frame can be listed.
    """

    spec: EnvSpec
    native: str
    action_space: str
    frame: str
    actions: str
    rules: str
    play: Play
    enumerable: bool

    @property
    def steps_per_second(self) -> float:
        """Of one env on one core, with random actions, resets included."""
        return self.play.steps / self.play.seconds


def diagnose(env_id: str, options: Mapping[str, Any] | None = None, seconds: float = 2.0) -> Diagnosis:
    """Make the env and play at random for about ``seconds``. Raises WorldganError as ``make`` does."""
    env = make(env_id, **(options or {}))
    try:
        spec = env_spec(env, env_id, options or {})
        about = env.get_wrapper_attr("about")
        assert isinstance(about, About)
        return Diagnosis(
            spec, about.native, str(env.action_space), about.frame, _encoding(spec.actions),
            about.rules, play(env, seconds), enumerable(env) is not None,
        )  # fmt: skip
    finally:
        env.close()


def play(env: PixelEnv, seconds: float, *, seed: int = 0) -> Play:
    """Random actions for about ``seconds``, at least one step."""
    env.action_space.seed(seed)
    env.reset(seed=seed)
    rewards: list[float] = []
    lengths, ends = [0], {"terminated": 0, "truncated": 0}
    start = time.perf_counter()
    while not rewards or time.perf_counter() - start < seconds:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rewards.append(float(reward))
        lengths[-1] += 1
        if terminated or truncated:
            ends["terminated" if terminated else "truncated"] += 1
            lengths.append(0)
            env.reset()
    took = time.perf_counter() - start
    return Play(len(rewards), took, tuple(lengths[:-1]), (min(rewards), max(rewards)), **ends)


def describe(diagnosis: Diagnosis) -> str:
    """A few lines for people."""
    spec, met = diagnosis.spec, diagnosis.play
    height, width, channels = spec.frame
    options = " with " + ", ".join(f"{k}={v}" for k, v in spec.options.items()) if spec.options else ""
    return "\n".join(
        [
            f"{spec.id}{options}: worldgan can use it.",
            f"Frames: {height}x{width} with {channels} channels: {diagnosis.frame}.",
            f"Its own observations: {diagnosis.native}.",
            f"Actions: {diagnosis.actions} (its own: {diagnosis.action_space}).",
            *([f"Rules: {diagnosis.rules}."] if diagnosis.rules else []),
            f"Speed: {diagnosis.steps_per_second:,.0f} steps a second with random actions.",
            f"Episodes: {_episodes(met)}.",
            f"Rewards: {_rewards(met)}.",
            "Truth: the true distribution of the next frame is known, so predictions can be checked exactly."
            if diagnosis.enumerable
            else "Truth: the true distribution of the next frame is not known, only samples of it.",
        ]
    )


def _encoding(actions: ActionSpec) -> str:
    count = len(actions.sizes)
    if actions.kind == "discrete":
        return f"{actions.size} choices, as a one-hot vector of {actions.size} numbers"
    if actions.kind == "multidiscrete":
        return f"{count} choices at once, as {count} one-hot vectors joined to {actions.size} numbers"
    return f"{actions.size} real numbers, scaled from the bounds of the space to -1..1"


def _episodes(met: Play) -> str:
    if not met.lengths:
        return f"none ended within {met.steps:,} steps"
    shortest, longest = min(met.lengths), max(met.lengths)
    span = f"{longest:,} steps" if shortest == longest else f"{shortest:,} to {longest:,} steps"
    return f"{len(met.lengths)} of {span} ({met.terminated} terminated, {met.truncated} truncated)"


def _rewards(met: Play) -> str:
    least, greatest = met.rewards
    if least == greatest:
        return f"always {least:g} so far; random play may not meet others"
    return f"{least:g} to {greatest:g} a step"
