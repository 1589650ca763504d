"""What an ``.onnx`` file is made of, looked through before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from worldgan.errors import WorldganError, extra


def metadata(data: bytes, path: Path, key: str) -> str:
    """What a model's metadata say under ``key``, "{}" if nothing.    path: the file that held ``data``, for messages.

    Raises WorldganError without the extra, or unless every tensor in the model, wherever it is, is stored in ``data``
    itself and claims no more numbers than it has bytes: none is in another file, or sparse.
    """
    with extra("onnx"):
        import onnx
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's own
        raise WorldganError(f"expected an exported model in {path}, got {' '.join(str(error).split())}") from None
    for part in _parts(model):
        outside = isinstance(part, onnx.TensorProto) and (part.data_location or part.external_data)
        if isinstance(part, onnx.SparseTensorProto) or outside:
            raise WorldganError(f"expected all tensors in {path} itself, and none sparse: export the run again")
        if isinstance(part, onnx.TensorProto) and not _fits(part):
            got = f"one of {list(part.dims)[:9]} in {part.ByteSize()} bytes"
            raise WorldganError(
                f"{path} is damaged: expected tensors as they are stored, got {got}: export the run again"
            )
    return next((each.value for each in model.metadata_props if each.key == key), "{}")


def part(data: bytes, path: Path, inputs: Collection[str], outputs: Collection[str]) -> bytes:
    """The model in ``data`` with these of its inputs and outputs, and of its nodes only those that they need.

    onnxruntime computes all outputs of a model, also those that nobody asks for. Raises WorldganError for names that
    are no text.
    """
    with extra("onnx"):
        import onnx
    model = onnx.ModelProto.FromString(data)
    graph, needed, nodes = model.graph, set(outputs), []
    try:
        for node in reversed(graph.node):
            if not needed.isdisjoint(node.output):
                nodes.append(node)
                inside = (each for each in _parts(node) if isinstance(each, onnx.NodeProto))
                needed.update(name for each in inside for name in each.input)
        kept = {
            "node": nodes[::-1],
            "initializer": [each for each in graph.initializer if each.name in needed],
            "input": [each for each in graph.input if each.name in inputs],
            "output": [each for each in graph.output if each.name in outputs],
        }
    except UnicodeDecodeError as error:
        raise WorldganError(f"{path} is damaged ({error}): export the run again") from None
    for name, each in kept.items():
        graph.ClearField(name)
        getattr(graph, name).extend(each)
    reduced: bytes = model.SerializeToString()
    return reduced


def _fits(tensor: Any) -> bool:
    return min(tensor.dims, default=0) >= 0 and math.prod(tensor.dims) <= tensor.ByteSize()


def _parts(message: Any) -> Iterator[Any]:
    """A protobuf message and all messages in it: no more than 100 within each other, or it would not have been read."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from _parts(each)
