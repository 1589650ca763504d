"""The planner of arrays does what the planners of tensors do, and finds optima that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from fakes import PerfectModel, advance, draw

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.arrays import Array
from worldgan.errors import WorldganError
from worldgan.runtime.planning import ArrayPlanner
from worldgan.runtime.tensors import AsArrays, Judged
from worldgan.types import EnvSpec

Rule = Callable[[Array, Array, np.random.Generator], Array]
"""Steps taken so far [B], encoded actions [B, A] and chance -> rewards [B]."""


@dataclass(frozen=True)
class Clock:
    """An ``ArrayModel`` whose state is how many steps were taken, int64 [B], and which pays by a rule.

    last: [B] -> probability that an action ends it all.
    """

    actions: ActionSpec
    rule: Rule
    last: Callable[[Array], Array] = lambda action: np.zeros(len(action))
    context: int = 2

    @property
    def spec(self) -> EnvSpec:
        return EnvSpec("clock", (8, 8, 1), self.actions)

    def generator(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    def start(self, frames: Array, actions: Array) -> Array:
        assert frames.shape[1:] == (2, 1, 8, 8)
        assert actions.shape == (len(frames), 1, self.actions.size)
        return np.zeros(len(frames), np.int64)

    def step(self, state: Array, action: Array, generator: np.random.Generator) -> tuple[Judged, Array]:
        return Judged(self.rule(state, action, generator), self.last(action)), state + 1

    def push(self, state: Array, action: Array, frame: Array) -> Array:
        assert len(state) == len(action) == len(frame)
        return state + 1

    def index(self, state: Array, rows: Array) -> Array:
        return state[rows]

    def join(self, states: Sequence[Array]) -> Array:
        return np.concatenate(states)

    def frame(self, state: Array) -> Array:
        return np.zeros((len(state), 1, 8, 8), np.uint8)


BLANK = np.zeros((2, 8, 8, 1), np.uint8)
FOUR, TWO = ActionSpec("discrete", (4,)), ActionSpec("discrete", (2,))
BOX = ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 2.0))
SECRET = np.array([2, 0, 3, 1, 1, 2, 0, 3])


def test_one_iteration_is_random_shooting_as_with_tensors() -> None:
    model, places = PerfectModel(), torch.tensor([[1, 1], [6, 3], [4, 4]])
    config = PlannerConfig(horizon=5, candidates=24, samples=1, seed=3)
    theirs = PLANNERS["shooting"](model, config)
    ours = ArrayPlanner(AsArrays(model), horizon=5, candidates=24, samples=1, iterations=1, seed=3)
    taken = []
    for step in range(8):
        seen = pixels.to_array(draw(places, model.spec))
        actions = ours.act(seen)
        assert np.array_equal(actions, theirs.act(seen))
        places, _, _ = advance(places, torch.from_numpy(model.spec.actions.encode(actions)), model.spec)
        ended = np.array([False, step == 2, step == 5])
        places[torch.from_numpy(ended)] = 5
        ours.reset(ended)
        theirs.reset(ended)
        taken.append(actions)
    assert len(np.unique(taken)) > 2


def opens(state: Array, action: Array, generator: np.random.Generator) -> Array:
    return (action.argmax(-1) == SECRET[np.minimum(state, 7)]).astype(float)


@pytest.mark.parametrize("chunk", [100, 4096])
def test_cross_entropy_opens_a_lock_that_shooting_does_not(chunk: int) -> None:
    options: dict[str, Any] = {"horizon": 8, "candidates": 96, "samples": 1, "elites": 8, "chunk": chunk, "hold": 1}
    lucky, expert = (ArrayPlanner(Clock(FOUR, opens), iterations=count, **options) for count in (1, 10))
    lucky.act(BLANK)
    assert expert.act(BLANK).tolist() == [2, 2]
    assert (expert.last_plan.argmax(-1) == SECRET).all()
    assert not (lucky.last_plan.argmax(-1) == SECRET).all()
    unteachable = ArrayPlanner(Clock(FOUR, opens), iterations=10, exploration=1.0, **options)
    unteachable.act(BLANK)
    assert not (unteachable.last_plan.argmax(-1) == SECRET).all()


def test_cross_entropy_finds_a_point_in_a_box() -> None:
    target = np.array([0.7, -0.3])
    model = Clock(BOX, lambda state, action, generator: -np.square(action - target).sum(-1))
    agent = ArrayPlanner(model, horizon=2, candidates=64, iterations=10, exploration=0.02, samples=1)
    assert agent.act(BLANK) == pytest.approx(np.array([[0.7, 0.7]] * 2), abs=0.05)  # 0 to 2 is -1 to 1


def test_what_follows_an_end_does_not_count() -> None:
    def pays(state: Array, action: Array, generator: np.random.Generator) -> Array:
        return np.array([0.6, 1.0])[action.argmax(-1)]

    def choice(last: Callable[[Array], Array]) -> list[int]:
        return ArrayPlanner(Clock(TWO, pays, last), horizon=4, candidates=64).act(BLANK).tolist()

    assert choice(lambda action: np.zeros(len(action))) == [1, 1]
    assert choice(lambda action: action[:, 1]) == [0, 0]


def test_luck_is_averaged_out() -> None:
    def pays(state: Array, action: Array, generator: np.random.Generator) -> Array:
        return np.where(action[:, 0] == 1, 0.5, generator.random(len(action)) < 0.3)

    model = Clock(TWO, pays)
    assert ArrayPlanner(model, horizon=1, candidates=16, samples=400).act(BLANK).tolist() == [0, 0]
    assert ArrayPlanner(model, horizon=1, candidates=16, samples=1, iterations=1).act(BLANK).tolist() == [1, 1]


def test_a_row_goes_on_where_it_was_and_begins_where_it_is_told() -> None:
    agent = ArrayPlanner(Clock(FOUR, opens), horizon=1, candidates=64, samples=1)
    actions = []
    for step in range(4):
        actions.append(agent.act(BLANK).tolist())
        agent.reset(np.array([False, step == 1]))
    assert actions == [[2, 2], [0, 0], [3, 2], [1, 0]]
    assert agent.act(BLANK[:1]).tolist() == [2]  # another B


def test_the_seed_decides_everything() -> None:
    def plan(seed: int, chance: float = 1.0) -> bytes:
        model = Clock(BOX, lambda state, action, generator: chance * generator.random(len(action)))
        agent = ArrayPlanner(model, seed=seed)
        return b"".join(agent.act(BLANK).tobytes() for _ in range(3))

    assert plan(0) == plan(0)
    assert len({plan(0), plan(1), plan(0, chance=0.0)}) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"horizon": 0}, {"candidates": 6}, {"samples": 0}, {"discount": 1.5}, {"hold": 0}, {"iterations": 0},
     {"elites": 0}, {"exploration": 0.0}, {"chunk": 0}],
)  # fmt: skip
def test_what_it_cannot_work_with_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WorldganError, match="expected"):
        ArrayPlanner(Clock(FOUR, opens), **wrong)


def test_foreign_observations_and_nan_are_refused() -> None:
    with pytest.raises(WorldganError, match="uint8 observations"):
        ArrayPlanner(Clock(FOUR, opens)).act(BLANK[:, :7])
    with pytest.raises(WorldganError, match="NaN"):
        ArrayPlanner(Clock(FOUR, lambda state, action, generator: np.full(len(action), np.nan))).act(BLANK)
