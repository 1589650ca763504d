"""Between models of arrays and models of tensors, both ways."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from worldgan.arrays import Array
from worldgan.device import Device
from worldgan.pixels import to_float, to_uint8
from worldgan.runtime.model import Exported, ExportedModel, Past, check_device
from worldgan.runtime.session import Card
from worldgan.seeding import torch_rng
from worldgan.types import Outcomes, Prediction, WorldModel


class Judged(NamedTuple):
    """float64 [B]: expected reward and probability of termination."""

    reward: Array
    terminated: Array


class AsArrays:
    """A ``WorldModel`` as an ``ArrayModel``."""

    def __init__(self, model: WorldModel[Any]) -> None:
        self.model, self.spec, self.context = model, model.spec, model.context

    def generator(self, seed: int) -> torch.Generator:
        """See ``ArrayModel``."""
        return torch_rng(seed)

    def start(self, frames: Array, actions: Array) -> Any:
        """See ``ArrayModel``."""
        return self.model.start(torch.from_numpy(frames), torch.from_numpy(actions))

    def step(self, state: Any, action: Array, generator: torch.Generator) -> tuple[Judged, Any]:
        """See ``ArrayModel``."""
        prediction, state = self.model.step(state, torch.from_numpy(action), generator)
        return Judged(prediction.reward.double().numpy(), prediction.terminated.double().numpy()), state

    def push(self, state: Any, action: Array, frame: Array) -> Any:
        """See ``ArrayModel``."""
        return self.model.push(state, torch.from_numpy(action), to_float(torch.from_numpy(frame)))

    def index(self, state: Any, rows: Array) -> Any:
        """See ``ArrayModel``."""
        return self.model.index(state, torch.from_numpy(rows))

    def join(self, states: Sequence[Any]) -> Any:
        """See ``ArrayModel``."""
        return self.model.join(states)

    def frame(self, state: Any) -> Array:
        """See ``ArrayModel``."""
        return to_uint8(self.model.frame(state)).cpu().numpy()


class AsTensors:
    """An ``ExportedModel`` as a ``WorldModel[Past]``, for planners and evaluation: only its network is not torch's."""

    def __init__(self, model: ExportedModel) -> None:
        self.model, self.spec, self.context = model, model.spec, model.context
        self.chances = model.session.card.chances

    def start(self, frames: Tensor, actions: Tensor) -> Past:
        """See ``WorldModel``."""
        return self.model.start(frames.cpu().numpy(), actions.float().cpu().numpy())

    def step(self, state: Past, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Past]:
        """See ``WorldModel``; the noise is that of the torch model at the same generator."""
        noise = torch.rand(len(action), self.chances, generator=generator)
        step, state = self.model.follow(state, action.cpu().numpy(), noise.numpy())
        frame, reward, terminated = map(torch.from_numpy, step)
        return Prediction(to_float(frame), reward, terminated), state

    def outcomes(self, state: Past, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """See ``WorldModel``; noise, if any is drawn, is that of the torch model at the same generator."""
        draw = lambda shape: torch.rand(shape, generator=generator).numpy()  # noqa: E731
        found = self.model.expect(state, action.cpu().numpy(), count, draw)
        frames, probability, rewards, terminated = map(torch.from_numpy, found[:4])
        return Outcomes(to_float(frames), probability, rewards, terminated, found.stated)

    def push(self, state: Past, action: Tensor, frame: Tensor) -> Past:
        """See ``WorldModel``."""
        return self.model.push(state, action.cpu().numpy(), to_uint8(frame).cpu().numpy())

    def index(self, state: Past, rows: Tensor) -> Past:
        """See ``WorldModel``."""
        return self.model.index(state, rows.cpu().numpy())

    def join(self, states: Sequence[Past]) -> Past:
        """See ``WorldModel``."""
        return self.model.join(states)

    def frame(self, state: Past) -> Tensor:
        """See ``WorldModel``."""
        return to_float(torch.from_numpy(self.model.frame(state)))


class ExportedRun:
    """A file of ``worldgan export --onnx`` with what is beside it; answers in tensors, as ``Run`` does."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = Exported(path)

    def info(self) -> Card:
        """What the file says of itself. Raises WorldganError as ``Session`` does."""
        return self._model.session.card

    def stamp(self) -> str:
        """Which of the models that were here this is."""
        return f"of crc32 {zlib.crc32(self.path.read_bytes()):08x}"

    def model(self, *, device: Device = "cpu") -> AsTensors:
        """The model; raises as ``info`` and ``check_device``."""
        check_device(self.path, device)
        return AsTensors(self._model)

    def starts(self, *, beginnings: bool) -> tuple[Tensor, Tensor]:
        """See ``Run.starts``."""
        frames, actions = self._file.starts(beginnings=beginnings)
        return torch.from_numpy(frames), torch.from_numpy(actions)

    @cached_property
    def _model(self) -> ExportedModel:
        return self._file.model()


def load(path: str | Path, *, threads: int = 0, device: Device = "cpu") -> AsTensors:
    """The world model in an ``.onnx`` file. threads: of onnxruntime; 0 lets it choose.    device: not "cuda"."""
    return AsTensors(Exported(path).model(threads=threads, device=device))
