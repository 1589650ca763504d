"""A simulator step compiled by OpenVINO for this processor, in bf16 where that has instructions for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from worldgan.arrays import Array
from worldgan.errors import extra
from worldgan.runtime.session import INPUTS, OUTPUTS, Card, Step, unchanced

if TYPE_CHECKING:
    import openvino

LARGEST_CHUNK = 32
"""Rows that a thread works on at once: more no longer fit the caches."""


@final
class Compiled:
    """Implements ``Engine``.

    A graph is compiled for a number of rows, in a third of a second. So a batch is dealt out to the threads in chunks
    of 1, 2, 4, ... rows, of which the last is filled up; a single row is worked on by all threads.
    """

    def __init__(self, graph: bytes, card: Card, *, threads: int, precision: Literal["auto", "fp32"] = "auto") -> None:
        """graph: in ONNX's format, of a card that lists no codes.

        It has to be of our own making: OpenVINO computes a file's constants while it reads them, however large.
        threads: to compute with.    precision: "auto" is what is fastest here, bf16 or fp32.
        Raises WorldganError without the extra.
        """
        with extra("openvino"):
            import openvino
        self.card, self._core, self._graph, self._threads = card, openvino.Core(), graph, threads
        self._exactly = {"INFERENCE_PRECISION_HINT": "f32"} if precision == "fp32" else {}
        self._requests: dict[int, list[openvino.InferRequest]] = {}
        inputs = {each.any_name for each in self._core.read_model(graph).inputs}
        self._inputs = [name in inputs for name in INPUTS]  # without chance there is no noise

    def step(self, frames: Array, actions: Array, noise: Array) -> Step:
        """See ``Engine``."""
        given = [array for array, read in zip((frames, actions, noise), self._inputs, strict=True) if read]
        rows, size = len(frames), chunk(len(frames), self._threads)
        requests = self._ready(size)
        step = Step(*(np.empty((rows, *shape), kind) for kind, shape in self._made()))
        for begin in range(0, rows, size * len(requests)):
            turns = list(zip(requests, range(begin, rows, size), strict=False))
            for request, start in turns:
                request.start_async([filled(array[start : start + size], size) for array in given])
            for request, start in turns:
                request.wait()
                for number, whole in enumerate(step):
                    part = whole[start : start + size]
                    part[...] = request.get_output_tensor(number).data[: len(part)]
        return step

    def likeliest(self, frames: Array, actions: Array) -> tuple[Array, Array]:
        """See ``Engine``; of chance it knows none."""
        return unchanced(len(frames), self.card)

    def _made(self) -> list[tuple[Any, tuple[int, ...]]]:
        """Type and shape without B of every output."""
        shapes = self.card.shapes()
        return [(np.uint8 if shapes[name][0] == "uint8" else np.float32, shapes[name][1]) for name in OUTPUTS]

    def _ready(self, size: int) -> list[openvino.InferRequest]:
        """What computes ``size`` rows each, at the same time."""
        if size not in self._requests:
            model, streams = self._core.read_model(self._graph), 1 if size == 1 else self._threads
            shapes = self.card.shapes()
            model.reshape({value: [size, *shapes[value.any_name][1]] for value in model.inputs})
            options = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": self._threads, **self._exactly}
            compiled = self._core.compile_model(model, "CPU", options)
            self._requests[size] = [compiled.create_infer_request() for _ in range(streams)]
        return self._requests[size]


def chunk(rows: int, threads: int) -> int:
    """How many rows a thread works on at once: a power of two, so that few sizes are compiled."""
    share = -(-rows // threads)
    return min(LARGEST_CHUNK, 1 << (share - 1).bit_length())


def filled(rows: Array, size: int) -> Array:
    """Rows [n, ...] -> [size, ...], the last repeated."""
    return rows if len(rows) == size else np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
