"""One folder of static files that plays a learned game in the visitor's own browser."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from worldgan.controls import controls
from worldgan.envs import action_names
from worldgan.export.npm import runtime
from worldgan.export.product import Product
from worldgan.files import atomic_write
from worldgan.pixels import to_rgb
from worldgan.runtime.graph import without_codes
from worldgan.runtime.session import Card


def save(product: Product, out: Path) -> Path:
    """Write the folder -> its page. Nothing in it asks any other host for anything.

    Raises WorldganError if onnxruntime-web cannot be had.
    """
    files = {f"ort/{name}": data for name, data in runtime().items()}
    static = resources.files("worldgan.export") / "static"
    files |= {each.name: each.read_bytes() for each in static.iterdir()}
    files["theme.css"] = (resources.files("worldgan.play") / "static" / "theme.css").read_bytes()
    starts = product.starts["beginnings.frames"].numpy()
    files |= {"model.onnx": without_codes(product.data, product.card), "starts.bin": starts.tobytes()}
    files["game.json"] = json.dumps(game(product.card, len(starts)), indent=1).encode()
    for name, data in files.items():
        atomic_write(out / name, data)
    return out / "index.html"


def game(card: Card, starts: int) -> dict[str, Any]:
    """All that the page has to know. palette: RGB of each channel of a frame; starts: how many ``starts.bin`` holds."""
    spec, channels = card.spec, card.spec.frame[2]
    offered = controls(spec.actions, action_names(spec.id))
    vectors = spec.actions.encode(np.asarray([choice.action for choice in offered.choices], spec.actions.dtype))
    return {
        "id": spec.id,
        "title": title(spec.id),
        "family": card.family,
        "version": card.version,
        "frame": spec.frame,
        "context": card.context,
        "chances": card.chances,
        "palette": to_rgb(np.eye(channels, dtype=np.uint8) * np.uint8(255)).tolist(),
        "starts": starts,
        "idle": offered.idle,
        "choices": [
            {"label": choice.label, "press": choice.press, "vector": vector.tolist()}
            for choice, vector in zip(offered.choices, vectors, strict=True)
        ],
    }


def title(id: str) -> str:
    """The name of an env as people say it: Paddle of worldgan/Paddle-v0."""
    return re.sub(r"^.*[/:]|-v\d+$", "", id).replace("-", " ")
