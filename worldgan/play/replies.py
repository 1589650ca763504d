"""What the page is told: a JSON header, and pixels behind it.

A reply is the length of the header (4 bytes, little-endian), the header, and the payload: the images that the header
counts, RGB, H * W * 3 bytes each, or the bytes of a file.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldgan.errors import WorldganError
from worldgan.pictures import animate
from worldgan.pixels import Frames, to_rgb
from worldgan.play import messages
from worldgan.play.messages import Format, Message
from worldgan.play.session import Moment, Session

FPS = 15
"""Frames per second of a video."""


def hello(session: Session, note: str) -> bytes:
    """What there is to play with. note: about the real env, for people."""
    spec = session.world.model.spec
    height, width, _ = spec.frame
    header = {
        "type": "hello",
        "env": spec.id,
        "height": height,
        "width": width,
        "models": [
            {"name": w.name, "family": w.family, "critic": _has_critic(w.model)} for w in session.worlds.values()
        ],
        "actions": {"kind": spec.actions.kind, "low": spec.actions.low, "high": spec.actions.high},
        "choices": [vars(choice) for choice in session.controls.choices],
        "idle": session.controls.idle,
        "real": {"here": session.real is not None},
        "note": note,
        "agents": session.agents,
    }
    return pack(header)


def present(session: Session) -> bytes:
    """Where the session is."""
    return _moment(session, time.perf_counter())


def refusal(reason: str, *, kind: str = "error") -> bytes:
    """A sentence for a person. kind: "error" for what was asked for, "full" when there is no seat left."""
    return pack({"type": kind, "message": reason})


def answer(session: Session, message: Message) -> bytes:
    """Do what was asked and tell what came of it. Raises WorldganError if it cannot be done."""
    begun = time.perf_counter()
    match message:
        case messages.Futures(count):
            return _fan(session, count, begun)
        case messages.Agent(name):
            return _plan(session, name, begun)
        case messages.Record(on):
            session.record(on)
        case messages.Step(action):
            session.step(action)
        case messages.Reset(start):
            session.reset(start)
        case messages.Rewind(steps):
            session.rewind(steps)
        case messages.Switch(model):
            session.switch(model)
        case messages.Go(choice, outcome):
            session.go(choice, outcome)
        case messages.Save():
            raise AssertionError("videos are made by ``video``")
    return _moment(session, begun)


def video(kept: Sequence[Moment], format: Format) -> bytes:
    """A file of recorded moments, the real env beside where it is. Raises WorldganError if there are none."""
    if not kept:
        raise WorldganError("expected a recording to save: press record first")
    rows = {"imagined": np.stack([moment.frame for moment in kept])}
    views = [moment.real for moment in kept if moment.real is not None]
    if len(views) == len(kept):
        rows["real"] = np.stack([view.frame for view in views])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"play.{format}")
        animate(path, rows, fps=FPS)
        return pack({"type": "file", "name": path.name, "frames": len(kept)}, path.read_bytes())


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """Length, header, payload."""
    text = json.dumps(header, allow_nan=False).encode()
    return len(text).to_bytes(4, "little") + text + payload


def _moment(session: Session, begun: float) -> bytes:
    header, images = _present(session)
    return pack(header | {"type": "moment", "ms": _since(begun)}, _pixels(images))


def _present(session: Session) -> tuple[dict[str, Any], list[Frames]]:
    """The present in numbers, and its images: the imagined frame and, where there is one, the real one."""
    moment, view = session.moment, session.moment.real
    header = {
        "step": moment.step,
        "model": session.world.name,
        "rewindable": session.rewindable,
        "reward": _finite(moment.reward),
        "total": _finite(moment.total),
        "terminated": _finite(moment.terminated),
        "realism": _finite(moment.realism),
        "recording": session.recording,
        "kept": len(session.kept),
        "real": None if view is None else {"reward": view.reward, "total": view.total, "over": view.over},
    }
    return header, [moment.frame] if view is None else [moment.frame, view.frame]


def _fan(session: Session, count: int, begun: float) -> bytes:
    fan = session.futures(count)
    numbers = {
        name: [[_finite(value) for value in row] for row in getattr(fan, name).tolist()]
        for name in ("probability", "reward", "terminated")
    }
    header = {"type": "futures", "step": session.moment.step, **numbers, "ms": _since(begun)}
    return pack(header, _pixels(fan.frames.reshape(-1, *fan.frames.shape[2:])))


def _plan(session: Session, agent: str, begun: float) -> bytes:
    _, plan = session.follow(agent)
    header, images = _present(session)
    planning = round(plan.seconds * 1000, 1)
    told = {
        "type": "moment",
        "plan": [_label(session, action) for action in plan.actions],
        "did": _label(session, session.moment.action),
        "planning": planning,
        "ms": round(_since(begun) - planning, 1),
    }
    return pack(header | told, _pixels([*images, *plan.frames]))


def _label(session: Session, vector: NDArray[np.float32]) -> str:
    """An encoded action in words."""
    raw = session.world.model.spec.actions.decode(vector).tolist()
    named = (choice.label for choice in session.controls.choices if choice.action == raw)
    return next(named, " ".join(f"{value:.2g}" for value in np.ravel(raw)))


def _pixels(images: Sequence[Frames] | Frames) -> bytes:
    return b"".join(to_rgb(image).tobytes() for image in images)


def _finite(value: float | None) -> float | None:
    """JSON has no NaN, and a model whose training diverged may."""
    return value if value is not None and math.isfinite(value) else None


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)


def _has_critic(model: Any) -> bool:
    return getattr(model, "discriminator", None) is not None
