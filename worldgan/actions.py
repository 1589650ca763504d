"""Actions as vectors: the ONLY translation between gymnasium's action spaces and the [A] floats models see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldgan.errors import WorldganError

LARGEST = 2**20
"""The longest encoded action: a limit far beyond use, below which a damaged file cannot ask for all memory."""

Kind = Literal["discrete", "multidiscrete", "box"]


@dataclass(frozen=True)
class ActionSpec:
    """An action space in plain numbers, readable in JSON and comparable with ``==``.

    kind: which gymnasium space it came from.
    sizes: discrete ``(n,)``; multidiscrete one n per dimension; box ``(number of dimensions,)``.
    low, high: bounds of a box, one per dimension; empty for the others.
    """

    kind: Kind
    sizes: tuple[int, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raises WorldganError for what is no action space."""
        dimensions = self.sizes if self.kind == "box" else ()
        fits = self.kind == "multidiscrete" or len(self.sizes) == 1
        if not fits or not self.sizes or min(self.sizes) < 1 or self.size > LARGEST:
            raise WorldganError(f"expected {self.kind} actions of positive sizes, at most {LARGEST}, got {self.sizes}")
        if (len(self.low),) != (dimensions or (0,)) or len(self.high) != len(self.low):
            raise WorldganError(f"expected bounds of {self}, got {len(self.low)} low and {len(self.high)} high")
        if not all(map(math.isfinite, self.low + self.high)):
            raise WorldganError(f"expected finite bounds of {self}, got {self.low} and {self.high}")

    @property
    def size(self) -> int:
        """A, the length of an encoded action."""
        return sum(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one raw action: () for discrete, one number per dimension otherwise."""
        if self.kind == "discrete":
            return ()
        return (len(self.sizes),) if self.kind == "multidiscrete" else self.sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of a raw action."""
        return np.dtype(np.float32 if self.kind == "box" else np.int64)

    def encode(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """Raw actions [..., *shape] -> vectors [..., A]: one-hot, concatenated one-hots, or a box scaled to [-1, 1].

        All zeros stands for "no action was taken" and is what windows pad with. Numbers beyond the bounds of a box
        are clipped to them, as most envs do. Raises WorldganError for any other action outside the space.
        """
        raw = np.asarray(actions)
        if self.kind == "box":
            return self._scale(raw)
        digits = self._digits(raw)
        hots = [digits[..., i, None] == np.arange(n) for i, n in enumerate(self.sizes)]
        return np.concatenate(hots, axis=-1).astype(np.float32)

    def check(self, actions: NDArray[Any]) -> None:
        """Raises WorldganError where ``encode`` does."""
        raw = np.asarray(actions)
        if self.kind == "box":
            self._scale(raw)
        else:
            self._digits(raw)

    def decode(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Vectors [..., A] -> raw actions [..., *shape]; the nearest action where a vector is not exactly one."""
        if self.kind == "box":
            low, high = np.asarray(self.low), np.asarray(self.high)
            return np.asarray(low + (np.clip(vectors, -1, 1) + 1) / 2 * (high - low), np.float32)
        parts = np.split(vectors, np.cumsum(self.sizes)[:-1], axis=-1)
        digits = np.stack([part.argmax(-1) for part in parts], axis=-1)
        return digits[..., 0] if self.kind == "discrete" else digits

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Uniformly random encoded actions [*shape, A]."""
        if self.kind == "box":
            return rng.uniform(-1, 1, (*shape, self.size)).astype(np.float32)
        digits = rng.integers(0, self.sizes, size=(*shape, len(self.sizes)))
        return self.encode(digits[..., 0] if self.kind == "discrete" else digits)

    def sample_held(self, shape: tuple[int, ...], hold: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Plans of ``shape`` [..., H] + [A]: uniformly random encoded actions, each held 1 to ``hold`` steps.

        Fresh noise at every step averages to standing still, and so no plan would ever reach anything far away.
        """
        *lead, horizon = shape
        ends = rng.integers(1, hold, shape, endpoint=True).cumsum(-1)
        changes = np.zeros((*lead, horizon + 1), np.int64)
        np.put_along_axis(changes, np.minimum(ends, horizon), 1, axis=-1)
        which = changes[..., :horizon].cumsum(-1)
        return np.take_along_axis(self.sample(shape, rng), which[..., None], axis=-2)

    def space(self) -> spaces.Space[Any]:
        """The gymnasium space that this was read from."""
        if self.kind == "discrete":
            return spaces.Discrete(self.sizes[0])
        if self.kind == "multidiscrete":
            return spaces.MultiDiscrete(np.asarray(self.sizes))
        return spaces.Box(np.asarray(self.low, np.float32), np.asarray(self.high, np.float32))

    def __str__(self) -> str:
        return f"{self.kind}{list(self.sizes)}"

    def _digits(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """Raw actions [..., *shape] -> [..., dimensions], checked. Messages name one culprit of however many."""
        digits, sizes = raw[..., None] if self.kind == "discrete" else raw, np.asarray(self.sizes)
        if digits.shape[-1:] != sizes.shape or (raw.size and raw.dtype.kind not in "iu"):
            raise WorldganError(f"expected integer actions of {self}, got {raw.dtype} of shape {list(raw.shape)}")
        outside = ((digits < 0) | (digits >= sizes)).any(-1)
        if outside.any():
            raise WorldganError(f"expected actions of {self}, got {raw[outside][0].tolist()}")
        return digits.astype(np.int64)

    def _scale(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        if raw.shape[-1:] != self.sizes or raw.dtype.kind not in "iuf" or not np.isfinite(raw).all():
            raise WorldganError(f"expected finite actions of {self}, got {raw.dtype} of shape {list(raw.shape)}")
        low, high = np.asarray(self.low), np.asarray(self.high)
        span = np.where(high > low, high - low, 1.0)  # a dimension without a choice becomes -1
        return np.asarray((np.clip(raw, low, high) - low) / span * 2 - 1, np.float32)


def action_spec(space: spaces.Space[Any]) -> ActionSpec:
    """Read a gymnasium action space.

    Raises WorldganError for spaces other than Discrete and MultiDiscrete, both from 0, and flat bounded Box.
    """
    if isinstance(space, spaces.Discrete) and space.start == 0:
        return ActionSpec("discrete", (int(space.n),))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        return ActionSpec("multidiscrete", tuple(int(n) for n in space.nvec))
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = tuple(map(float, space.low)), tuple(map(float, space.high))
        if all(map(math.isfinite, low + high)):
            return ActionSpec("box", space.shape, low, high)
    raise WorldganError(
        f"expected a Discrete, flat MultiDiscrete (both from 0) or bounded flat Box action space, "
        f"got {' '.join(str(space).split())}: "
        "wrap the env, e.g. in gymnasium.wrappers.TransformAction or RescaleAction"
    )
