"""Networks that have learnt nothing, to be exported, and files whose cards were changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from fakes import dot_spec, dot_window
from tiny import tiny

from worldgan.models import FAMILIES
from worldgan.runtime.graph import StepGraph
from worldgan.runtime.session import KEY
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec


def untrained(family: str, spec: EnvSpec | None = None) -> StepGraph:
    """Weights far enough from their first values that the mask is open and chance matters."""
    config, spec = tiny(family).model_config(), spec or dot_spec()
    networks = FAMILIES[family].networks(spec, config, 0).requires_grad_(False)
    generator = torch_rng(0)
    for parameter in networks.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return StepGraph(family, spec, config.backbone.context, networks)


def starts(graph: StepGraph, rows: int = 4) -> tuple[Any, Any]:
    """Frames and actions to start from."""
    window = dot_window(rows, graph.card.context, 1, size=graph.card.spec.frame[0])
    actions = torch.zeros(rows, graph.card.context - 1, graph.card.spec.actions.size)
    return window.frames[:, :-1].numpy(), actions.numpy()


def card_in(path: Path) -> dict[str, Any]:
    """What the file says of itself."""
    found: dict[str, Any] = json.loads(onnx.load(path).metadata_props[0].value)
    return found


def altered(path: Path, target: Path, card: dict[str, Any] | None) -> Path:
    """The file at ``path``, written to ``target`` with another card, or with none."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {} if card is None else {KEY: json.dumps(card)})
    onnx.save(model, target)
    return target
