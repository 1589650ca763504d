"""An exported model as a world model of plain arrays, and the states kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldgan.arrays import Array
from worldgan.device import Device
from worldgan.errors import WorldganError
from worldgan.runtime.outcomes import ArrayOutcomes, distinct
from worldgan.runtime.session import Engine, Session, Step
from worldgan.types import SPREAD, EnvSpec


@dataclass(frozen=True)
class Past:
    """The last K frames, uint8 [B, K, C, H, W], and the K - 1 encoded actions between them, float32 [B, K - 1, A]."""

    frames: Array
    actions: Array

    def then(self, action: Array) -> Array:
        """Actions [B, K, A] including the one to be taken now, [B, A]."""
        return np.concatenate([self.actions, action[:, None].astype(np.float32)], axis=1)

    def index(self, rows: Array) -> Past:
        """The given rows, in that order."""
        return Past(self.frames[rows], self.actions[rows])


class ExportedModel:
    """Steps pasts with an ``Engine``; needs no torch. Implements ``worldgan.arrays.ArrayModel[Past]``."""

    def __init__(self, session: Engine) -> None:
        self.session = session

    @property
    def spec(self) -> EnvSpec:
        """What it was trained on."""
        return self.session.card.spec

    @property
    def context(self) -> int:
        """K."""
        return self.session.card.context

    def generator(self, seed: int) -> np.random.Generator:
        """The chance of ``step``."""
        return np.random.default_rng(seed)

    def start(self, frames: Array, actions: Array) -> Past:
        """uint8 frames [B, K, C, H, W], encoded actions [B, K - 1, A] -> state."""
        return Past(np.asarray(frames, np.uint8), np.asarray(actions, np.float32))

    def step(self, state: Past, action: Array, generator: np.random.Generator) -> tuple[Step, Past]:
        """One sampled step under encoded actions [B, A]."""
        return self.follow(state, action, generator.random((len(action), self.session.card.chances), np.float32))

    def follow(self, state: Past, action: Array, noise: Array) -> tuple[Step, Past]:
        """The step that uniform noise [B, Z] decides."""
        step = self.session.step(state.frames, state.then(action), noise)
        return step, self.push(state, action, step.frame)

    def outcomes(self, state: Past, action: Array, count: int, generator: np.random.Generator) -> ArrayOutcomes:
        """At most ``count`` different next steps under encoded actions [B, A], most probable first.

        Raises WorldganError as ``Session.likeliest``.
        """
        return self.expect(state, action, count, lambda shape: generator.random(shape, np.float32))

    def expect(self, state: Past, action: Array, count: int, draw: Callable[[tuple[int, ...]], Array]) -> ArrayOutcomes:
        """``outcomes``; draw: shape -> uniform noise, which is asked for where the odds of codes are not known."""
        card, actions = self.session.card, state.then(action)
        if card.codes:
            known = self.session.likeliest(state.frames, actions)
            noise, probability = (each[:, : SPREAD * count] for each in known)
        else:
            noise = draw((len(action), SPREAD * count, card.chances))
            probability = np.full(noise.shape[:2], 1 / noise.shape[1])
        rows = np.arange(len(action)).repeat(noise.shape[1])
        tried = self.session.step(state.frames[rows], actions[rows], noise.reshape(len(rows), card.chances))
        frame, reward, terminated = (each.reshape(*probability.shape, *each.shape[1:]) for each in tried)
        which, shares = distinct(frame, probability, count)
        at = np.arange(len(action))[:, None], which
        return ArrayOutcomes(frame[at], shares, reward[at], terminated[at], stated=card.codes > 0)

    def push(self, state: Past, action: Array, frame: Array) -> Past:
        """The state after encoded actions [B, A] led to the given frames, uint8 [B, C, H, W]."""
        return Past(np.concatenate([state.frames[:, 1:], frame[:, None]], axis=1), state.then(action)[:, 1:])

    def index(self, state: Past, rows: Array) -> Past:
        """The state of the given rows (int64 [any]), in that order, repeats allowed."""
        return state.index(rows)

    def join(self, states: Sequence[Past]) -> Past:
        """One state of all rows of ``states``, in order."""
        frames, actions = ([getattr(state, name) for state in states] for name in ("frames", "actions"))
        return Past(np.concatenate(frames), np.concatenate(actions))

    def frame(self, state: Past) -> NDArray[np.uint8]:
        """The present frames, uint8 [B, C, H, W]."""
        present: NDArray[np.uint8] = state.frames[:, -1]
        return present


def check_device(path: Path, device: Device) -> None:
    """Raises WorldganError for "cuda": onnxruntime computes exported models on the CPU here."""
    if device == "cuda":
        raise WorldganError(f"expected the folder of a run for device cuda, got the exported file {path}")


class Exported:
    """A file of ``worldgan export --onnx`` with what is beside it; answers as ``Run`` does."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def model(self, *, threads: int = 0, device: Device = "cpu") -> ExportedModel:
        """The model. Raises WorldganError as ``Session`` and ``check_device`` do."""
        check_device(self.path, device)
        return ExportedModel(Session(self.path, threads=threads))

    def starts(self, *, beginnings: bool) -> tuple[Array, Array]:
        """States to simulate from: uint8 [N, K, C, H, W] and actions [N, K - 1, A]."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path, kind = self.path.with_name("starts.safetensors"), "beginnings" if beginnings else "anywhere"
        try:
            arrays = load_file(path)
            return arrays[f"{kind}.frames"], arrays[f"{kind}.actions"]
        except FileNotFoundError:
            raise WorldganError(
                f"expected start states in {path}, found none: put the file that was exported with the model back, or "
                "give starts"
            ) from None
        except (SafetensorError, OSError, KeyError) as error:
            raise WorldganError(f"{path} is damaged ({error}): export the run again") from None
