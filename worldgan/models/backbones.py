"""Kinds of backbones: what every family needs of one, and one line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from worldgan.models.backbone import Backbone, BackboneConfig, Kind, Seen
from worldgan.models.dcgan import Strided
from worldgan.models.patches import Patches
from worldgan.models.stacked import Stacked
from worldgan.types import EnvSpec


class Painter(Protocol):
    """History and a chance vector -> next frame. ``see`` runs once a step; all else is cheap, for many chances.

    patches: pixels <-> patches of the grid [h, w].    cell: p p, pixels of a patch.    grid: of what it has seen.
    """

    patches: Patches
    cell: int
    grid: tuple[int, int]

    def see(self, frames: Tensor, actions: Tensor) -> Seen:
        """Context [B, K, C, H, W] and actions [B, K, A], the last one to be taken now."""

    def hidden(self, seen: Seen, chance: Tensor) -> Tensor:
        """Chance [B, width] -> what is to be painted, [B, width, h, w]."""

    def paint(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden -> painted pixels [B, C p p, h, w], logits of their mask [B, p p, h, w], and the touch, float32."""

    def settle(self, frame: Tensor, last: Tensor) -> Tensor:
        """A frame in patches [B, C p p, h, w] with what is known exactly, background and present frame, where close."""

    def show(self, hidden: Tensor, last: Tensor) -> Tensor:
        """Hidden and the present frame in patches [B, C p p, h, w] -> the next one, float32."""

    def decode(self, seen: Seen, chance: Tensor) -> Tensor:
        """Chance [B, width] -> next frame in patches [B, C p p, h, w], float32, about [-1, 1] but not clipped."""

    def draft(self, seen: Seen, chance: Tensor) -> Tensor:
        """The same before it settles and in the type that convolutions compute in: enough to choose a chance by."""


BACKBONES: dict[Kind, Callable[[EnvSpec, BackboneConfig], Painter]] = {
    "unet": Backbone,
    "stacked": Stacked,
    "dcgan": Strided,
}


def backbone(spec: EnvSpec, config: BackboneConfig) -> Painter:
    """An untrained one of the kind that the config names."""
    return BACKBONES[config.kind](spec, config)
