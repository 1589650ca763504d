"""What several verbs share: settings on the command line, and what they ask for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from worldgan.config import parse
from worldgan.device import Device
from worldgan.errors import WorldganError

if TYPE_CHECKING:
    from worldgan.training.trainer import Experiment
    from worldgan.types import WorldModel

Settings = Annotated[
    tuple[tuple[str, ...], ...],  # so that "--set a=1 b=2" and "--set a=1 --set b=2" mean the same
    tyro.conf.arg(metavar="KEY=VALUE [KEY=VALUE ...]"),
    tyro.conf.UseAppendAction,
]


@dataclass(frozen=True)
class OneOf:
    """The ``help_behavior_hint`` of an option that is one of few names, which only its help looks up: they may be the
    keys of a registry whose import takes seconds. The verb itself refuses other names, with the nearest one.
    """

    names: Callable[[], Iterable[str]]

    def __call__(self, default: str) -> str:
        """What stands behind the option's help."""
        return f"({', '.join(self.names())}; default: {default})"


def options_of(settings: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """(("size=64",),) -> {"size": 64}. Raises WorldganError for anything else."""
    options = {}
    for setting in (setting for group in settings for setting in group):
        key, equals, value = setting.partition("=")
        if not equals:
            raise WorldganError(f"expected env args like size=64, got {setting!r}")
        options[key] = parse(value, repr(setting))
    return options


def each_of(settings: tuple[tuple[str, ...], ...]) -> list[str]:
    """All settings, however they were grouped."""
    return [setting for group in settings for setting in group]


def experiment_of(
    config: str | None, settings: list[str], family: str | None, minutes: float | None, steps: int | None
) -> Experiment:
    """What options ask for: they win over settings, and those over the preset."""
    from worldgan.config import load
    from worldgan.training.trainer import Experiment

    experiment = load(Experiment, config, settings)
    experiment = replace(experiment, family=family or experiment.family)
    if minutes is not None or steps is not None:
        experiment = replace(experiment, training=replace(experiment.training, minutes=minutes, steps=steps))
    return experiment


def command_line(verb: str, options: dict[str, Any], *positional: str) -> str:
    """The command line that gives these options, without those that are None or empty."""
    words = ["worldgan", verb, *positional]
    for name, value in options.items():
        values = [str(each) for each in value] if isinstance(value, tuple | list) else [str(value)]
        words += [f"--{name}", *values] if values and value is not None else []
    return shlex.join(words)


def planners() -> list[str]:
    """Names of all."""
    from worldgan.agents import PLANNERS

    return list(PLANNERS)


def signals() -> list[str]:
    """Names of all signs of distrust."""
    from worldgan.agents import SIGNALS

    return list(SIGNALS)


def model_at(run: str | Path, device: Device) -> WorldModel[Any]:
    """The model of a run or an exported file."""
    from worldgan import load

    return load(run, device=device)


def check_same(trained: str, env: str, *, what: str = "the model") -> None:
    """Raises WorldganError unless both ids, module prefixes aside, are one: frames of two envs may well fit.

    what: was trained.
    """
    if trained.rpartition(":")[2] != env.rpartition(":")[2]:
        raise WorldganError(f"expected --env {trained}, on which {what} was trained, got {env}")
