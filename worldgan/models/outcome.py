"""Reward and termination, read off a transition: the same head for every family.

It judges the predicted frame, so a chance event and its reward can never disagree.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.models.blocks import TransitionEncoder, pooled, twice
from worldgan.types import EnvSpec

BINS = 49
"""Reward classes: symexp of -6..6 in steps of 1/4, so rewards up to about 400 either way, finest around zero."""


class OutcomeHead(nn.Module):
    """Transition -> reward distribution over BINS and termination logit."""

    def __init__(self, spec: EnvSpec, context: int, width: int) -> None:
        super().__init__()
        self.encoder = TransitionEncoder(spec.frame, context, spec.actions.size, width, standardise=True)
        self.mix = nn.Sequential(nn.Linear(4 * width + width, 2 * width), nn.SiLU(), nn.Linear(2 * width, BINS + 1))
        levels = torch.linspace(-6, 6, BINS)
        self.centres = levels.sign() * levels.abs().expm1()  # no buffer: it must stay float32 beside bf16 weights

    def forward(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> logits [B, BINS], [B]."""
        features, condition = self.encoder(frames, actions, next_frame)
        read = torch.cat([pooled(features), condition], dim=1)
        logits = self.mix(read).float()
        return logits[:, :BINS], logits[:, BINS]

    def predict(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> tuple[Tensor, Tensor]:
        """The same -> expected reward [B], termination probability [B]."""
        reward, terminated = self(frames, actions, next_frame)
        return reward.softmax(-1) @ self.centres.to(reward.device), terminated.sigmoid()

    def losses(
        self,
        frames: Tensor,
        actions: Tensor,
        nexts: tuple[Tensor, Tensor],
        reward: Tensor,
        terminated: Tensor,
        oversampled: tuple[float, float] = (1.0, 1.0),
    ) -> Tensor:
        """Loss [B], mean over the real and the predicted next frame: both earn the real reward and termination, [B].

        Cross-entropy with the two-hot reward (Hafner et al. 2023, eq. 9) plus that with termination.
        oversampled: see ``Rare``.
        """
        logits = self(twice(frames), twice(actions), torch.cat(nexts))
        of_reward, of_end = self.misread(logits, twice(reward), twice(terminated), oversampled)
        return (of_reward + of_end).view(2, -1).mean(dim=0)

    def misread(
        self, logits: tuple[Tensor, Tensor], reward: Tensor, terminated: Tensor, oversampled: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """The cross-entropies with reward [B] and termination [B] of what ``forward`` returns.

        What is ``oversampled`` has its logits raised by the logarithm of that, so that without it they are those of how
        often it happens (logit adjustment, Menon et al. 2021, eq. 10).
        """
        rewards, ends = map(math.log, oversampled)
        centres = self.centres.to(reward.device)
        raised = logits[0] + rewards * (centres != 0)
        of_reward = -(two_hot(reward, centres) * raised.log_softmax(-1)).sum(-1)
        return of_reward, F.binary_cross_entropy_with_logits(logits[1] + ends, terminated.float(), reduction="none")


def two_hot(values: Tensor, centres: Tensor) -> Tensor:
    """Values [B] -> weights [B, len(centres)] on the two nearest centres whose mean is the (clipped) value."""
    clipped = values.clamp(centres[0], centres[-1])
    above = torch.searchsorted(centres, clipped.contiguous()).clamp(1, len(centres) - 1)
    low, high = centres[above - 1], centres[above]
    share = ((clipped - low) / (high - low))[:, None]
    return F.one_hot(above, len(centres)) * share + F.one_hot(above - 1, len(centres)) * (1 - share)
