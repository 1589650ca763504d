"""A planner starts its model with exactly the frames and actions that led here."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from agent_fakes import LotteryModel, Watched, fitting, picture
from fakes import PerfectModel, dot_spec, draw

from worldgan.agents import PLANNERS, Memory, PlannerConfig
from worldgan.agents.policies import EpsilonGreedy, Habit
from worldgan.errors import WorldganError


@pytest.mark.parametrize("name", fitting("discrete"))
def test_history_is_aligned_and_rows_are_forgotten_one_by_one(name):
    model = Watched(PerfectModel(context=3))
    planner = PLANNERS[name](model, PlannerConfig(horizon=2, candidates=4))
    seen = [picture(model, (t + 1, 1), (t + 1, 2)) for t in range(5)]
    taken = []
    for t, frames in enumerate(seen):
        if t == 3:
            planner.reset(np.array([False, True]))
        raw = planner.act(frames)
        taken.append(torch.from_numpy(model.spec.actions.encode(raw)))
    whole = [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]
    cut = [[0, 0, 0], [0, 0, 1], [0, 1, 2], [3, 3, 3], [3, 3, 4]]
    nothing = torch.zeros(5)
    for t, (frames, actions) in enumerate(model.starts):
        for row, times in enumerate([whole[t], cut[t]]):
            expected = [draw(torch.tensor([[s + 1, row + 1]]), model.spec)[0] for s in times]
            assert torch.equal(frames[row], torch.stack(expected))
            steps = [taken[a][row] if a != b else nothing for a, b in pairwise(times)]
            assert torch.equal(actions[row], torch.stack(steps))


@pytest.mark.parametrize("name", fitting("discrete"))
def test_what_was_played_in_its_place_is_remembered(name):
    model = Watched(PerfectModel(context=3))
    planner = PLANNERS[name](model, PlannerConfig(horizon=2, candidates=4))
    inner = EpsilonGreedy(planner, Habit(model.spec.actions, seed=1), epsilon=0.5)
    player = EpsilonGreedy(inner, Habit(model.spec.actions, seed=2), epsilon=0.5, seed=3)
    taken = [torch.from_numpy(model.spec.actions.encode(player.act(picture(model, (4, 1), (4, 2))))) for _ in range(8)]
    for step in range(2, 8):
        assert torch.equal(model.starts[step][1], torch.stack(taken[step - 2 : step], 1))


def test_a_context_of_one_has_no_actions():
    model = Watched(LotteryModel())
    planner = PLANNERS["shooting"](model, PlannerConfig(horizon=1, candidates=2))
    for value in (1, 2):
        planner.took(planner.act(np.full((3, 2, 2, 1), value, np.uint8)))
        frames, actions = model.starts[-1]
        assert frames.unique().tolist() == [value]
        assert actions.shape == (3, 0, 2)


def test_another_number_of_rows_needs_a_reset():
    memory = Memory(dot_spec(), 2)
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    memory.see(frames)
    with pytest.raises(WorldganError, match=r"expected observations of 3 envs, got 2"):
        memory.see(frames[:2])
    memory.reset(np.ones(2, np.bool_))
    assert memory.see(frames[:2])[2].tolist() == [True, True]
    assert memory.see(frames[:2])[2].tolist() == [False, False]


@pytest.mark.parametrize("wrong", [np.zeros((1, 8, 8, 1), np.uint8), np.zeros((1, 8, 8, 3), np.float32)])
def test_other_observations_are_refused(wrong):
    with pytest.raises(WorldganError, match=r"expected uint8 observations \[B, 8, 8, 3\], got"):
        Memory(dot_spec(), 2).see(wrong)
