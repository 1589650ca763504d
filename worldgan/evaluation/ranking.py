"""Would the simulator choose the same policy as the real env? Returns of several policies in both, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worldgan import pixels
from worldgan.agents import PLANNERS, Actor, ActorCritic, Memory, PlannerConfig, check_match
from worldgan.agents.policies import EpsilonGreedy, Habit
from worldgan.data.collect import MakeEnv, RandomPolicy
from worldgan.envs import env_spec
from worldgan.errors import WorldganError
from worldgan.evaluation.figures import COLOURS, GREY, Line, Panel, chart, palette, sheet
from worldgan.evaluation.returns import play
from worldgan.evaluation.statistics import Numbers, spearman
from worldgan.files import atomic_write
from worldgan.pixels import Frames
from worldgan.seeding import derive, torch_rng
from worldgan.types import Agent, WorldModel

STARTS = 16
"""Episodes of each policy in either world."""
FEWEST = 3
"""Policies of which a rank correlation can say anything."""
PLANNER = PlannerConfig(horizon=8, candidates=6, samples=1, hold=8)
"""A cheap one, 48 imagined steps an action: it has to be better than chance, not good."""

Policies = Mapping[str, Callable[[], Agent]]
"""Name -> makes the policy, as new and with the same seed each time."""


class Earned(NamedTuple):
    """Rewards of a policy, [B, H]: those of B episodes' first H steps, 0 after their end.

    simulated: weighted with the chance that the episode has not ended before.
    """

    simulated: NDArray[np.float64]
    real: NDArray[np.float32]


@dataclass(frozen=True)
class Ranking:
    """Mean returns, float64 [P, H], of P policies over the first 1..H steps of episodes with the same beginnings."""

    policies: tuple[str, ...]
    simulated: Numbers
    real: Numbers

    def correlation(self) -> list[float | None]:
        """Spearman's, of the order of the policies, -1 to 1 for each of H; None where all earn the same."""
        return [spearman(*pair) for pair in zip(self.simulated.T, self.real.T, strict=True)]

    def error(self) -> list[float | None]:
        """Mean absolute error of a simulated return over the mean size of a real one, for each of H.

        None where no policy really earns anything.
        """
        wrong, size = np.abs(self.simulated - self.real).mean(0), np.abs(self.real).mean(0)
        return [float(w / s) if s > 0 else None for w, s in zip(wrong, size, strict=True)]

    def plain(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        returns = {"simulated": self.simulated.tolist(), "real": self.real.tolist()}
        return {"policies": list(self.policies), **returns, "correlation": self.correlation(), "error": self.error()}


def check_policies(count: int) -> None:
    """Raises WorldganError for fewer than FEWEST."""
    if count < FEWEST:
        raise WorldganError(f"expected at least {FEWEST} policies to rank, got {count}")


def policies(model: WorldModel[Any], count: int, *, seed: int, actor: ActorCritic | None = None) -> Policies:
    """``count`` policies of different strength in any game.

    One plays at random; half of the others plan in the model but play at random in a share of their steps, from 0 up;
    the rest play actions in proportions of their own or, if there is an actor, are mixtures of it and chance, too.
    Raises as ``check_policies``.
    """
    check_policies(count)
    actions, levels = model.spec.actions, (count - 1) // 2
    chance, rest = partial(RandomPolicy, actions, seed=seed), count - 1 - levels
    planner = partial(PLANNERS["shooting"], model, replace(PLANNER, seed=seed))
    found: dict[str, Callable[[], Agent]] = {"random": chance}
    found |= _mixtures("planner", planner, chance, levels, seed)
    if actor is not None:
        return found | _mixtures("actor", partial(Actor, actor, seed=seed), chance, rest, seed)
    return found | {f"habit {n + 1}": partial(Habit, actions, seed=derive(seed, "habit", n)) for n in range(rest)}


def _mixtures(
    name: str, able: Callable[[], Agent], chance: Callable[[], Agent], levels: int, seed: int
) -> dict[str, Callable[[], Agent]]:
    """``able``, disturbed by chance in a share of its steps from 0 up."""

    def mixture(epsilon: float) -> Agent:
        return EpsilonGreedy(able(), chance(), epsilon=epsilon, seed=seed)

    shares = np.linspace(0, 1, levels, endpoint=False).tolist()
    return {f"{name}, epsilon {share:.2g}": partial(mixture, share) for share in shares}


def check_env(model: WorldModel[Any], make_env: MakeEnv) -> None:
    """Raises WorldganError if the model is not for such an env."""
    with closing(make_env()) as env:
        check_match(model.spec, env_spec(env, env.spec.id if env.spec else str(env), {}))


def earn(
    model: WorldModel[Any],
    make_env: MakeEnv,
    policies: Policies,
    number: int,
    *,
    horizon: int,
    starts: int = STARTS,
    seed: int,
) -> Earned:
    """Let a policy play in the real env, and in the model from where those episodes began.

    Both see the same random numbers of the policy, so that luck is shared.
    """
    make = list(policies.values())[number]
    played = play(make_env, make(), episodes=starts, seed=seed, max_steps=horizon, num_envs=starts, record=starts)
    episodes = [each.episode for each in played if each.episode is not None]
    real = np.stack([np.pad(each.rewards, (0, horizon - len(each))) for each in episodes])
    first = np.stack([each.frames[0] for each in episodes])
    return Earned(imagined_rewards(model, make(), first, horizon, torch_rng(seed, "ranking", number)), real)


def ranked(policies: Iterable[str], earned: Sequence[Earned]) -> Ranking:
    """What all earned, in the order of their names."""
    means = [np.asarray(rewards, np.float64).cumsum(-1).mean(1) for rewards in zip(*earned, strict=True)]
    return Ranking(tuple(policies), *means)


@torch.no_grad()
def imagined_rewards(
    model: WorldModel[Any], agent: Agent, first: Frames, horizon: int, generator: torch.Generator
) -> NDArray[np.float64]:
    """What an agent earns at each step in the model, float64 [B, H], in episodes that begin with ``first``
    [B, H, W, C], each reward weighted with the chance that its episode still goes on.
    """
    frames, actions, _ = Memory(model.spec, model.context).see(first)
    state, observation = model.start(frames, actions), first
    agent.reset(np.ones(len(first), np.bool_))
    alive, rewards = np.ones(len(first)), []
    for _ in range(horizon):
        encoded = torch.from_numpy(model.spec.actions.encode(agent.act(observation)))
        prediction, state = model.step(state, encoded, generator)
        rewards.append(alive * prediction.reward.cpu().double().numpy())
        alive = alive * (1 - prediction.terminated.cpu().double().numpy())
        observation = pixels.to_array(pixels.to_uint8(prediction.frame).cpu())
    return np.stack(rewards, axis=1)


def write_rankings(out: Path, rankings: Mapping[str, Ranking]) -> None:
    """Write ``ranking.json``, model -> numbers, and ``ranking.png``."""
    text = json.dumps({name: each.plain() for name, each in rankings.items()}, indent=1, allow_nan=False)
    atomic_write(out / "ranking.json", text.encode())
    atomic_write(out / "ranking.png", sheet([chart(panel) for panel in ranking_panels(rankings)]))


def table(rankings: Mapping[str, Ranking]) -> str:
    """Plain text for a terminal: a line per model, over all steps."""
    width = max(map(len, rankings))
    count, steps = next(iter(rankings.values())).real.shape
    lines = [f"ranking of {count} policies over {steps} steps: rank correlation with the real env, relative error"]
    for name, each in rankings.items():
        cells = [
            f"{'-':>9}" if value is None else f"{value:>9.2f}" for value in (each.correlation()[-1], each.error()[-1])
        ]
        lines.append(f"  {name:<{width}}{''.join(cells)}")
    return "\n".join(lines)


def ranking_panels(rankings: Mapping[str, Ranking]) -> list[Panel]:
    """Over the horizon, rank correlation and error with a line per model; then real against simulated returns."""
    colours = palette(rankings, "")
    curves = {
        "rank correlation of policies (1 = as the real env ranks them)": Ranking.correlation,
        "error of simulated returns over real ones (0 = none)": Ranking.error,
    }
    panels = []
    for title, measure in curves.items():
        found = {name: measure(each) for name, each in rankings.items()}
        lines = [Line(name, range(1, len(y) + 1), y, colours[name]) for name, y in found.items()]
        panels.append(Panel(title, "horizon (steps)", lines))
    return [*panels, *(_scatter(name, each) for name, each in rankings.items())]


def _scatter(name: str, ranking: Ranking) -> Panel:
    """A point per policy, over all steps."""
    real, simulated = ranking.real[:, -1].tolist(), ranking.simulated[:, -1].tolist()
    ends = [min(real), max(real)]
    lines = [Line("a policy", real, simulated, COLOURS[0], "o"), Line("simulated = real", ends, ends, GREY, "--")]
    steps = ranking.real.shape[1]
    return Panel(f"{name}: return in the simulator, {steps} steps", "return in the real env", lines)
