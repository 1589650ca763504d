"""The bytes of one episode file: a readable header, then independently compressed and checked blocks.

    magic (8 bytes) | header length, header crc32 (uint32 each) | header (JSON) | blocks, end to end

Blocks hold ``BLOCK`` frames each, then come one block of actions, one of rewards, and those of the masks that the
header names, a bit for each truth: what is known of actions and of rewards in one block each, what is visible of frames
in as many as frames. A few frames are read by decoding their blocks alone. Blocks of 8 frames at zstd level 1 take 3 %
of the raw size of a typical game and decode at 12 000 windows of 16 frames a second, against 0.8-2.5 thousand for PNG,
HDF5, zarr and npz.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zstandard
from numpy.typing import NDArray

from worldgan.actions import ActionSpec
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec

MAGIC = b"WGANEP1\n"
BLOCK = 8
DTYPES = ("<i8", "<f4")  # of actions; numpy would run what else may stand there through a parser of Python
MASKS = ("action_known", "reward_known", "visible")
_PREFIX = struct.Struct("<8sII")
_RATIO = 2**15  # a zstd block of 4 bytes or more holds at most 128 KiB (RFC 8878, 3.1.1.2.3)
_FIRST_READ = 4096  # one read finds the header of any episode up to about 1600 steps


class Damaged(WorldganError):
    """A file could be read, and is not what was written."""


@dataclass(frozen=True)
class Header:
    """What is known of an episode without decoding it.

    length: L steps.    frame: (H, W, C).    dtype, shape: of one raw action.
    masks: those of MASKS that the episode has, each with the number of its first block.
    offsets, sizes, crcs: int64 [blocks], where each block starts in the file, its bytes, its crc32.
    """

    length: int
    frame: tuple[int, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    terminated: bool
    truncated: bool
    block: int
    masks: Mapping[str, int]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    crcs: NDArray[np.int64]

    @property
    def pictures(self) -> int:
        """Blocks of frames."""
        return _blocks_of(self.length + 1, self.block)


class Encoder:
    """Builds the bytes of an episode as it is played, holding compressed blocks and few raw frames.

    Ten thousand frames of 64x64x3 are 123 MB raw and some 4 MB here.
    """

    def __init__(self, spec: EnvSpec, first: NDArray[np.uint8]) -> None:
        self._spec = spec
        self._blocks: list[bytes] = []
        self._pending: list[NDArray[np.uint8]] = []
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._frame(first)

    def __len__(self) -> int:
        return len(self._rewards)

    def step(self, action: Any, reward: float, frame: NDArray[np.uint8]) -> None:
        """Append a raw action [*ActionSpec.shape], its reward and the frame uint8 [H, W, C] it led to."""
        self._actions.append(action)
        self._rewards.append(reward)
        self._frame(frame)

    def finish(
        self, *, terminated: bool, truncated: bool, masks: Mapping[str, NDArray[np.bool_] | None] | None = None
    ) -> bytes:
        """The file.    masks: those of MASKS that the episode has, as in ``Episode``.

        Raises WorldganError for actions outside the space, non-finite rewards, no steps or a mask of another shape.
        """
        rewards = np.asarray(self._rewards, "<f4")
        if not len(rewards) or not np.isfinite(rewards).all():
            raise WorldganError(f"expected an episode of finite rewards, got {len(rewards)} steps")
        actions = _checked(self._actions, self._spec.actions)
        frames = [*self._blocks, _compress(np.stack(self._pending))] if self._pending else self._blocks
        kept = {name: mask for name, mask in (masks or {}).items() if mask is not None}
        packed = [block for name, mask in kept.items() for block in self._pack(name, mask)]
        blocks = [*frames, _compress(actions), _compress(rewards), *packed]
        header = {
            "length": len(rewards),
            "frame": list(self._spec.frame),
            "actions": {"dtype": actions.dtype.str, "shape": list(actions.shape[1:])},
            "terminated": bool(terminated),
            "truncated": bool(truncated),
            "frames_per_block": BLOCK,
            "sizes": [len(block) for block in blocks],
            "crc32": [zlib.crc32(block) for block in blocks],
        }
        if kept:
            header["masks"] = list(kept)
        text = json.dumps(header).encode()
        return b"".join([_PREFIX.pack(MAGIC, len(text), zlib.crc32(text)), text, *blocks])

    def _pack(self, name: str, mask: NDArray[np.bool_]) -> list[bytes]:
        """The blocks of a mask."""
        frames = name == "visible"
        shape = (len(self) + 1, *self._spec.frame[:2]) if frames else (len(self),)
        if mask.dtype != np.bool_ or mask.shape != shape:
            raise WorldganError(f"expected {name} to be bool {list(shape)}, got {mask.dtype} {list(mask.shape)}")
        bits = np.packbits(mask, axis=-1)
        return [_compress(bits[i : i + BLOCK]) for i in range(0, len(bits), BLOCK)] if frames else [_compress(bits)]

    def _frame(self, frame: NDArray[np.uint8]) -> None:
        if frame.dtype != np.uint8 or frame.shape != self._spec.frame:
            raise WorldganError(f"expected uint8 frames {self._spec.frame}, got {frame.dtype} {frame.shape}")
        self._pending.append(frame.copy())  # envs and vector envs may write the next frame into the same array
        if len(self._pending) == BLOCK:
            self._blocks.append(_compress(np.stack(self._pending)))
            self._pending = []


def read_header(path: Path, spec: EnvSpec) -> Header:
    """Read and check the header of an episode of ``spec``; no block is touched.

    Raises Damaged naming the file if it is, or of another spec, and WorldganError if it cannot be read.
    """
    text, start, end = _header_text(path)
    try:
        header = _parse(json.loads(text), start, end)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise damaged(path, f"header: {error!r}") from None
    if int(header.offsets[-1] + header.sizes[-1]) != end:
        raise damaged(path, f"expected {header.offsets[-1] + header.sizes[-1]} bytes, got {end}")
    expected, arrived = (spec.frame, spec.actions.shape), (header.frame, header.shape)
    if expected != arrived or header.dtype != spec.actions.dtype:
        raise Damaged(f"{path}: expected frame and action shapes {expected}, got {arrived}")
    raw, held = (header.length + 1) * math.prod(header.frame), int(header.sizes[: header.pictures].sum())
    if raw > _RATIO * held:
        raise damaged(path, f"{raw} bytes of frames in {held}")
    return header


def check(path: Path, spec: EnvSpec) -> Header:
    """Read all of an episode, a block of frames at a time.

    Raises Damaged naming the file if anything of it was never written so, and WorldganError if it cannot be read.
    """
    header = read_header(path, spec)
    for start in range(0, header.length + 1, header.block):
        stop = min(start + header.block, header.length + 1)
        read_frames(path, header, start, stop)
        read_visible(path, header, start, stop)
    for name in ("action_known", "reward_known"):
        read_known(path, header, name)
    actions = read_actions(path, header)
    try:
        spec.actions.check(actions)
    except WorldganError as error:
        raise damaged(path, str(error)) from None
    if not np.isfinite(read_rewards(path, header)).all():
        raise damaged(path, "rewards that are not finite")
    return header


def read_frames(path: Path, header: Header, start: int, stop: int) -> NDArray[np.uint8]:
    """Frames start..stop-1 -> uint8 [stop - start, H, W, C], decoding only the blocks that hold them."""
    return _slice(path, header, start, stop, header.frame, 0)


def read_actions(path: Path, header: Header) -> NDArray[Any]:
    """Raw actions [L, *shape]."""
    return _vector(path, header, header.pictures, header.dtype, (header.length, *header.shape))


def read_rewards(path: Path, header: Header) -> NDArray[np.float32]:
    """Rewards, float32 [L]."""
    return _vector(path, header, header.pictures + 1, np.dtype("<f4"), (header.length,))


def read_known(path: Path, header: Header, name: str) -> NDArray[np.bool_] | None:
    """The mask "action_known" or "reward_known", bool [L]; None if the episode has none."""
    if name not in header.masks:
        return None
    bits = _vector(path, header, header.masks[name], np.dtype(np.uint8), (-(-header.length // 8),))
    return np.unpackbits(bits, count=header.length).astype(np.bool_)


def read_visible(path: Path, header: Header, start: int, stop: int) -> NDArray[np.bool_] | None:
    """What is visible of frames start..stop-1, bool [stop - start, H, W]; None if the episode has no such mask."""
    if "visible" not in header.masks:
        return None
    height, width = header.frame[:2]
    bits = _slice(path, header, start, stop, (height, -(-width // 8)), header.masks["visible"])
    return np.unpackbits(bits, axis=-1, count=width).astype(np.bool_)


def damaged(path: Path, why: str) -> Damaged:
    """The error for a file that is not what was written."""
    return Damaged(f"{path} is damaged ({why}): `worldgan data repair` sets it aside, and collecting again replaces it")


def _checked(actions: list[Any], spec: ActionSpec) -> NDArray[Any]:
    raw = np.asarray(actions)
    spec.check(raw)
    return raw.astype(spec.dtype.newbyteorder("<"))


def _header_text(path: Path) -> tuple[bytes, int, int]:
    """Checked header bytes, where the blocks start, and the file's size."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = os.pread(file.fileno(), _FIRST_READ, 0)
            magic, length, crc = _PREFIX.unpack(data[: _PREFIX.size])
            start = _PREFIX.size + length
            if magic != MAGIC or start > size:
                raise damaged(path, "not an episode file" if magic != MAGIC else "cut off in its header")
            text = data[_PREFIX.size : start]
            if len(text) < length:
                text = os.pread(file.fileno(), length, _PREFIX.size)
    except struct.error:
        raise damaged(path, "shorter than any episode") from None
    except OSError as error:
        raise WorldganError(f"cannot read {path}: {error.strerror}") from None
    if zlib.crc32(text) != crc:
        raise damaged(path, "checksum of the header")
    return text, start, size


def _parse(header: dict[str, Any], start: int, end: int) -> Header:
    """Plain values -> Header; start, end: where blocks lie. Raises builtin errors for the inconsistent."""
    sizes, crcs = np.asarray(header["sizes"], np.int64), np.asarray(header["crc32"], np.int64)
    length, block = int(header["length"]), int(header["frames_per_block"])
    # Every count is tied to bytes that the file was found to have, so nothing can ask for absurd memory.
    if length < 1 or not 1 <= block <= 1024:
        raise ValueError(f"{length} steps, {block} frames per block")
    if header["actions"]["dtype"] not in DTYPES:
        raise ValueError(f"actions of type {header['actions']['dtype']!r:.20}")
    masks, blocks = _places(header.get("masks", []), _blocks_of(length + 1, block))
    if sizes.shape != (blocks,):
        raise ValueError(f"{len(sizes)} blocks for {length} steps")
    if crcs.shape != sizes.shape or (sizes < 1).any() or (sizes > end).any():
        raise ValueError("block sizes")
    return Header(
        length=length,
        frame=tuple(map(int, header["frame"])),
        dtype=np.dtype(header["actions"]["dtype"]),
        shape=tuple(map(int, header["actions"]["shape"])),
        terminated=bool(header["terminated"]),
        truncated=bool(header["truncated"]),
        block=block,
        masks=masks,
        offsets=start + np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        sizes=sizes,
        crcs=crcs,
    )


def _places(masks: list[str], pictures: int) -> tuple[dict[str, int], int]:
    """Masks of a file with that many blocks of frames -> the first block of each, and the number of all blocks."""
    places, blocks = dict[str, int](), pictures + 2
    for name in masks:
        if name not in MASKS or name in places:
            raise ValueError(f"mask {name!r}")
        places[name] = blocks
        blocks += pictures if name == "visible" else 1
    return places, blocks


def _blocks_of(frames: int, block: int) -> int:
    return -(-frames // block)


def _slice(path: Path, header: Header, start: int, stop: int, shape: tuple[int, ...], base: int) -> NDArray[np.uint8]:
    """Rows start..stop-1, uint8 [stop - start, *shape], of what block ``base`` and those after it hold per frame."""
    first, last = start // header.block, (stop - 1) // header.block
    raws = _blocks(path, header, base + first, base + last)
    low = first * header.block
    if first == last:
        return _array(path, raws[0], low, header, shape)[start - low : stop - low]
    out = np.empty((stop - start, *shape), np.uint8)
    for raw in raws:
        rows = _array(path, raw, low, header, shape)
        begin, end = max(start, low), min(stop, low + len(rows))
        out[begin - start : end - start] = rows[begin - low : end - low]
        low += header.block
    return out


def _blocks(path: Path, header: Header, first: int, last: int) -> list[bytes]:
    """Compressed blocks first..last in one read, each checked.

    The file is opened for each read: 10 microseconds, and then no number of episodes, threads or forked
    processes can run out of descriptors or share a file position.
    """
    begin, sizes = int(header.offsets[first]), header.sizes[first : last + 1].tolist()
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            data = os.pread(descriptor, sum(sizes), begin)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WorldganError(f"cannot read {path}: {error.strerror}") from None
    blocks = []
    for size, crc in zip(sizes, header.crcs[first : last + 1].tolist(), strict=True):
        block, data = data[:size], data[size:]
        if len(block) != size or zlib.crc32(block) != crc:
            raise damaged(path, "checksum of a block")
        blocks.append(block)
    return blocks


def _array(path: Path, raw: bytes, low: int, header: Header, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """One block, uint8 [rows, *shape], whose first row is of frame ``low``."""
    whole = (min(header.block, header.length + 1 - low), *shape)
    return np.frombuffer(_decompress(path, raw, int(np.prod(whole))), np.uint8).reshape(whole)


def _vector(path: Path, header: Header, index: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    (block,) = _blocks(path, header, index, index)
    raw = _decompress(path, block, int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(raw, dtype).reshape(shape)


# zstandard's contexts must not be shared between threads, and making one costs as much as decoding a block.
_local = threading.local()


def _decompress(path: Path, block: bytes, size: int) -> bytes:
    """Decode a block that must hold exactly ``size`` bytes; its own claim is checked before allocating."""
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    try:
        claimed = zstandard.get_frame_parameters(block).content_size
        if claimed == size:
            return cast(bytes, _local.decompressor.decompress(block))
    except zstandard.ZstdError as error:
        raise damaged(path, f"block: {error}") from None
    raise damaged(path, f"expected a block of {size} bytes, got {claimed}")


def _compress(array: NDArray[Any]) -> bytes:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=1)
    return cast(bytes, _local.compressor.compress(np.ascontiguousarray(array).data))
