"""Chance codes: what happened by chance, event by event, and the learned odds of each.

A code lists events: something of one of a few kinds, at one place of the grid. It is int64 [B, events], each 0, which
ends the list, or 1 + place * kinds + kind, or ``choices``, one past these, where it is left open. A code whose last
events are open stands for the mean of all that may follow: a tree whose root is the mean prediction and whose leaves
are single outcomes. All places share one vector for each kind, so what appears at one is learnt for all of them, and
the order of events tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan.models import noise
from worldgan.models.backbone import Seen
from worldgan.models.blocks import pooled
from worldgan.models.patches import traced

BEAM = 32
"""Beginnings of codes that a search for the most probable goes on from, more if more are asked for; and how many codes
an exported file lists.
"""


class CodeEmbedding(nn.Module):
    """Codes -> what a head is told of them, of the whole frame and place by place.

    An event is heard of where it is, and all along its column and its row: the convolutions of a head do not reach
    across the frame, and what leaves it on one side may come back on the other.
    """

    def __init__(self, kinds: int, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.kinds, self.grid = kinds, grid
        self.choices = 1 + kinds * grid[0] * grid[1]
        self.told = nn.Embedding(kinds + 2, width)  # of each kind, of no event, of an open one
        self.marks = nn.Embedding(kinds, 3 * width)  # at its place, in its column, in its row
        self.along_h, self.along_w = (nn.Parameter(torch.randn(side, side) / (3 * side) ** 0.5) for side in grid)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [B, events] -> the sum of a vector for each event, wherever it is, [B, width]; map [B, width, h, w]."""
        kind = (code - 1) % self.kinds
        rows = torch.where(code == 0, self.kinds, torch.where(code == self.choices, self.kinds + 1, kind))
        return self.told(rows).sum(1), self.map(code)

    def map(self, code: Tensor) -> Tensor:
        """[B, width, h, w]: the vectors of its kind at the place of each event, in its column, and in its row."""
        places = torch.arange(self.grid[0] * self.grid[1], device=code.device)
        happens = (code > 0) & (code < self.choices)
        there = happens[..., None] & ((code[..., None] - 1) // self.kinds == places)
        marks = self.marks((code - 1) % self.kinds)
        here = there.to(marks.dtype).unflatten(2, self.grid)
        column = torch.einsum("behw,hj->bejw", here, self.along_h)
        row = torch.einsum("behw,wj->behj", here, self.along_w)
        spread = torch.cat([here, column, row], dim=1)
        return torch.einsum("behw,bec->bchw", spread, torch.cat(marks.chunk(3, dim=2), dim=1))

    def at(self, place: Tensor) -> Tensor:
        """No event, and every kind at the places [N], as numbers of a code: int64 [N, 1 + kinds]."""
        kinds = torch.arange(1, self.kinds + 1, device=place.device) + place[:, None] * self.kinds
        return torch.cat([torch.zeros_like(place[:, None]), kinds], dim=1)


@dataclass(frozen=True)
class Looked:
    """What the odds of a code depend on.    features: [B, width, h, w].    pooled: [B, 3 width]."""

    features: Tensor
    pooled: Tensor

    def index(self, rows: Tensor) -> Looked:
        """The given rows (int64 [any]), repeats allowed."""
        return Looked(self.features[rows], self.pooled[rows])

    def repeat(self, count: int) -> Looked:
        """Each row ``count`` times."""
        return Looked(*(each[:, None].expand(-1, count, *each.shape[1:]).flatten(0, 1) for each in self.both))

    def detach(self) -> Looked:
        """The same, cut from its graph."""
        return Looked(self.features.detach(), self.pooled.detach())

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        """All there is."""
        return self.features, self.pooled


class Likely(NamedTuple):
    """The N most probable codes.

    codes: [B, N, events].    noise: float32 [B, N, events], which draws them.    odds: [B, N], falling.
    """

    codes: Tensor
    noise: Tensor
    odds: Tensor


class CodePrior(nn.Module):
    """p(code | history, action), event after event."""

    def __init__(self, events: int, kinds: int, width: int, grid: tuple[int, int], rarest: float) -> None:
        """rarest: see ``likely``."""
        super().__init__()
        self.events, self.rarest = events, rarest
        self.embedding = CodeEmbedding(kinds, width, grid)
        self.choices = self.embedding.choices
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.enter = nn.Linear(4 * width, width)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.where = nn.Conv2d(width, kinds, 1)
        self.none = nn.Sequential(nn.Linear(6 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 1))

    def look_at(self, seen: Seen) -> Looked:
        """What the odds depend on."""
        looked = F.silu(self.look(seen.features))
        return Looked(looked, torch.cat([pooled(looked), seen.condition], dim=1))

    def logits(self, looked: Looked, known: Tensor) -> Tensor:
        """Logits [B, choices] of the first open event of ``known`` [B, events], none of which has ended the list."""
        told, marks = (each.to(looked.pooled.dtype) for each in self.embedding(known))
        told = torch.cat([looked.pooled, told], dim=1)
        places = F.silu(looked.features + marks + self.enter(told)[..., None, None])
        places = F.silu(self.near(places))
        none = self.none(torch.cat([told, pooled(places)], dim=1))
        return torch.cat([none, self.where(places).permute(0, 2, 3, 1).flatten(1)], dim=1).float()

    def likely(self, looked: Looked, known: Tensor) -> Tensor:
        """``logits`` [B, choices] of what is drawn at all; -inf for what is less than ``rarest`` times as probable
        as the likeliest.

        Of a thousand choices hardly any can happen, and all are given a little (Hewitt et al. 2022, "Truncation
        Sampling as Language Model Desmoothing").
        """
        logits = self.logits(looked, known)
        return logits.masked_fill((logits - logits.amax(1, keepdim=True)).exp() < self.rarest, -torch.inf)

    def open(self, rows: int) -> Tensor:
        """Codes with all events open, [rows, events]."""
        return torch.full((rows, self.events), self.choices, dtype=torch.int64, device=self.look.weight.device)

    @torch.no_grad()
    def draw(self, looked: Looked, chance: Tensor) -> Tensor:
        """Uniform noise [B, events] -> one code a row, [B, events]."""
        code = self.open(looked.pooled.shape[0])
        for event in range(self.events):
            going = code[:, event - 1] != 0  # before the first event, the last is open
            if event and not traced():  # what has ended costs nothing; a trace has to be the same for all
                rows = going.nonzero()[:, 0]
                some = noise.index(self.likely(looked.index(rows), code[rows]), chance[rows, event])
                drawn = torch.zeros_like(code[:, 0]).index_put((rows,), some)
            else:
                drawn = torch.where(going, noise.index(self.likely(looked, code), chance[:, event]), 0)
            code = put(code, event, drawn)
        return code

    def surprise(self, looked: Looked, code: Tensor, *, shuffled: bool = False) -> Tensor:
        """-log p(code), in nats, [B].

        shuffled: of codes whose events are in a random order: the same in the mean over orders, and surer of it, since
        each event that is left counts as the next (Uria et al. 2014, "A Deep and Tractable Density Estimator").
        """
        total = torch.zeros(len(code), device=code.device)
        for event in range(self.events):
            rows = (code[:, :event] > 0).all(1).nonzero()[:, 0]  # after the end of the list all is certain
            if not len(rows):
                break
            logs = self.logits(looked.index(rows), prefix(code[rows], event, self.choices)).log_softmax(1)
            left = code[rows, event : None if shuffled else event + 1]
            following = (left > 0) | (left == 0).all(1, keepdim=True)
            total = total.index_add(0, rows, -(logs.gather(1, left) * following).sum(1) / following.sum(1))
        return total

    @torch.no_grad()
    def likeliest(self, looked: Looked, count: int) -> Likely:
        """The N <= count most probable codes, by a beam search: what goes on from the ``BEAM`` likeliest beginnings.

        A number of the noise is the middle of what draws its event. An event of less than a millionth may be too narrow
        for float32, and another is drawn in its place. So it is for codes of no odds, which fill up what is asked for.
        """
        # A trace takes len for a constant, so rows are counted by the shape.
        codes = self.open(looked.pooled.shape[0])[:, None]
        numbers, total = (
            torch.zeros_like(codes, dtype=torch.float32),
            torch.ones_like(codes[..., 0], dtype=torch.float32),
        )
        for event in range(self.events):
            width = codes.shape[1]
            odds = self.likely(looked.repeat(width), codes.flatten(0, 1)).softmax(-1).unflatten(0, (-1, width))
            if event:
                end = torch.arange(self.choices, device=odds.device) == 0
                odds = torch.where(codes[:, :, event - 1, None] == 0, end.to(odds.dtype), odds)
            middle, joint = (odds.cumsum(-1) - odds / 2).flatten(1), (total[..., None] * odds).flatten(1)
            total, best = joint.topk(min(max(count, BEAM), width * self.choices))
            parent = (best // self.choices)[..., None].expand(-1, -1, self.events)
            codes = put(codes.gather(1, parent), event, best % self.choices)
            numbers = put(numbers.gather(1, parent), event, middle.gather(1, best))
        return Likely(codes[:, :count], numbers[:, :count].clamp(0, 1 - 2**-24), total[:, :count])


def put(numbers: Tensor, event: int, number: Tensor) -> Tensor:
    """[..., events] with that of an event replaced by ``number`` [...]."""
    return torch.where(torch.arange(numbers.shape[-1], device=numbers.device) == event, number[..., None], numbers)


def shuffle(code: Tensor, chance: Tensor) -> Tensor:
    """The events of codes [..., events] in the order of uniform noise [..., events], the ends of lists last."""
    return code.gather(-1, chance.masked_fill(code == 0, 1).argsort(-1))


def prefix(code: Tensor, known: int | Tensor, choices: int) -> Tensor:
    """Codes [..., events] with all but the first ``known`` [...] events opened, unless their list has ended by then."""
    known = torch.as_tensor(known, device=code.device)[..., None]
    kept = torch.arange(code.shape[-1], device=code.device) < known
    ended = ((code == 0) & kept).any(-1, keepdim=True)
    return torch.where(kept | ended, code, choices)
