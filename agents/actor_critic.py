"""An actor and a critic, each with an encoder of its own, and the agent that they make."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import prod
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worldgan import pixels
from worldgan.agents.choices import choice_of
from worldgan.agents.foresight import Foreseen
from worldgan.agents.memory import Memory
from worldgan.agents.recall import Recall, Recalled, pushed
from worldgan.background import Background
from worldgan.seeding import derive, numpy_rng
from worldgan.types import EnvSpec, WorldModel

LARGE, COARSE = 16, 6
"""Sides, in pixels: frames of more are halved at once, and encoders go on halving down to this."""


@final
class Network(nn.Module):
    """Convolutions and a hidden layer: the last F frames, uint8 [..., F, C, H, W], to numbers [..., outputs].

    All of them zero until something is learnt.
    """

    def __init__(self, frame: tuple[int, int, int], frames: int, *, width: int, units: int, outputs: int) -> None:
        """frames: F.    width: channels of the first convolution, which double twice.    units: of the hidden layer."""
        super().__init__()
        grid, inputs, layers = frame[:2], frames * frame[2], list[nn.Module]()
        for number in count():
            stride = 2 if max(grid) > (COARSE if number else LARGE) else 1
            if number and stride == 1:
                break
            channels = width * 2 ** min(number, 2)
            layers += [nn.Conv2d(inputs, channels, 3, stride, padding=1), nn.SiLU()]
            grid, inputs = ((grid[0] - 1) // stride + 1, (grid[1] - 1) // stride + 1), channels
        hidden = [nn.Flatten(), nn.Linear(inputs * prod(grid), units), nn.LayerNorm(units), nn.SiLU()]
        self.background = Background(frame)
        self.body, self.head = nn.Sequential(*layers, *hidden), nn.Linear(units, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, seen: Tensor) -> Tensor:
        """See above."""
        pictures = self.background(pixels.to_float(seen.flatten(0, -5)))
        hidden = self.body(pictures.flatten(1, 2))
        with torch.autocast(seen.device.type, enabled=False):  # what is learnt from are small differences
            told: Tensor = self.head(hidden.float())
        return told.view(*seen.shape[:-4], -1)


@final
class ActorCritic(nn.Module):
    """What to do, and what to expect of it.

    actor: states what ``choice`` draws from.    critic: the discounted return to be expected, its only output.
    """

    def __init__(self, spec: EnvSpec, frames: int, *, width: int, units: int, seed: int) -> None:
        """frames: F, how many of the last they see.    width, units: see ``Network``."""
        super().__init__()
        self.spec, self.frames, self.choice = spec, frames, choice_of(spec.actions)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "actor-critic"))
            self.actor = Network(spec.frame, frames, width=width, units=units, outputs=self.choice.outputs)
            self.critic = Network(spec.frame, frames, width=width, units=units, outputs=1)

    @torch.no_grad()
    def value(self, state: Recalled) -> Tensor:
        """What a state of B rows is worth [B]: the ``Value`` of planners in a model that recalls F frames."""
        worth: Tensor = self.critic(state.seen)[:, 0]
        return worth


@final
class Actor:
    """An ``Agent`` that draws its actions. Those of an episode depend on what it sees and on the episode's number."""

    def __init__(self, networks: ActorCritic, *, seed: int, first: int = 0, deterministic: bool = False) -> None:
        """first: number of the first episode that it will play.    deterministic: does what is likeliest, always."""
        self.networks, self._deterministic = networks, deterministic
        self._memory = Memory(networks.spec, networks.frames)
        self._seed, self._numbers = seed, count(first)
        self._rows: list[np.random.Generator] = []
        self._seen = torch.zeros(0, dtype=torch.uint8)

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Let the rows (bool [B]) begin the next episodes."""
        self._memory.reset(rows)
        if len(self._rows) != len(rows):
            self._rows = [numpy_rng(self._seed, "actor", "unused")] * len(rows)
        for row in np.flatnonzero(rows).tolist():
            self._rows[row] = numpy_rng(self._seed, "actor", next(self._numbers))

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 observations [B, H, W, C] -> raw actions [B, *ActionSpec.shape]."""
        if not self._rows:
            self.reset(np.ones(len(observation), np.bool_))
        actions = self.networks.spec.actions
        self._seen, _, _ = self._memory.see(observation)
        noise = np.stack([rng.standard_normal(actions.size, np.float32) for rng in self._rows])
        encoded = self._drawn(self._seen, torch.from_numpy(noise))
        self._memory.did(encoded)
        return actions.decode(encoded.numpy())

    def ahead(self, model: WorldModel[Any], state: Any, generator: torch.Generator) -> Iterator[Foreseen]:
        """See ``Foresees``: what it would do in the model, without end."""
        world = Recall(model, self.networks.frames)
        here = Recalled(state, pushed(self._seen, model.frame(state)))
        while True:
            noise = torch.randn(len(here.seen), model.spec.actions.size, generator=generator)
            action = self._drawn(here.seen, noise)
            prediction, here = world.step(here, action, generator)
            yield Foreseen(action, prediction.frame)

    @torch.no_grad()
    def _drawn(self, seen: Tensor, noise: Tensor) -> Tensor:
        """What is seen, uint8 [B, F, C, H, W], and standard normal noise [B, A] -> encoded actions [B, A]."""
        choice, stated = self.networks.choice, self.networks.actor(seen)
        return choice.encoded(choice.likeliest(stated) if self._deterministic else choice.draw(stated, noise))
