"""What the simulator and the planner of arrays ask of a model: no torch, so that exported models need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from worldgan.types import EnvSpec

State = TypeVar("State")
Array = NDArray[Any]


class ArrayStep(Protocol):
    """reward: float [B], expected.    terminated: float [B], probability."""

    @property
    def reward(self) -> Array:
        """See above."""

    @property
    def terminated(self) -> Array:
        """See above."""


class ArrayModel(Protocol[State]):
    """A ``WorldModel`` whose tensors are arrays, whose frames are uint8, and which makes its own generators."""

    @property
    def spec(self) -> EnvSpec:
        """What it was trained on."""

    @property
    def context(self) -> int:
        """K."""

    def generator(self, seed: int) -> Any:
        """The chance of ``step``."""

    def start(self, frames: Array, actions: Array) -> State:
        """uint8 frames [B, K, C, H, W] and encoded actions [B, K - 1, A] between them -> state of B rows."""

    def step(self, state: State, action: Array, generator: Any) -> tuple[ArrayStep, State]:
        """One sampled step under encoded actions [B, A]."""

    def push(self, state: State, action: Array, frame: Array) -> State:
        """The state once encoded actions [B, A] have led to the given frames, uint8 [B, C, H, W]."""

    def index(self, state: State, rows: Array) -> State:
        """The state of the given rows (int64 [any]), in that order, repeats allowed."""

    def join(self, states: Sequence[State]) -> State:
        """One state of all rows of ``states``, in order."""

    def frame(self, state: State) -> NDArray[Any]:
        """The present frames, uint8 [B, C, H, W]."""
