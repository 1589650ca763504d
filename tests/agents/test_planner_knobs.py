"""Every field of a planner's configuration changes what it does."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from agent_fakes import LotteryModel

from worldgan.agents import PLANNERS, PlannerConfig

BASE = PlannerConfig(horizon=4, candidates=20, elites=0.3, chunk=64)
OTHER = {
    "horizon": 5, "candidates": 30, "samples": 3, "discount": 0.3, "hold": 2, "iterations": 3, "elites": 0.5,
    "smoothing": 0.6, "exploration": 0.6, "chunk": 32, "seed": 1,
}  # fmt: skip
CEM_ONLY = {"iterations", "elites", "smoothing", "exploration"}


class Listening(LotteryModel):
    """Keeps every action that is imagined."""

    heard: list[torch.Tensor] = []

    def step(self, state, action, generator):
        self.heard.append(action.flatten())
        return super().step(state, action, generator)


def imagined(name: str, config: PlannerConfig) -> torch.Tensor:
    """All that is imagined, and then done, in a few steps of a game of chance."""
    Listening.heard.clear()
    planner = PLANNERS[name](Listening(), config)
    done = [torch.from_numpy(planner.act(np.zeros((2, 2, 2, 1), np.uint8))) for _ in range(8)]
    return torch.cat([*Listening.heard, *done])


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_every_field_matters_to_the_planners_that_have_it(name):
    assert set(OTHER) == {field.name for field in fields(PlannerConfig)}
    base = imagined(name, BASE)
    assert torch.equal(base, imagined(name, BASE))
    others = {field: imagined(name, replace(BASE, **{field: value})) for field, value in OTHER.items()}
    same = {field for field, other in others.items() if torch.equal(base, other)}
    assert same == (CEM_ONLY if name == "shooting" else set())
