"""Sessions of the dot world, and a server of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fakes import PerfectModel, dot_spec, draw
from torch import Tensor

from worldgan.pixels import to_float
from worldgan.play.controls import controls
from worldgan.play.real import RealEnv
from worldgan.play.server import Club, Limits, bind, server
from worldgan.play.session import Session, World
from worldgan.types import Outcomes

NAMES = ("stay", "up", "down", "left", "right")


class Branching(PerfectModel):
    """As the perfect model, but expects to stay one time in four; a state is where the dots are."""

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        moved, _ = self.step(state, action, generator)
        frames = torch.stack([moved.frame, to_float(draw(state, self.spec))], 1)
        chance = torch.tensor([0.75, 0.25]).expand(len(action), 2)
        return Outcomes(frames, chance, moved.reward[:, None].expand(-1, 2), torch.zeros(len(action), 2))


def world(name: str, model: Any) -> World:
    frames = draw(torch.tensor([[4, 4], [4, 4]]), model.spec)[None].expand(1, -1, -1, -1, -1)[:, -model.context :]
    start = (frames, torch.zeros(1, model.context - 1, model.spec.actions.size))
    return World(name, name, model, {"beginning": start, "anywhere": start})


def session(real: Any = None, *, size: int = 8, seed: int = 0) -> Session:
    """Two models, of two frames and of one, from the dot at (4, 4)."""
    spec = dot_spec(size)
    worlds = {"two": world("two", Branching(2, spec)), "one": world("one", Branching(1, spec))}
    return Session(worlds, controls(spec.actions, NAMES), RealEnv(real) if real is not None else None, seed)


@dataclass(frozen=True)
class Serving:
    club: Club
    port: int


@contextmanager
def serving(*, size: int = 8, **limits: Any) -> Iterator[Serving]:
    """A server of such sessions on a free port of this machine."""
    club = Club(lambda number: session(size=size, seed=number), "not in a test", Limits(**limits))
    listening = bind("127.0.0.1", 0)
    running = server(club, "127.0.0.1")
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Serving(club, listening.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join()
        listening.close()
