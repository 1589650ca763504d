"""Commands as they are typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tiny import settings

PADDLE = "worldgan/Paddle-v0"
Refused = Callable[..., str]


def train_line(data: Path, out: Path | str = "run", *more: str) -> list[object]:
    """As ``tiny.tiny`` trains."""
    return ["train", "--data", data, "--out", out, "--set", *settings("gan"), *more]


def plan_line(model: Path | str, env: str = PADDLE, *more: str) -> list[object]:
    return ["plan", "--model", model, "--env", env, "--out", "plan", *more]
