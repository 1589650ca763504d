"""The discriminator: is this next frame, after this context and action, a real one?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from worldgan.models.blocks import TransitionEncoder
from worldgan.models.dcgan import StridedEncoder
from worldgan.models.reader import Reader
from worldgan.types import EnvSpec

Encoder = Callable[[tuple[int, int, int], int, int, int], nn.Module]
"""(frame (H, W, C), K, A, width) -> what sees context, actions, next frame, as ``TransitionEncoder`` does."""

ENCODERS: dict[str, Encoder] = {"residual": TransitionEncoder, "dcgan": StridedEncoder}


class Discriminator(nn.Module):
    """Conditional discriminator with action projection (Miyato & Koyama 2018).

    It sees the context, so a frame that is sharp but does not follow is as unreal as a blurred one. Each region
    votes and the votes are summed: averaged over regions, the one where something moved would not count.
    kind: a key of ENCODERS.    readers: further heads, by name, each made for so many channels.
    """

    def __init__(
        self,
        spec: EnvSpec,
        context: int,
        width: int,
        kind: str = "residual",
        readers: Mapping[str, Callable[[int], Reader]] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = ENCODERS[kind](spec.frame, context, spec.actions.size, width)
        self.logit = nn.Conv2d(2 * width, 1, 1)
        self.project = nn.Linear(width, 2 * width)
        # Hardly an opinion to begin with: the slope penalty presses random votes flat, and they stay so for long.
        with torch.no_grad():
            for weight in (self.logit.weight, self.project.weight):
                weight *= 0.01
        self.readers = nn.ModuleDict({name: build(2 * width) for name, build in (readers or {}).items()})

    def reader(self, name: str) -> Reader:
        """One of the further heads."""
        return self.readers[name]  # type: ignore[return-value]  # nn.ModuleDict knows modules only

    def inspect(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> features [B, 2 width, h, w], logit [B]."""
        features, condition = self.encoder(frames, actions, next_frame)
        projected = (features * self.project(condition)[..., None, None]).mean(dim=1, keepdim=True)
        return features, (self.logit(features) + projected).float().sum((1, 2, 3))

    def forward(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """The same -> logit [B]."""
        return self.inspect(frames, actions, next_frame)[1]
