"""A toy world whose dynamics are known, and a world model that knows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.types import EnvSpec, Outcomes, Prediction, Window

MOVES = torch.tensor([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
"""(down, right) of the five actions; the first, which an encoding of all zeros also means, stays."""


def dot_spec(size: int = 8, channels: int = 3) -> EnvSpec:
    return EnvSpec("dot", (size, size, channels), ActionSpec("discrete", (len(MOVES),)))


def draw(places: Tensor, spec: EnvSpec) -> Tensor:
    """int64 [B, 2] -> uint8 [B, C, H, W]: one white pixel on black."""
    height, width, channels = spec.frame
    frames = torch.zeros(len(places), channels, height, width, dtype=torch.uint8)
    frames[torch.arange(len(places)), :, places[:, 0], places[:, 1]] = 255
    return frames


def advance(places: Tensor, action: Tensor, spec: EnvSpec) -> tuple[Tensor, Tensor, Tensor]:
    """True dynamics: the dot moves on a torus, earns 1 in row 0 and -1 in the last, and ends at (0, 0)."""
    height, width, _ = spec.frame
    places = (places + MOVES[action.argmax(-1)]) % torch.tensor([height, width])
    reward = (places[:, 0] == 0).float() - (places[:, 0] == height - 1).float()
    return places, reward, (places == 0).all(-1)


@dataclass(frozen=True)
class PerfectModel:
    """A ``WorldModel`` of the dot world without error; its state is where the dots are, int64 [B, 2]."""

    context: int = 2
    spec: EnvSpec = field(default_factory=dot_spec)

    def start(self, frames: Tensor, actions: Tensor) -> Tensor:
        assert frames.dtype == torch.uint8
        assert frames.shape[1] == actions.shape[1] + 1 == self.context
        return torch.stack(torch.where(frames[:, -1].amax(1) > 0)[1:], -1)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        del generator
        places, reward, terminated = advance(state, action, self.spec)
        return Prediction(pixels.to_float(draw(places, self.spec)), reward, terminated.float()), places

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        assert count >= 1
        one, _ = self.step(state, action, generator)
        certain = torch.ones(len(state), 1)
        return Outcomes(one.frame[:, None], certain, one.reward[:, None], one.terminated[:, None], stated=True)

    def push(self, state: Tensor, action: Tensor, frame: Tensor) -> Tensor:
        del state, action
        return torch.stack(torch.where(frame.amax(1) > 0)[1:], -1)

    def index(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))

    def frame(self, state: Tensor) -> Tensor:
        return pixels.to_float(draw(state, self.spec))


def dot_window(batch: int = 32, context: int = 2, horizon: int = 6, *, seed: int = 0, **spec: Any) -> Window:
    """Random play in the dot world; after an end the last frame is repeated and transitions are invalid."""
    world, rng = dot_spec(**spec), np.random.default_rng(seed)
    steps = context + horizon - 1
    actions = torch.from_numpy(world.actions.sample((batch, steps), rng))
    places = torch.from_numpy(rng.integers(1, world.frame[0], (batch, 2)))
    alive = torch.ones(batch, dtype=torch.bool)
    frames, rewards, ends, valid = [draw(places, world)], [], [], []
    for action in actions.unbind(1):
        moved, reward, end = advance(places, action, world)
        valid.append(alive)
        rewards.append(reward * alive)
        ends.append(end & alive)
        places = torch.where(alive[:, None], moved, places)
        alive = alive & ~end
        frames.append(draw(places, world))
    valid_steps = torch.stack(valid, 1)
    return Window(
        frames=torch.stack(frames, 1),
        actions=actions * valid_steps[..., None],
        rewards=torch.stack(rewards, 1),
        terminated=torch.stack(ends, 1),
        valid=valid_steps,
        context=context,
    )
