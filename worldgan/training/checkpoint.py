"""A run on disk: ``run.json`` says what it is, ``weights.safetensors`` simulates, ``state.pt`` resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from worldgan.config import UnknownKey, from_mapping, to_mapping
from worldgan.device import Device, Precision, chosen, uses_bf16
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.models import FAMILIES
from worldgan.models.world import NextFrameModel
from worldgan.parallel import led
from worldgan.sizes import filled
from worldgan.tensorfiles import read_state, read_tensors, write_state, write_tensors
from worldgan.types import EnvSpec
from worldgan.version import VERSION

FORMAT = 3


@dataclass(frozen=True)
class RunInfo:
    """What ``run.json`` holds. model: the family's config as plain values.    data: folder of the data set.

    version: of the worldgan that wrote it last; the first ones did not say.
    progress: of the last checkpoint: its step, seconds of training, how often training had to go back to one, and the
    share of the learning rate that is left.
    """

    family: str
    spec: EnvSpec
    model: dict[str, Any]
    training: dict[str, Any]
    data: str
    format: int = FORMAT
    progress: dict[str, float] = field(default_factory=dict)
    version: str = ""


class Run:
    """A folder of one training run. Every file in it is whole: written aside, then renamed.

    Of processes that train together, one alone writes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    @led
    def write_info(self, info: RunInfo) -> None:
        """Write ``run.json``."""
        atomic_write(self.path / "run.json", json.dumps(to_mapping(info), indent=2).encode())

    def info(self) -> RunInfo:
        """Read ``run.json``. Raises WorldganError if there is none or it is not one."""
        path = self.path / "run.json"
        try:
            mapping = json.loads(path.read_text())
        except FileNotFoundError:
            raise WorldganError(f"expected a run at {self.path}, found no run.json: train one first") from None
        except NotADirectoryError:
            raise WorldganError(f"expected the folder of a run, got {self.path}, which is a file") from None
        except (OSError, ValueError, RecursionError) as error:
            raise WorldganError(f"{path} is damaged ({error}): train again into another folder") from None
        found = mapping if isinstance(mapping, dict) else {}
        if found.get("format") != FORMAT or found.get("family") not in list(FAMILIES):
            raise WorldganError(
                f"expected format {FORMAT} and a family of {', '.join(FAMILIES)} in {path}, got "
                f"{found.get('format')} and {found.get('family')!r}: it is of another version, or no run's"
            )
        try:
            return from_mapping(RunInfo, found)
        except UnknownKey as error:
            raise self.foreign(error, found.get("version")) from None
        except WorldganError as error:
            raise WorldganError(f"{path} is damaged ({error}): train again into another folder") from None

    def stamp(self) -> str:
        """Which of the models that were here this is."""
        return f"at step {self.info().progress.get('step', 0):.0f}"

    def foreign(self, error: UnknownKey, version: object) -> WorldganError:
        """What to raise for a key in ``run.json`` that this version does not know.    version: the one it names."""
        return WorldganError(
            f"{self.path}/run.json was made by another version of worldgan ({version or 'it does not say which'}; this "
            f"is {VERSION}), whose config key {error.key!r} is not known here: train again, or install that version"
        )

    @led
    def write_warning(self, line: str) -> None:
        """Add a line to ``warnings.txt``."""
        path = self.path / "warnings.txt"
        before = path.read_bytes() if path.exists() else b""
        atomic_write(path, before + f"{line}\n".encode())

    @led
    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write ``name``.safetensors."""
        write_tensors(self.path / f"{name}.safetensors", tensors)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read ``name``.safetensors. Raises WorldganError if it is missing or damaged."""
        return read_tensors(self.path / f"{name}.safetensors")

    @led
    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write all that exact resume needs."""
        write_state(self.path / "state.pt", state)

    def state(self) -> dict[str, Any]:
        """Read it. Raises WorldganError as ``tensors`` does."""
        return read_state(self.path / "state.pt")

    def model(
        self, *, precision: Precision = "auto", realism: bool = False, surprise: bool = False, device: Device = "cpu"
    ) -> NextFrameModel:
        """The trained world model, computing on ``device``.

        Raises WorldganError if files are missing, damaged or do not fit together, or there is no such device.
        """
        place, info = chosen(device), self.info()
        family = FAMILIES[info.family]
        try:
            config = from_mapping(family.config, info.model, where="model.")
        except UnknownKey as error:
            raise self.foreign(error, info.version) from None
        build = partial(family.networks, info.spec, config, 0)
        weights = self.tensors("weights")
        networks = filled(build, weights, info.model)
        if networks is None:
            raise WorldganError(
                f"{self.path}/weights.safetensors does not fit run.json: expected the tensors of the {info.family} "
                f"that it describes, got {len(weights)} that differ"
            )
        networks.requires_grad_(False).eval().to(place)
        if uses_bf16(precision, place.type):
            networks.bfloat16()
        context = config.backbone.context
        return NextFrameModel(info.spec, context, networks, realism=realism, surprise=surprise)

    def starts(self, *, beginnings: bool) -> tuple[Tensor, Tensor]:
        """States to simulate from, kept with the run: uint8 [N, K, C, H, W] and actions [N, K - 1, A]."""
        tensors, kind = self.tensors("starts"), "beginnings" if beginnings else "anywhere"
        if not {f"{kind}.frames", f"{kind}.actions"} <= tensors.keys():
            raise WorldganError(f"expected start states in {self.path}/starts.safetensors, got {sorted(tensors)[:4]}")
        return tensors[f"{kind}.frames"], tensors[f"{kind}.actions"]


def load(
    path: str | Path,
    *,
    precision: Precision = "auto",
    realism: bool = False,
    surprise: bool = False,
    device: Device = "cpu",
) -> NextFrameModel:
    """The world model trained in folder ``path``; see ``Run.model``."""
    return Run(path).model(precision=precision, realism=realism, surprise=surprise, device=device)
