"""Every field of a planner's configuration changes what it does."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from agent_fakes import ONE_NUMBER, LotteryModel

from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.types import EnvSpec

BASE = PlannerConfig(horizon=4, candidates=20, elites=0.3, simulations=12, chunk=64)
OTHER = {
    "horizon": 5, "candidates": 30, "samples": 3, "discount": 0.3, "hold": 2, "iterations": 3, "elites": 0.5,
    "smoothing": 0.6, "exploration": 0.6, "color": 0.5, "decay": 2.0, "disturbance": 0.2, "temperature": 2.0,
    "simulations": 20, "outcomes": 2, "widening": 0.9, "puct": 0.1, "chunk": 5, "seed": 1,
}  # fmt: skip
ALL = {"horizon", "samples", "discount", "chunk", "seed"}
CEM = {"candidates", "iterations", "elites", "smoothing", "exploration"}
READ = {
    "shooting": ALL | {"candidates", "hold"},
    "cem": ALL | CEM | {"hold"},
    "icem": ALL | CEM | {"color", "decay"},
    "mppi": ALL | {"candidates", "iterations", "color", "disturbance", "temperature"},
    "mcts": ALL | {"hold", "simulations", "outcomes", "widening", "puct"},
}


class Listening(LotteryModel):
    """Keeps every action that is imagined; counts samples where odds are asked for."""

    heard: list[torch.Tensor] = []

    def step(self, state, action, generator):
        self.heard.append(action.flatten())
        return super().step(state, action, generator)

    def outcomes(self, state, action, count, generator):
        self.heard.append(torch.tensor([count]))
        return replace(super().outcomes(state, action, count, generator), stated=False)


def imagined(name: str, config: PlannerConfig) -> torch.Tensor:
    """All that is imagined, and then done, in a few steps of a game of chance."""
    Listening.heard.clear()
    model = Listening(EnvSpec("lottery", (2, 2, 1), ONE_NUMBER)) if name == "mppi" else Listening()
    planner = PLANNERS[name](model, config)
    done = [torch.from_numpy(planner.act(np.zeros((2, 2, 2, 1), np.uint8))).flatten() for _ in range(4)]
    return torch.cat([*Listening.heard, *done])


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_every_field_matters_to_the_planners_that_have_it(name):
    assert set(OTHER) == {field.name for field in fields(PlannerConfig)} == set.union(*READ.values())
    base = imagined(name, BASE)
    assert torch.equal(base, imagined(name, BASE))
    others = {field: imagined(name, replace(BASE, **{field: value})) for field, value in OTHER.items()}
    assert {field for field, other in others.items() if not torch.equal(base, other)} == READ[name]
