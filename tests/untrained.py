"""Models that can leave torch, without having learnt anything."""

from __future__ import annotations

from typing import Any

import torch
from fakes import dot_spec, dot_window
from tiny import tiny

from worldgan.models import FAMILIES
from worldgan.runtime.graph import StepGraph
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
    window = dot_window(rows, graph.card.context, 1, size=graph.card.spec.frame[0])
    actions = torch.zeros(rows, graph.card.context - 1, graph.card.spec.actions.size)
    return window.frames[:, :-1].numpy(), actions.numpy()
