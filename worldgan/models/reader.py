"""What else a discriminator's features can tell: the action that was taken, or the chance code that was drawn."""

from __future__ import annotations

from torch import Tensor, nn

from worldgan.models.blocks import pooled
from worldgan.models.objectives import cross_entropies


class Reader(nn.Module):
    """Features [B, channels, h, w] -> what they tell, [B, sum(sizes)].

    sizes: choices in each digit, read by a softmax each; or how many numbers, if ``numbers`` is True.
    """

    def __init__(self, channels: int, sizes: tuple[int, ...], *, numbers: bool = False) -> None:
        super().__init__()
        self.sizes, self.numbers = sizes, numbers
        self.mix = nn.Sequential(nn.Linear(2 * channels, channels), nn.SiLU(), nn.Linear(channels, sum(sizes)))

    def forward(self, features: Tensor) -> Tensor:
        """See above; float32."""
        read = pooled(features)
        told: Tensor = self.mix(read).float()
        return told

    def misread(self, features: Tensor, truth: Tensor) -> Tensor:
        """By how much the features tell something else than ``truth`` [B, sum(sizes)] -> [B].

        Cross-entropy in nats with digits, one-hot and concatenated; half the squared error of numbers, which is that
        of a normal distribution, up to a constant.
        """
        told = self(features)
        if self.numbers:
            return (told - truth).square().sum(1) / 2
        return cross_entropies(told, truth, self.sizes)
