"""Tensors on disk: safetensors with a checksum, and the state of a training, read as tensors and plain values alone.

Every file is whole: written aside, then renamed.
"""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.files import atomic_write

LONGEST = 1000
"""Characters of a text in a state."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a ``.safetensors`` file, with a checksum in its header: the format itself has none."""
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    data = dump_tensors(whole, metadata={"crc32": _checksum(whole)})
    atomic_write(path, data)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Inverse of ``write_tensors``. Raises WorldganError if the file is missing or damaged."""
    try:
        data = path.read_bytes()
        tensors = parse_tensors(data)
        if _claimed_checksum(data) not in {None, _checksum(tensors)}:
            raise ValueError("checksum")
    except FileNotFoundError:
        raise WorldganError(f"expected {path}, found none: there is no checkpoint yet, go on training") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WorldganError(f"{path} is damaged ({error}): restore it, or go on training with --resume") from None
    return tensors


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write all that exact resume needs. Meanwhile memory holds the whole file, too: as much again as the state."""
    whole = io.BytesIO()  # torch's own writer of files crashes on a full disk
    torch.save(dict(state), whole)
    atomic_write(path, whole.getbuffer())


def read_state(path: Path) -> dict[str, Any]:
    """Inverse of ``write_state``. Raises WorldganError as ``read_tensors`` does, and for anything but plain values."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch reads past wrong checksums
            if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):  # torch packs nothing
                raise ValueError("compressed")
            wrong = archive.testzip()
            if wrong is not None:
                raise ValueError(f"checksum of {wrong}")
            for each in archive.infolist():
                if each.filename.endswith("data.pkl"):
                    _check_texts(archive.open(each).read(min(each.file_size, path.stat().st_size)))
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WorldganError(f"expected {path} to resume from, found none: train without --resume") from None
    except Exception as error:  # a damaged pickle can raise almost anything
        reason = shorten(str(error), 120, placeholder="...") or type(error).__name__
        raise WorldganError(f"{path} is damaged ({reason}): train again into another folder") from None
    return state


def _check_texts(pickled: bytes) -> None:
    """Raises ValueError for a text that is longer than any in a state.

    torch searches what is wrong with a pickle for patterns, in time that grows with the square of a text in it: 23 KB
    took eight seconds.
    """
    for _, text, _ in pickletools.genops(pickled):
        if isinstance(text, str | bytes) and len(text) > LONGEST:
            raise ValueError(f"a text of {len(text)} characters")


@contextmanager
def fitting(state: Path, info: str) -> Iterator[None]:
    """Turn whatever putting a sound state to use raises into a WorldganError.    info: the file that it is to fit."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise WorldganError(f"{state} does not fit {info}: train again into another folder") from None


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and values."""
    crc = 0
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def _claimed_checksum(data: bytes) -> str | None:
    """What the header of a well-formed safetensors file says; None if another program wrote it."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    claimed: str | None = header.get("__metadata__", {}).get("crc32")
    return claimed
