"""The discriminator: is this next frame, after this context and action, a real one?"""

from __future__ import annotations

from torch import Tensor, nn

from worldgan.models.blocks import TransitionEncoder
from worldgan.types import EnvSpec


class Discriminator(nn.Module):
    """Conditional discriminator with action projection (Miyato & Koyama 2018).

    It sees the context, so a frame that is sharp but does not follow is as unreal as a blurred one. Each region
    votes and the votes are summed: averaged over regions, the one where something moved would not count.
    """

    def __init__(self, spec: EnvSpec, context: int, width: int) -> None:
        super().__init__()
        self.encoder = TransitionEncoder(spec.frame, context, spec.actions.size, width)
        self.logit = nn.Conv2d(2 * width, 1, 1)
        self.project = nn.Linear(width, 2 * width)

    def inspect(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> features [B, 2 width, h, w], logit [B]."""
        features, condition = self.encoder(frames, actions, next_frame)
        projected = (features * self.project(condition)[..., None, None]).mean(dim=1, keepdim=True)
        return features, (self.logit(features) + projected).float().sum((1, 2, 3))

    def forward(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """The same -> logit [B]."""
        return self.inspect(frames, actions, next_frame)[1]
