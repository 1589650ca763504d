"""What flows between the rooms: episodes, windows, predictions, and the protocols that models and agents obey.

Shape legend, used everywhere:
    B batch    K context frames    T predicted steps    C H W channels, height, width
    A length of an encoded action (``worldgan.actions``)    N samples    L steps of an episode
Frames are uint8 [..., H, W, C] in arrays and on disk; uint8 or float (in [-1, 1]) [..., C, H, W] in tensors.
Action i leads from frame i to frame i + 1 and earns reward i.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from worldgan.actions import ActionSpec
from worldgan.errors import WorldganError

if TYPE_CHECKING:  # envs need these types and no torch, which takes two seconds to import
    import torch
    from torch import Tensor

State = TypeVar("State")
Metrics = dict[str, float]

LARGEST = 2**28
"""Bytes of a frame: a limit far beyond use, below which a damaged file cannot ask for all memory."""

ALIKE = 0.5
"""Pixels, in [-1, 1], that differ by no more show the same outcome: a quarter of the range."""

SPREAD = 4
"""Candidates looked at per outcome asked for, since some will look alike."""


@dataclass(frozen=True)
class EnvSpec:
    """What a data set, a model and a simulator must agree on.

    id: gymnasium id, or ``module:Id``.    options: keyword arguments of ``worldgan.envs.make`` beyond the id.
    frame: (H, W, C).    actions: the action space.
    """

    id: str
    frame: tuple[int, int, int]
    actions: ActionSpec
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises WorldganError for frames that cannot be."""
        if min(self.frame) < 1 or math.prod(self.frame) > LARGEST:
            raise WorldganError(f"expected frames of 1 to {LARGEST} bytes, got {list(self.frame)}")


@dataclass(frozen=True)
class Episode:
    """One episode, or the part of it that was played.

    frames: uint8 [L + 1, H, W, C].    actions: raw, [L, *ActionSpec.shape].    rewards: float32 [L].
    terminated: the env ended it.    truncated: something else did (time limit, budget).
    action_known, reward_known: bool [L], False where the label is missing and what stands there means nothing; None
    if none is missing.    visible: bool [L + 1, H, W], False where frames have no pixels; None if they have all.
    """

    frames: NDArray[np.uint8]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    terminated: bool
    truncated: bool
    action_known: NDArray[np.bool_] | None = None
    reward_known: NDArray[np.bool_] | None = None
    visible: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rewards)


@dataclass(frozen=True)
class Rare:
    """More windows, of one target each, of rewards and ends that are too rare among others to be learnt from soon.

    The first ``rewarded`` of them earn a reward that is not 0, the others end their episode. For either, the mean loss
    of its rows is added with ``weight``.
    oversampled: how many times as much as it happens a reward that is not 0, and an end, counts so in all.
    """

    window: Window
    rewarded: int
    weight: float
    oversampled: tuple[float, float]


@dataclass(frozen=True)
class Window:
    """A batch of training windows: K context frames and T more; n = K + T - 1 transitions join them.

    frames: uint8 [B, K + T, C, H, W].    actions: float32 [B, n, A], zeros where no action was taken or is known.
    rewards: float32 [B, n], zeros where unknown.    terminated: bool [B, n].
    valid: bool [B, n], False where a transition lies outside the episode: before its start (the first frame is
    repeated as context) or after its end (the last frame is repeated); such transitions are never learnt from.
    context: K.
    action_known, reward_known: bool [B, n], False where the label is missing; None if none is.
    visible: bool [B, K + T, 1, H, W], False where frames have no pixels; None if they have all.
    rare: more windows to learn rewards and ends from; None if these are not rare.
    """

    frames: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    valid: Tensor
    context: int
    action_known: Tensor | None = None
    reward_known: Tensor | None = None
    visible: Tensor | None = None
    rare: Rare | None = None

    @property
    def horizon(self) -> int:
        """T."""
        return self.frames.shape[1] - self.context

    def first(self, horizon: int) -> Window:
        """The same windows with only the first ``horizon`` targets."""
        frames, per_frame = self.context + horizon, {"frames", "visible"}
        cut = {name: value[:, : frames if name in per_frame else frames - 1] for name, value in self._tensors().items()}
        return replace(self, **cut)

    def to(self, device: torch.device) -> Window:
        """The same windows there."""
        rare = self.rare and replace(self.rare, window=self.rare.window.to(device))
        return replace(self, rare=rare, **{name: value.to(device) for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        names = [each.name for each in fields(self) if each.name not in {"context", "rare"}]
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Prediction:
    """One predicted step.

    frame: float [B, C, H, W] in [-1, 1], on the 256 levels of a real frame.    reward: float [B], expected.
    terminated: float [B], probability.
    Signs of how far the step can be trusted, float [B], None where nobody asked or nobody knows.
    realism: the discriminator's logit.    surprise: nats that what happened tells beyond what was expected.
    disagreement: of other models of the same env, in units of pixels and rewards.
    """

    frame: Tensor
    reward: Tensor
    terminated: Tensor
    realism: Tensor | None = None
    surprise: Tensor | None = None
    disagreement: Tensor | None = None


@dataclass(frozen=True)
class Outcomes:
    """N things that could happen next, per row.

    frames: float [B, N, C, H, W], no two of a row ``ALIKE``.    probability: float [B, N], summing to 1 over N, most
    probable first: how often the family sampled the frame, or stated; 0 fills up rows with fewer outcomes.
    rewards, terminated: float [B, N] as in Prediction.
    stated: the family knows the probabilities, so asking again would tell nothing new.
    """

    frames: Tensor
    probability: Tensor
    rewards: Tensor
    terminated: Tensor
    stated: bool = False


class WorldModel(Protocol[State]):
    """All that the simulator, planners and evaluation know of a model. State is opaque and explicit.

    A State is branched by ``index`` (rows repeated, dropped or reordered along B) and merged by ``join``. It may be on
    any device; all other tensors, given and returned, are on the CPU, and so is the generator.
    """

    @property
    def spec(self) -> EnvSpec:
        """What it was trained on."""

    @property
    def context(self) -> int:
        """K."""

    def start(self, frames: Tensor, actions: Tensor) -> State:
        """uint8 frames [B, K, C, H, W] and encoded actions [B, K - 1, A] between them -> state of B rows."""

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[Prediction, State]:
        """One sampled step under encoded actions [B, A]."""

    def outcomes(self, state: State, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """At most ``count`` different next steps under encoded actions [B, A], most probable first."""

    def push(self, state: State, action: Tensor, frame: Tensor) -> State:
        """The state once encoded actions [B, A] have led to the given frames, float [B, C, H, W] in [-1, 1].

        They need not be the model's own: an outcome to go on from, or what an env really showed.
        """

    def index(self, state: State, rows: Tensor) -> State:
        """The state of the given rows (int64 [any]), in that order, repeats allowed."""

    def join(self, states: Sequence[State]) -> State:
        """One state of all rows of ``states``, in order."""

    def frame(self, state: State) -> Tensor:
        """The present frames, float [B, C, H, W] in [-1, 1]."""


class Learner(Protocol):
    """A predictor family in training. ``state_dict`` holds all that exact resume needs."""

    def update(self, window: Window) -> Metrics:
        """One optimisation step on ``window``; every target in it is predicted from the model's own rollout."""

    def to(self, device: torch.device) -> None:
        """Move all that it computes with, before the first update; windows are then to be there, too."""

    def world_model(self) -> WorldModel[Any]:
        """The model with averaged (EMA) weights, ready to simulate. It shares memory with the learner."""

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights alone: what ``Run.model`` needs to build the same world model again."""

    def pace(self, share: float) -> None:
        """Go on with so much, 0 to 1, of every optimiser's learning rate. Whoever trains says it: it is not state."""

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, averages and counters; tensors and plain Python values only."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of ``state_dict``."""


class Agent(Protocol):
    """Acts in B envs at once, real or simulated. May keep memory between calls; ``reset`` clears rows of it."""

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 observations [B, H, W, C] -> raw actions [B, *ActionSpec.shape]."""

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (bool [B]) whose episode begins with the next observation."""


@runtime_checkable
class Remembers(Agent, Protocol):
    """An agent that remembers what it did. Whoever plays anything else than it said tells it before it acts again."""

    def took(self, actions: NDArray[Any]) -> None:
        """Raw actions [B, *ActionSpec.shape] that were played in place of those that ``act`` returned last."""
