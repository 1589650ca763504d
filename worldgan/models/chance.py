"""Chance codes: a few digits that name what happened by chance, and the learned odds of each.

A code is int64 [B, digits], each digit 0..values - 1, or ``values`` where it is left open. Digits are found and drawn
from first to last, and a code whose last digits are open stands for the mean of all that may follow: a tree whose
root is the mean prediction and whose leaves are single outcomes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.models import noise
from worldgan.models.backbone import Seen


class CodeEmbedding(nn.Module):
    """Codes [B, digits] -> vectors [B, width]: the sum of one vector per digit, open ones included."""

    def __init__(self, digits: int, values: int, width: int) -> None:
        super().__init__()
        self.digits, self.values = digits, values
        self.table = nn.Embedding(digits * (values + 1), width)

    def forward(self, code: Tensor) -> Tensor:
        """See above."""
        offsets = torch.arange(self.digits, device=code.device) * (self.values + 1)
        vectors: Tensor = self.table(code + offsets)
        return vectors.sum(1)


class CodePrior(nn.Module):
    """p(code | history, action), digit after digit."""

    def __init__(self, digits: int, values: int, width: int) -> None:
        super().__init__()
        self.digits, self.values = digits, values
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.embedding = CodeEmbedding(digits, values, width)
        self.mix = nn.Sequential(nn.Linear(4 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, values))

    def look_at(self, seen: Seen) -> Tensor:
        """What the odds depend on, [B, 3 width]."""
        looked = F.silu(self.look(seen.features))
        return torch.cat([looked.mean((2, 3)), looked.amax((2, 3)), seen.condition], dim=1)

    def logits(self, looked: Tensor, known: Tensor) -> Tensor:
        """Logits [B, values] of the first open digit of ``known`` [B, digits]."""
        digits = self.embedding(known).to(looked.dtype)
        logits: Tensor = self.mix(torch.cat([looked, digits], dim=1)).float()
        return logits

    def open(self, rows: int) -> Tensor:
        """Codes with all digits open, [rows, digits]."""
        return torch.full((rows, self.digits), self.values, dtype=torch.int64, device=self.look.weight.device)

    @torch.no_grad()
    def draw(self, looked: Tensor, chance: Tensor) -> Tensor:
        """Uniform noise [B, digits] -> one code a row, [B, digits]."""
        code = self.open(looked.shape[0])
        places = torch.arange(self.digits, device=code.device)
        for digit in range(self.digits):
            drawn = noise.index(self.logits(looked, code), chance[:, digit])
            code = torch.where(places == digit, drawn[:, None], code)
        return code

    def surprise(self, looked: Tensor, code: Tensor) -> Tensor:
        """-log p(code), in nats, [B]."""
        places = torch.arange(self.digits, device=code.device)
        prefixes = prefix(code[:, None].expand(-1, self.digits, -1), places, self.values)
        logits = self.logits(looked.repeat_interleave(self.digits, 0), prefixes.flatten(0, 1))
        each = F.cross_entropy(logits, code.flatten(), reduction="none")
        return each.view(-1, self.digits).sum(1)

    def every(self, looked: Tensor) -> tuple[Tensor, Tensor]:
        """All N = values ** digits codes [N, digits] and their probabilities [B, N]."""
        # A trace takes len for a constant, so rows are counted by the shape.
        odds = looked.new_zeros(looked.shape[0], 1, dtype=torch.float32)
        for digit in range(self.digits):
            codes = self.codes(digit)
            rows = looked[:, None].expand(-1, len(codes), -1).flatten(0, 1)
            logits = self.logits(rows, codes.repeat(looked.shape[0], 1)).log_softmax(-1)
            odds = (odds[..., None] + logits.view(-1, len(codes), self.values)).flatten(1)
        return self.codes(self.digits), odds.exp()

    def codes(self, known: int) -> Tensor:
        """All codes whose digits are open but for the first ``known``, [values ** known, digits], the last fastest."""
        number = torch.arange(self.values**known, device=self.look.weight.device)
        digits = [number // self.values**place % self.values for place in reversed(range(known))]
        return torch.stack([*digits, *[torch.full_like(number, self.values)] * (self.digits - known)], dim=1)


def prefix(code: Tensor, known: Tensor, values: int) -> Tensor:
    """Codes [..., digits] with all but the first ``known`` [...] digits opened."""
    return torch.where(torch.arange(code.shape[-1], device=code.device) < known[..., None], code, values)
