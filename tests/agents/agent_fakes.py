"""Toy worlds whose best plans are known, models that know them, and a model that notes how it is used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch
from fakes import MOVES, PerfectModel, advance, draw
from torch import Tensor

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.agents import PLANNERS
from worldgan.types import EnvSpec, Outcomes, Prediction

ACTIONS = {
    "discrete": ActionSpec("discrete", (5,)),
    "multidiscrete": ActionSpec("multidiscrete", (3, 3)),
    "box": ActionSpec("box", (2,), (-2.0, 0.0), (2.0, 8.0)),
}


def fitting(kind: str) -> list[str]:
    """Names of the planners for a kind of actions."""
    misfits = {"discrete": {"mppi"}, "multidiscrete": {"mppi", "mcts"}, "box": {"mcts"}}[kind]
    return sorted(PLANNERS.keys() - misfits)


FITTING = [(name, kind) for kind in ACTIONS for name in fitting(kind)]


class Rows:
    """States that are one tensor with a row for each of B."""

    def index(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


@dataclass(frozen=True)
class GridWorldModel(Rows):
    """A walk within walls from (0, 0) to a goal, which pays 1 and ends the episode. State: float [B, 2].

    Discrete moves one cell along an axis, the others up to one cell along both.
    """

    spec: EnvSpec
    goal: tuple[int, int] = (3, 3)
    context: int = 1

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        del actions
        return torch.stack(torch.where(frames[:, -1].amax(1) > 0)[1:], -1).float()

    def moves(self, action: Tensor) -> Tensor:
        if self.spec.actions.kind == "discrete":
            return MOVES[action.argmax(-1)]
        if self.spec.actions.kind == "multidiscrete":
            return torch.stack([part.argmax(-1) - 1 for part in action.split(3, -1)], -1)
        return action

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        del generator
        places = (state + self.moves(action)).clamp(0, self.spec.frame[0] - 1)
        there = ((places - torch.tensor(self.goal)).abs() < 0.5).all(-1).float()
        return Prediction(pixels.to_float(draw(places.round().long(), self.spec)), there, there), places

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        return certain(self.step(state, action, generator)[0])

    def push(self, state: Tensor, action: Tensor, frame: Tensor) -> Tensor:
        del state, action
        return torch.stack(torch.where(frame.amax(1) > 0)[1:], -1).float()


def certain(step: Prediction) -> Outcomes:
    """The one thing that can happen."""
    odds = torch.ones(len(step.reward), 1)
    return Outcomes(step.frame[:, None], odds, step.reward[:, None], step.terminated[:, None], stated=True)


def grid(kind: str) -> GridWorldModel:
    return GridWorldModel(EnvSpec("grid", (5, 5, 1), ACTIONS[kind]))


ONE_OF_TWO = ActionSpec("discrete", (2,))
ONE_NUMBER = ActionSpec("box", (1,), (-1.0,), (1.0,))


@dataclass(frozen=True)
class LotteryModel(Rows):
    """Action 0 pays 1; action 1 pays 10 with probability 0.1 and otherwise costs 5, -3.5 on average.

    Of a box, all above 0 is action 0 and the rest action 1. A win whitens the frame, whatever else is in it.
    """

    spec: EnvSpec = field(default_factory=lambda: EnvSpec("lottery", (2, 2, 1), ONE_OF_TWO))
    context: int = 1

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        del actions
        return frames[:, -1]

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        lucky = torch.rand(len(state), generator=generator) < 0.1
        reward = torch.where(action[:, 0] > 0, 1.0, torch.where(lucky, 10.0, -5.0))
        return Prediction(pixels.to_float(state), reward, torch.zeros(len(state))), state

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        assert count >= 2
        safe = action[:, :1] > 0
        frames = pixels.to_float(torch.stack([state, torch.full_like(state, 255)], dim=1))
        odds = torch.where(safe, torch.tensor([1.0, 0.0]), torch.tensor([0.9, 0.1]))
        rewards = torch.where(safe, torch.tensor([1.0, 0.0]), torch.tensor([-5.0, 10.0]))
        return Outcomes(frames, odds, rewards, torch.zeros(len(state), 2), stated=True)

    def push(self, state: Tensor, action: Tensor, frame: Tensor) -> Tensor:
        del action, frame
        return state

    def frame(self, state: Tensor) -> Tensor:
        return pixels.to_float(state)


@dataclass(frozen=True)
class TargetModel(Rows):
    """Step t costs the squared distance of its encoded action from ``target(H)[t]``. State: the step, [B]."""

    spec: EnvSpec
    context: int = 1

    def target(self, horizon: int) -> Tensor:
        return torch.from_numpy(self.spec.actions.sample((20,), np.random.default_rng(3))[:horizon])

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        del actions
        return torch.zeros(len(frames), dtype=torch.long)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        del generator
        reward = -(action - self.target(20)[state]).square().sum(-1)
        return Prediction(torch.zeros(len(state), 1, 2, 2), reward, torch.zeros(len(state))), state + 1


@dataclass
class Watched:
    """Another model, noting what it is started with and the rows of every other question."""

    model: Any
    starts: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    pushes: list[int] = field(default_factory=list)

    @property
    def spec(self) -> EnvSpec:
        return self.model.spec

    @property
    def context(self) -> int:
        return self.model.context

    def start(self, frames: Tensor, actions: Tensor) -> Any:
        self.starts.append((frames.clone(), actions.clone()))
        return self.model.start(frames, actions)

    def step(self, state: Any, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Any]:
        self.steps.append(len(action))
        return self.model.step(state, action, generator)

    def outcomes(self, state: Any, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        self.looks.append(len(action))
        return self.model.outcomes(state, action, count, generator)

    def push(self, state: Any, action: Tensor, frame: Tensor) -> Any:
        self.pushes.append(len(action))
        return self.model.push(state, action, frame)

    def index(self, state: Any, rows: Tensor) -> Any:
        return self.model.index(state, rows)

    def join(self, states: Sequence[Any]) -> Any:
        return self.model.join(states)

    def frame(self, state: Any) -> Tensor:
        return self.model.frame(state)


@dataclass(frozen=True)
class TableModel(Rows):
    """A random game of ``size`` states, which frames show as one white pixel. State: int64 [B].

    Each action leads to one of three states, earns what depends on both, and ends the game now and then.
    stated: ``outcomes`` lists the true odds; else it counts ``count`` samples.
    """

    stated: bool = True
    size: int = 5
    seed: int = 0
    context: int = 1

    @property
    def spec(self) -> EnvSpec:
        return EnvSpec("table", (1, self.size, 1), ONE_OF_TWO)

    def table(self) -> tuple[Tensor, Tensor, Tensor]:
        """Odds, rewards and ends, [size, 2, size]."""
        rng = np.random.default_rng(self.seed)
        odds = np.zeros((self.size, 2, self.size))
        for row in odds.reshape(-1, self.size):
            row[rng.choice(self.size, 3, replace=False)] = rng.dirichlet([2.0, 2.0, 2.0])
        ends = rng.random(odds.shape) < 0.2
        return torch.from_numpy(odds), torch.from_numpy(rng.normal(size=odds.shape)), torch.from_numpy(ends)

    def picture(self, state: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(state, self.size)[..., None, None, :].float() * 2 - 1

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        del actions
        return frames[:, -1, 0, 0].int().argmax(-1)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        odds, rewards, ends = (part[state, action.argmax(-1)] for part in self.table())
        after = torch.multinomial(odds, 1, generator=generator)
        reward, end = (part.gather(1, after)[:, 0].float() for part in (rewards, ends))
        return Prediction(self.picture(after[:, 0]), reward, end), after[:, 0]

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        odds, rewards, ends = (part[state, action.argmax(-1)] for part in self.table())
        if not self.stated:
            drawn = torch.multinomial(odds, count, replacement=True, generator=generator)
            odds = torch.zeros_like(odds).scatter_add_(1, drawn, torch.full(drawn.shape, 1 / count).double())
        top = odds.topk(3)
        rewards, ends = (part.gather(1, top.indices).float() for part in (rewards, ends))
        return Outcomes(self.picture(top.indices), top.values.float(), rewards, ends, stated=self.stated)

    def push(self, state: Tensor, action: Tensor, frame: Tensor) -> Tensor:
        del state, action
        return frame[:, 0, 0].argmax(-1)

    def frame(self, state: Tensor) -> Tensor:
        return self.picture(state)


class DotEnv(gymnasium.Env[Any, Any]):
    """The world of ``fakes.PerfectModel`` as an env that starts at random; seeds are noted."""

    def __init__(self) -> None:
        self.world = PerfectModel().spec
        self.observation_space = gymnasium.spaces.Box(0, 255, self.world.frame, np.uint8)
        self.action_space = self.world.actions.space()
        self.seeds: list[int | None] = []
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.seeds.append(seed)
        self.place = torch.from_numpy(self.np_random.integers(1, self.world.frame[0], (1, 2)))
        return self.look(), {}

    def step(self, action: Any) -> Any:
        vector = torch.from_numpy(self.world.actions.encode(np.asarray(action)))[None]
        self.place, reward, end = advance(self.place, vector, self.world)
        return self.look(), float(reward), bool(end), False, {}

    def look(self) -> Any:
        return pixels.to_array(draw(self.place, self.world))[0]

    def close(self) -> None:
        self.closed = True


def picture(model: Any, *places: tuple[int, int]) -> Any:
    """uint8 [B, H, W, C] of dots at the given places."""
    return pixels.to_array(draw(torch.tensor(places), model.spec))
