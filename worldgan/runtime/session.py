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

FORMAT, READABLE = 2, (1, 2)
"""The format that is written, and those that are read: 1 had no odds."""
KEY = "worldgan"
"""Where in a file's metadata its card is."""
INPUTS, OUTPUTS = ("frames", "actions", "noise"), ("frame", "reward", "terminated")
ODDS = "odds"
"""The output of models that know the probabilities of their codes, which is computed on its own."""


@dataclass(frozen=True)
class Card:
    """What an exported model says of itself, as JSON in the file's metadata.

    context: K.    chances: Z, uniform numbers that decide a step.    version: of worldgan, which wrote it.
    values: of each digit, where each of the numbers draws a digit of a code with odds that the file tells; or 0.
    """

    family: str
    spec: EnvSpec
    context: int
    chances: int
    version: str
    values: int = 0
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises WorldganError for a context, chances or values that there cannot be."""
        frames, noise = self.context * math.prod(self.spec.frame), 4 * self.chances
        if self.context < 1 or self.chances < 0 or max(frames, noise) > LARGEST:
            got = f"got {self.context} and {self.chances}"
            raise WorldganError(f"expected a context of 1 or more and chances, of at most {LARGEST} bytes each, {got}")
        # Numbers of hardly any file would make a power that takes all day.
        if self.values < 0 or 4 * min(self.values, LARGEST) ** min(self.chances, 64) > LARGEST:
            got = f"got {self.chances} of {self.values}"
            raise WorldganError(f"expected chances of values that make codes of at most {LARGEST} bytes, {got}")

    @property
    def codes(self) -> int:
        """N, codes whose odds are known: 0 if none are, and 1 where there is no chance."""
        codes: int = self.values**self.chances  # 0 ** 0 is 1
        return codes

    @property
    def outputs(self) -> tuple[str, ...]:
        """Of the graph."""
        return (*OUTPUTS, ODDS) if self.values else OUTPUTS

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
        return shapes | ({ODDS: ("float", (self.codes,))} if self.values else {})


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

    def odds(self, frames: Array, actions: Array) -> Array:
        """Probabilities float [B, N] of all ``Card.codes`` after ``step``'s frames and actions, last digit fastest."""


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
        told = self.card.values > 0
        self._odds = _open(part(data, self.path, INPUTS[:2], (ODDS,)), self.path, threads) if told else None
        data = part(data, self.path, INPUTS, OUTPUTS) if told else data
        self._session = _open(data, self.path, threads)
        self._check()

    def step(self, frames: Array, actions: Array, noise: Array) -> Step:
        """See ``Engine``."""
        step = Step(*self._session.run(OUTPUTS, dict(zip(INPUTS, (frames, actions, noise), strict=True))))
        if step.frame.shape != (len(frames), *frames.shape[2:]):
            raise WorldganError(f"{self.path} is damaged: a frame of {step.frame.shape} follows {frames.shape}")
        return step

    def odds(self, frames: Array, actions: Array) -> Array:
        """See ``Engine``. Raises WorldganError unless they are probabilities."""
        if self._odds is None:
            return np.ones((len(frames), self.card.codes), np.float32)
        odds: Array = self._odds.run((ODDS,), dict(zip(INPUTS[:2], (frames, actions), strict=True)))[0]
        if odds.shape != (len(frames), self.card.codes):
            raise WorldganError(f"{self.path} is damaged: odds of {odds.shape} for {len(frames)} x {self.card.codes}")
        if not (odds.min() >= 0 and np.abs(odds.sum(1) - 1).max() < 1e-3):  # false of NaN
            raise WorldganError(f"{self.path} is damaged, or its training diverged: expected odds that sum to 1")
        return odds

    def _check(self) -> None:
        """Compare the card with the graph, in what that says before it has computed the sizes that it computes."""
        sessions = [each for each in (self._session, self._odds) if each is not None]
        values = [value for each in sessions for value in (*each.get_inputs(), *each.get_outputs())]
        try:
            shapes = {value.name: (value.type, tuple(value.shape[1:])) for value in values}
        except UnicodeDecodeError as error:
            raise WorldganError(f"{self.path} is damaged ({error}): export the run again") from None
        expected = {name: (f"tensor({kind})", shape) for name, (kind, shape) in self.card.shapes().items()}
        if shapes.keys() != expected.keys() or not all(_agree(shapes[name], expected[name]) for name in expected):
            raise WorldganError(f"{self.path} is damaged: expected {expected} by its card, got {shapes}")


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
