"""Data sets and runs that are made within a second."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fakes import dot_spec, dot_window

from worldgan import pixels
from worldgan.config import load
from worldgan.data.store import EpisodeStore
from worldgan.models import FAMILIES
from worldgan.training.trainer import Experiment
from worldgan.types import Episode


def leaves(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted path -> value of every field of a config and of the configs in it."""
    found = {}
    for each in fields(config):
        value = getattr(config, each.name)
        inside = leaves(value, f"{prefix}{each.name}.") if is_dataclass(value) else {f"{prefix}{each.name}": value}
        found |= inside
    return found


SETTINGS = ("model.backbone.context=2", "training.batch=4", "training.rollout=[1,2]", "training.starts=8")


def settings(family: str) -> list[str]:
    """Every width of the family as small as it can be, and nothing that only comes to work after many updates."""
    paths = leaves(FAMILIES[family].config())
    small = [f"model.{path}=16" for path in paths if path.endswith("width")]
    at_once = [f"model.{path}=0" for path in paths if path == "pretrain"]
    return [*small, *at_once, *SETTINGS]


def tiny(family: str = "gan", *more: str) -> Experiment:
    return load(Experiment, None, [f"family={family}", *settings(family), *more])


def dot_store(path: Path, *, size: int = 8, episodes: int = 12, length: int = 20, seed: int = 0) -> Path:
    """Random play in the world of ``fakes.PerfectModel``."""
    spec = dot_spec(size)
    store = EpisodeStore.create(path, spec, seed=seed, policy="random")
    window = dot_window(episodes, context=1, horizon=length, seed=seed, size=size)
    for row, steps in enumerate(window.valid.sum(1).tolist()):
        store.add(
            row,
            Episode(
                frames=pixels.to_array(window.frames[row, : steps + 1]),
                actions=spec.actions.decode(window.actions[row, :steps].numpy()),
                rewards=window.rewards[row, :steps].numpy().astype(np.float32),
                terminated=bool(window.terminated[row].any()),
                truncated=not window.terminated[row].any(),
            ),
        )
    return path


def alter(file: Path, value: Any, *keys: str) -> None:
    """Set one value of a JSON file, and let it say nothing of a checksum."""
    whole = section = json.loads(file.read_text())
    whole.pop("crc32", None)
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    file.write_text(json.dumps(whole))
