"""No knob lies: whatever a configuration offers is read, and changing it changes what happens."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from test_floors import MODULES
from tiny import leaves, settings

from worldgan.agents import DreamConfig, PlannerConfig
from worldgan.benchmark.suite import Suite
from worldgan.config import from_mapping, load
from worldgan.learn import LearnConfig
from worldgan.models import FAMILIES
from worldgan.models.backbones import BACKBONES
from worldgan.models.discriminator import ENCODERS
from worldgan.models.objectives import OBJECTIVES
from worldgan.models.regularity import REGULARITIES
from worldgan.training.trainer import Experiment, TrainingConfig

CONFIGS = [
    *(TrainingConfig, PlannerConfig, DreamConfig, LearnConfig, Suite),
    *(family.config for family in FAMILIES.values()),
]


def read_of_configs(tree: ast.AST) -> Iterator[str]:
    """Names read off whatever is called a config or a section of one, as in ``self.config.backbone.width``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in {"config", "training", "backbone", "optimiser", "adversary", "suite"}:
                yield node.attr


READ = {name for file in MODULES.values() for name in read_of_configs(ast.parse(file.read_text()))}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_is_read(config: type[Any]) -> None:
    names = {name for path in leaves(config()) for name in path.split(".")}
    assert names - READ == set()


EARLY = {"warmup": 1, "explore": 2, "average": 0.05, "clip": 0.01, "precision": "fp32"}
"""Values under which everything matters within the few updates of this test."""

OTHER: dict[str, Any] = {
    "precision": "bf16",
    "explore": 4,
    "warmup": 3,
    "average": 0.01,
    "clip": 0.02,
    "momentum": 0.0,
    "parsimony": 10.0,  # the codes of so young a model draw the same: a small price chooses alike
    "rarest": 0.999,  # all choices are about as probable to begin with
}


CHOICES: dict[str, Any] = {
    "adversary.objective": OBJECTIVES,
    "adversary.regularity": REGULARITIES,
    "adversary.kind": ENCODERS,
    "backbone.kind": BACKBONES,
}

ALSO: dict[str, dict[str, Any]] = {"adversary.bound": {"adversary.regularity": "clip"}}
"""Fields that matter under some values of others only."""


def changed(path: str, value: Any) -> Any:
    if path in CHOICES:
        return next(other for other in CHOICES[path] if other != value)
    name = path.split(".")[-1]
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, int):
        return value + 16 if name.endswith("width") else value + 1
    return value * 2 or 0.1


def early(family: str) -> dict[str, Any]:
    experiment = load(Experiment, None, [f"family={family}", *settings(family)])
    return {path: EARLY.get(path.split(".")[-1], value) for path, value in leaves(experiment.model_config()).items()}


def outcome(family: str, flat: dict[str, Any]) -> list[torch.Tensor]:
    """All averaged weights after a few updates."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    config = from_mapping(FAMILIES[family].config, nested)
    window = dot_window(16, config.backbone.context, horizon=1)
    learner = FAMILIES[family].learner(dot_spec(), config, 0)
    for _ in range(5):
        learner.update(window)
    return list(learner.weights().values())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_of_a_family_changes_what_is_learnt(family: str) -> None:
    start = early(family)
    base, same = outcome(family, start), outcome(family, start)
    assert all(torch.equal(a, b) for a, b in zip(base, same, strict=True))
    idle = []
    for path, value in start.items():
        around = start | ALSO.get(path, {})
        one = outcome(family, around) if path in ALSO else base
        other = outcome(family, around | {path: changed(path, value)})
        if len(one) == len(other) and all(map(torch.equal, one, other)):
            idle.append(path)
    assert not idle
