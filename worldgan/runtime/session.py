"""An exported simulator step, run by onnxruntime: plain arrays in and out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from worldgan.arrays import Array
from worldgan.config import from_mapping
from worldgan.errors import WorldganError, extra
from worldgan.runtime.proto import metadata, part
from worldgan.types import LARGEST, EnvSpec

if TYPE_CHECKING:
    import onnxruntime

FORMAT, READABLE = 3, (1, 2, 3)
"""The format that is written, and those that are read: 1 had no odds, and those of 2 are left aside."""
KEY = "worldgan"
"""Where in a file's metadata its card is."""
INPUTS, OUTPUTS = ("frames", "actions", "noise"), ("frame", "reward", "terminated")
CODES = ("likely", "odds")
"""The outputs of models that know the probabilities of their codes, which are computed on their own."""


@dataclass(frozen=True)
class Card:
    """What an exported model says of itself, as JSON in the file's metadata.

    context: K.    chances: Z, uniform numbers that decide a step.    version: of worldgan, which wrote it.
    listed: how many of the most probable codes the file lists, where the numbers draw a code whose odds it knows; or 0.
    """

    family: str
    spec: EnvSpec
    context: int
    chances: int
    version: str
    listed: int = 0
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises WorldganError for a context, chances or codes that there cannot be."""
        frames, noise = self.context * math.prod(self.spec.frame), 4 * self.chances
        if self.context < 1 or self.chances < 0 or max(frames, noise) > LARGEST:
            got = f"got {self.context} and {self.chances}"
            raise WorldganError(f"expected a context of 1 or more and chances, of at most {LARGEST} bytes each, {got}")
        if self.listed < 0 or 4 * self.listed * max(1, self.chances) > LARGEST or (self.listed and not self.chances):
            got = f"got {self.listed} of {self.chances}"
            raise WorldganError(f"expected a list of codes of chances, of at most {LARGEST} bytes, {got}")

    @property
    def codes(self) -> int:
        """N, codes whose odds are known: 0 if none are, and 1 where there is no chance."""
        return self.listed if self.chances else 1

    @property
    def outputs(self) -> tuple[str, ...]:
        """Of the graph."""
        return (*OUTPUTS, *CODES) if self.listed else OUTPUTS

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """dtype, and shape without B, of every input and output."""
        height, width, channels = self.spec.frame
        frame = (channels, height, width)
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {
            "frames": ("uint8", (self.context, *frame)),
            "actions": ("float", (self.context, self.spec.actions.size)),
            "noise": ("float", (self.chances,)),
            "frame": ("uint8", frame),
            "reward": ("float", ()),
            "terminated": ("float", ()),
        }
        kinds = (("float", (self.listed, self.chances)), ("float", (self.listed,)))
        return shapes | (dict(zip(CODES, kinds, strict=True)) if self.listed else {})


class Step(NamedTuple):
    """What followed. frame: uint8 [B, C, H, W].    reward: float32 [B].    terminated: float32 [B], probability."""

    frame: Array
    reward: Array
    terminated: Array


class Engine(Protocol):
    """What computes exported steps."""

    @property
    def card(self) -> Card:
        """Of the model."""

    def step(self, frames: Array, actions: Array, noise: Array) -> Step:
        """uint8 frames [B, K, C, H, W], actions [B, K, A], the last to be taken now, noise [B, Z] in [0, 1)."""

    def likeliest(self, frames: Array, actions: Array) -> tuple[Array, Array]:
        """After ``step``'s frames and actions, the N = ``Card.codes`` most probable codes, most probable first.

        Noise [B, N, Z] that draws them, and their probabilities float [B, N].
        """


class Session:
    """An ``.onnx`` file, ready to run by onnxruntime. Implements ``Engine``.

    To open one is safe whoever made it: it takes memory in proportion to the size of the file, computes nothing of the
    graph, and reads no other file. A step computes what the graph says, however much memory and time that takes.
    """

    def __init__(self, path: str | Path, *, threads: int = 0) -> None:
        """threads: of onnxruntime; 0 lets it choose.

        Raises WorldganError if onnxruntime or the file is missing, or it is no model that worldgan exported.
        """
        self.path = Path(path)
        data = _read(self.path)
        self.card = card_of(metadata(data, self.path, KEY), self.path)
        told = self.card.listed > 0
        self._codes = _open(part(data, self.path, INPUTS[:2], CODES), self.path, threads) if told else None
        data = part(data, self.path, INPUTS, OUTPUTS) if told or self.card.format < FORMAT else data
        self._session = _open(data, self.path, threads)
        self._check()

    def step(self, frames: Array, actions: Array, noise: Array) -> Step:
        """See ``Engine``."""
        step = Step(*self._session.run(OUTPUTS, dict(zip(INPUTS, (frames, actions, noise), strict=True))))
        if step.frame.shape != (len(frames), *frames.shape[2:]):
            raise WorldganError(f"{self.path} is damaged: a frame of {step.frame.shape} follows {frames.shape}")
        return step

    def likeliest(self, frames: Array, actions: Array) -> tuple[Array, Array]:
        """See ``Engine``. Raises WorldganError unless they are noise and probabilities."""
        if self._codes is None:
            return unchanced(len(frames), self.card)
        found: tuple[Array, Array] = self._codes.run(CODES, dict(zip(INPUTS[:2], (frames, actions), strict=True)))
        noise, odds = found
        shapes = [(len(frames), *self.card.shapes()[name][1]) for name in CODES]
        if [noise.shape, odds.shape] != shapes:
            raise WorldganError(f"{self.path} is damaged: codes of {noise.shape} and {odds.shape} for {shapes}")
        fine = noise.min() >= 0 and noise.max() < 1 and odds.min() >= 0 and odds[:, 0].min() > 0  # false of NaN
        if not (fine and odds.sum(1).max() < 1 + 1e-3):
            raise WorldganError(
                f"{self.path} is damaged, or its training diverged: expected odds that sum to 1 at most"
            )
        return noise, odds

    def _check(self) -> None:
        """Compare the card with the graph, in what that says before it has computed the sizes that it computes."""
        sessions = [each for each in (self._session, self._codes) if each is not None]
        values = [value for each in sessions for value in (*each.get_inputs(), *each.get_outputs())]
        try:
            shapes = {value.name: (value.type, tuple(value.shape[1:])) for value in values}
        except UnicodeDecodeError as error:
            raise WorldganError(f"{self.path} is damaged ({error}): export the run again") from None
        expected = {name: (f"tensor({kind})", shape) for name, (kind, shape) in self.card.shapes().items()}
        if shapes.keys() != expected.keys() or not all(_agree(shapes[name], expected[name]) for name in expected):
            raise WorldganError(f"{self.path} is damaged: expected {expected} by its card, got {shapes}")


def unchanced(rows: int, card: Card) -> tuple[Array, Array]:
    """What ``Engine.likeliest`` is of a card that lists no codes."""
    return np.zeros((rows, card.codes, card.chances), np.float32), np.ones((rows, card.codes), np.float32)


def _agree(found: tuple[str, tuple[Any, ...]], expected: tuple[str, tuple[int, ...]]) -> bool:
    """Whether types and shapes do; a size that is only named could be any."""
    (kind, sizes), (ours, shape) = found, expected
    same = all(not isinstance(size, int) or size == side for size, side in zip(sizes, shape, strict=False))
    return kind == ours and len(sizes) == len(shape) and same


def card_of(text: str, path: Path) -> Card:
    """The card in the metadata of the file at ``path``. Raises WorldganError if it is none, or of another version."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WorldganError(f"{path} is damaged ({error}): export the run again") from None
    version = found.get("format", "another model") if isinstance(found, dict) else "another model"
    if version not in READABLE:
        raise WorldganError(
            f"expected a model of `worldgan export`, of format {FORMAT}, in {path}, got {version}: export the run again"
        )
    if version == 2:
        found = {key: value for key, value in found.items() if key != "values"}
    return from_mapping(Card, found, where=f"{path}: ")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise WorldganError(f"expected an exported model at {path}, found none") from None
    except OSError as error:
        raise WorldganError(f"cannot read {path}: {error.strerror or error}") from None


def _open(data: bytes, path: Path, threads: int) -> onnxruntime.InferenceSession:
    with extra("onnx"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that wait by spinning would take the processor from whatever runs beside the model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Constants would be folded while a file is opened, however large they become.
    options.add_session_config_entry("optimization.disable_specified_optimizers", "ConstantFolding")
    # The other of its formats has not been looked through.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:  # without fallback, which is to try the same again and to print that
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's own, all of which mean that it cannot run this file
        reason = " ".join(str(error).split())[:200]
        raise WorldganError(f"expected a model that onnxruntime can run in {path}, got {reason}") from None
