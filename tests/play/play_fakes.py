"""Sessions of the dot world, and a server of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fakes import PerfectModel, dot_spec, draw
from torch import Tensor

from worldgan.agents import ActorCritic, AgentFolder, AgentInfo, DreamConfig
from worldgan.controls import controls
from worldgan.pixels import to_float
from worldgan.play.real import RealEnv
from worldgan.play.server import Club, Limits, bind, server
from worldgan.play.session import Session, World
from worldgan.types import EnvSpec, Outcomes

NAMES = ("stay", "up", "down", "left", "right")


class Branching(PerfectModel):
    """As the perfect model, but expects up to four things: to move, to stay, and two that never happen, one rare."""

    def outcomes(self, state: Tensor, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        moved, places = self.step(state, action, generator)
        side = self.spec.frame[0]
        expected = [places, state, (state + 2) % side, (state + 3) % side][:count]
        frames = torch.stack([to_float(draw(each, self.spec)) for each in expected], 1)
        chance = torch.tensor([0.5, 0.25, 0.15, 0.005])[:count]
        rows = (len(action), len(expected))
        reward = moved.reward[:, None].expand(rows)
        return Outcomes(frames, (chance / chance.sum()).expand(rows), reward, torch.zeros(rows))


def world(name: str, model: Any) -> World:
    frames = draw(torch.tensor([[4, 4], [4, 4]]), model.spec)[None].expand(1, -1, -1, -1, -1)[:, -model.context :]
    start = (frames, torch.zeros(1, model.context - 1, model.spec.actions.size))
    return World(name, name, model, {"beginning": start, "anywhere": start})


def session(real: Any = None, *, size: int = 8, seed: int = 0) -> Session:
    """Two models, of two frames and of one, from the dot at (4, 4), and an actor that has learnt nothing."""
    spec = dot_spec(size)
    worlds = {"two": world("two", Branching(2, spec)), "one": world("one", Branching(1, spec))}
    beside = RealEnv(real) if real is not None else None
    actors = {"actor": ActorCritic(spec, 2, width=4, units=8, seed=0)}
    return Session(worlds, controls(spec.actions, NAMES), beside, seed, actors)


def untaught(folder: Path, spec: EnvSpec) -> Path:
    """The folder of an agent that has learnt nothing."""
    info = AgentInfo(spec, 2, DreamConfig(steps=1, width=4, units=8), "run", "data")
    AgentFolder(folder).write(info, info.networks(), {})
    return folder


@dataclass(frozen=True)
class Serving:
    club: Club
    port: int
    server: uvicorn.Server

    def connections(self) -> int:
        """Those that the server has not let go."""
        return len(self.server.server_state.connections)


@contextmanager
def serving(*, size: int = 8, **limits: Any) -> Iterator[Serving]:
    """A server of such sessions on a free port of this machine."""
    with _started(Club(lambda number: session(size=size, seed=number), "not in a test", Limits(**limits))) as started:
        yield started


@contextmanager
def running(club: Club) -> Iterator[int]:
    """The port of a server of ``club``."""
    with _started(club) as started:
        yield started.port


@contextmanager
def _started(club: Club) -> Iterator[Serving]:
    listening = bind("127.0.0.1", 0)
    serve = server(club, "127.0.0.1")
    thread = threading.Thread(target=serve.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Serving(club, listening.getsockname()[1], serve)
    finally:
        serve.should_exit = True
        thread.join()
        listening.close()
