"""Small ONNX files that are all that their card says, with more in them if asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from worldgan.config import to_mapping
from worldgan.runtime.session import CODES, KEY, Card

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def graph(card: Card, zeros: int = 1, shares: Sequence[float] = ()) -> Any:
    """A model that shows the last frame again, and adds the mean of so many zeros to the reward.

    shares: what it says of the odds of codes, if its card lists any; all are the same if not given.
    """
    kinds = {"uint8": TensorProto.UINT8, "float": FLOAT}
    shapes = card.shapes().items()
    values = {name: helper.make_tensor_value_info(name, kinds[kind], ["batch", *size]) for name, (kind, size) in shapes}
    nodes = [
        helper.make_node("Gather", ["frames", "last"], ["frame"], axis=1),
        helper.make_node("ConstantOfShape", ["count"], ["zeros"]),
        helper.make_node("ReduceMean", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("ReduceMean", ["actions"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["mean", "zero"], ["reward"]),
        helper.make_node("Sigmoid", ["mean"], ["terminated"]),
    ]
    last = helper.make_tensor("last", INT64, [], [card.context - 1])
    count = helper.make_tensor("count", INT64, [1], [zeros])
    known = [last, count]
    if card.listed:
        nodes += [
            helper.make_node("ReduceMean", ["actions"], ["means"], axes=[1, 2], keepdims=1),
            helper.make_node("Flatten", ["means"], ["column"], axis=1),
            helper.make_node("Mul", ["column", "none"], ["nothing"]),
            helper.make_node("Add", ["nothing", "shares"], [CODES[1]]),
            helper.make_node("Mul", ["means", "blank"], [CODES[0]]),
        ]
        told = shares or [1 / card.listed] * card.listed
        known += [helper.make_tensor("none", FLOAT, [len(told)], [0.0] * len(told))]
        known += [helper.make_tensor("shares", FLOAT, [len(told)], told)]
        size = card.listed * card.chances
        known += [helper.make_tensor("blank", FLOAT, [card.listed, card.chances], [0.0] * size)]
    outputs = [values.pop(name) for name in card.outputs]
    made = helper.make_graph(nodes, "step", list(values.values()), outputs, known)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {KEY: json.dumps(to_mapping(card))})
    return model


def holding(card: Card, tensor: Any) -> bytes:
    """A file with one more tensor, dense or sparse, which only a node's attribute holds."""
    model = graph(card)
    name = "sparse_value" if isinstance(tensor, onnx.SparseTensorProto) else "value"
    model.graph.node.append(helper.make_node("Constant", [], ["more"], **{name: tensor}))
    data: bytes = model.SerializeToString()
    return data


def wrong_tensors(numbers: int) -> dict[str, Any]:
    """Tensors that declare so many numbers and hold hardly any, or have them in another file, by what they are."""
    few = helper.make_tensor("", FLOAT, [1], [1.0])
    place = helper.make_tensor("", INT64, [1], [0])
    outside = TensorProto(data_type=FLOAT, dims=[numbers], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="/dev/zero")
    return {
        "stored": TensorProto(data_type=FLOAT, dims=[numbers], raw_data=bytes(4)),
        "negative": TensorProto(data_type=FLOAT, dims=[-1, -numbers], raw_data=bytes(4)),
        "sparse": helper.make_sparse_tensor(few, place, [numbers]),
        "outside": outside,
    }
