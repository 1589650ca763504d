"""The autoregressive family: the next frame is drawn patch after patch, each given those drawn before.

As in masked generation (MaskGIT, Chang et al. 2022) the network fills in what is hidden of the next frame from any
part of it that is shown. But a patch is no token of a codebook: it is one of a few that the network paints for that
very place, a mixture with learned odds (Bishop 1994). The trunk sees the history once; a round of drawing costs the
head alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan import parallel
from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.backbones import backbone
from worldgan.models.blocks import compute_dtype
from worldgan.models.learning import (
    Now,
    OptimiserConfig,
    RolloutLearner,
    Transition,
    initialised,
)
from worldgan.models.noise import index
from worldgan.models.outcome import OutcomeHead
from worldgan.models.unstated import draw_of_noise, equal_draws, one_draw
from worldgan.models.world import History, Networks
from worldgan.seeding import derive
from worldgan.types import EnvSpec

REACH = 4
"""Cells over which a drawn patch is made known at once; patches further apart than that are drawn independently."""


@dataclass(frozen=True)
class AutoregressiveConfig:
    """The same backbone, optimiser and outcome head as the other families.

    average: decay of the averaged weights that simulate.    choices: V patches painted for every place.
    rounds: of drawing per frame, after which the rest is as good as decided; at least the number of objects that
    move by chance within sight of each other.
    temperature: squared error over which one patch takes over from another, in units of the error of copying the
    last frame.    outcome_width: channels of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    choices: int = 4
    rounds: int = 4
    temperature: float = 0.3
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError for a draw without choice, rounds or temperature, and for a backbone that cannot see."""
        self.backbone.require_cells()
        if self.choices < 2 or self.rounds < 1 or self.temperature <= 0:
            got = f"got {self.choices}, {self.rounds} and {self.temperature}"
            raise WorldganError(
                f"expected model.choices of at least 2, model.rounds of at least 1, model.temperature above 0, {got}"
            )


@dataclass(frozen=True)
class Shown:
    """What is known of B next frames.

    patches: [B, C p p, h, w], 0 where hidden.    where: 1 or 0, [B, 1, h, w].
    expected: [B, C p p, h, w], the mean of what may come while all is hidden.
    """

    patches: Tensor
    where: Tensor
    expected: Tensor

    @property
    def news(self) -> Tensor:
        """By how much the patches are not as expected; 0 where hidden."""
        return (self.patches - self.expected) * self.where

    def show(self, patches: Tensor, where: Tensor) -> Shown:
        """These patches too, at places that were hidden."""
        return replace(self, patches=self.patches + patches * where, where=self.where + where)

    def over(self, patches: Tensor) -> Tensor:
        """What is shown, and these patches everywhere else."""
        return torch.where(self.where > 0, self.patches, patches)


def nothing(seen: Seen, expected: Tensor | None = None) -> Shown:
    """All is hidden; once it is known, with what is expected [B, C p p, h, w]."""
    zero = torch.zeros_like(seen.last)
    return Shown(zero, zero[:, :1], zero if expected is None else expected)


@dataclass(frozen=True)
class Choices:
    """What each place of B frames may show: V patches [B, V, C p p, h, w] and logits of their odds [B, V, h, w]."""

    patches: Tensor
    logits: Tensor

    def mean(self) -> Tensor:
        """Of what is drawn, [B, C p p, h, w]."""
        return (self.logits.softmax(1)[:, :, None] * self.patches).sum(1)

    def errors(self, patches: Tensor) -> Tensor:
        """Mean squared distance of every choice from patches [B, C p p, h, w] -> [B, V, h, w]."""
        return (self.patches - patches[:, None]).square().mean(2)

    def spread(self) -> Tensor:
        """Variance of what is drawn, [B, 1, h, w]. Unlike the entropy, it does not count alike choices."""
        return (self.logits.softmax(1) * self.errors(self.mean())).sum(1, keepdim=True)

    def pick(self, chosen: Tensor) -> Tensor:
        """Indices [B, h, w] -> patches [B, C p p, h, w]."""
        index = chosen[:, None, None].expand(-1, -1, self.patches.shape[2], -1, -1)
        return self.patches.gather(1, index)[:, 0]

    def nearest(self, patches: Tensor) -> Tensor:
        """The choices nearest to patches [B, C p p, h, w]."""
        return self.pick(self.errors(patches).argmin(1))

    def draw(self, noise: Tensor) -> Tensor:
        """The choices that uniform noise [B, h, w] leads to, [B, C p p, h, w]."""
        rows = self.logits.movedim(1, 3).flatten(0, 2)
        return self.pick(index(rows, noise.flatten()).view(noise.shape))

    def surprise(self, patches: Tensor, scale: Tensor, temperature: float) -> Tensor:
        """-log p(patches [B, C p p, h, w]) of the mixture, without its constant, in units of error, [B, 1, h, w].

        scale: error of 1.    As the temperature falls, it becomes the error of the nearest choice.
        """
        exponents = self.logits.log_softmax(1) - self.errors(patches) / scale / temperature
        return -temperature * exponents.logsumexp(1, keepdim=True)


def peaks(spread: Tensor) -> Tensor:
    """The places of most spread [B, 1, h, w] within ``REACH`` around them, 1 or 0; of 0, none."""
    highest = F.max_pool2d(spread, 2 * REACH + 1, 1, REACH)
    return ((spread == highest) & (spread > 0)).to(spread.dtype)


class PatchPredictor(nn.Module):
    """Backbone whose head also sees what is known of the next frame. Implements ``NoisePredictor``.

    chances: a number for each place. One is read but once, in the round that shows its place.
    """

    stated = False

    def __init__(self, spec: EnvSpec, config: BackboneConfig, choices: int, rounds: int) -> None:
        super().__init__()
        self.backbone = backbone(spec, config)
        self.choices, self.rounds, self.chances = choices, rounds, math.prod(self.backbone.patches.grid)
        pixels = spec.frame[2] * self.backbone.cell
        self.stem = nn.Conv2d(pixels + 1, config.width, 1, bias=False)
        self.around = nn.Conv2d(config.width, config.width, 2 * REACH + 1, padding=REACH, groups=config.width)
        self.split = nn.Conv2d(config.width, choices * config.width, 1)
        self.odds = nn.Conv2d(config.width, choices, 1)
        # News are few: at the usual scale of 1 / (2 REACH + 1) the rest of the frame would hardly hear of them.
        nn.init.normal_(self.around.weight)

    def forward(self, seen: Seen, shown: Shown) -> Choices:
        """What each place may show, given what is known."""
        dtype = compute_dtype(self.stem.weight)
        known = self.around(self.stem(torch.cat([shown.news, shown.where], dim=1).to(dtype)))
        seen = replace(seen, features=seen.features + known)
        hidden = self.backbone.hidden(seen, torch.zeros_like(seen.condition))
        active = F.silu(hidden)
        patches = [
            self.backbone.show(hidden + other, seen.last) for other in self.split(active).chunk(self.choices, dim=1)
        ]
        return Choices(torch.stack(patches, dim=1), self.odds(active).float())

    def draw(self, seen: Seen, generator: torch.Generator) -> Tensor:
        """One next frame a row, [B, C, H, W]."""
        noise = torch.rand(len(seen.last), self.chances, generator=generator)
        return self.draw_from(seen, noise.to(seen.last.device))

    def draw_from(self, seen: Seen, noise: Tensor) -> Tensor:
        """The one that uniform noise [B, chances] leads to.

        Where it is most uncertain first: the rest then mostly follows. The order depends on nothing but what is shown,
        so the odds multiply to those of the frame; places out of each other's sight are drawn in one round.
        """
        choices, noise = self(seen, nothing(seen)), noise.view(-1, *self.backbone.patches.grid)
        shown = nothing(seen, choices.mean())
        for _ in range(self.rounds):
            shown = shown.show(choices.draw(noise), peaks(choices.spread() * (1 - shown.where)))
            choices = self(seen, shown)
        return self.backbone.patches.inverse(shown.over(choices.nearest(choices.mean())))

    sample, sample_from, candidates = one_draw, draw_of_noise, equal_draws


def networks(spec: EnvSpec, config: AutoregressiveConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    build = lambda: PatchPredictor(spec, config.backbone, config.choices, config.rounds)  # noqa: E731
    return Networks(
        initialised(build, derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
    )


class AutoregressiveLosses:
    """What the predictor and the outcome head learn from; see ``Losses``."""

    def __init__(self, networks: Networks, config: AutoregressiveConfig) -> None:
        self.networks, self.config = networks, config
        self.predictor: PatchPredictor = networks.predictor  # type: ignore[assignment]

    def __call__(self, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and the frame of choices that are nearest to the real one."""
        actions, predictor = history.then(step.action), self.predictor
        seen = predictor.backbone.see(history.frames, actions)
        patches, blind = predictor.backbone.patches, predictor(seen, nothing(seen))
        target = patches(step.completed(patches.inverse(blind.mean().detach())))
        where = self.reveal(blind.spread().detach(), now.generator)
        guess = predictor(seen, nothing(seen, blind.mean().detach()).show(target, where))
        explained = patches.inverse(blind.nearest(target)).detach()
        return {
            "reconstruction": step.mean(self.surprise(blind, target, torch.zeros_like(where), step.scale)),
            "completion": step.mean(self.surprise(guess, target, where, step.scale)),
            "outcome": step.outcome_error(self.networks.outcome, history, explained),
        }, explained

    def surprise(self, choices: Choices, target: Tensor, shown: Tensor, scale: Tensor) -> Tensor:
        """See ``Choices.surprise``; the mean over places that are not ``shown`` [B, 1, h, w], [B]."""
        hidden, each = 1 - shown, choices.surprise(target, scale, self.config.temperature)
        return (each * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3)).clamp(min=1)

    def reveal(self, spread: Tensor, generator: torch.Generator) -> Tensor:
        """What to learn from: places [B, 1, h, w], 1 or 0, about as drawing fills them in one round or more.

        They must not be chosen by what they show. Half of the rows stop after each round, as the first decide most.
        """
        stops = parallel.draw(torch.rand, (len(spread), 1, 1, 1), generator).to(spread.device)
        noise = parallel.draw(torch.rand, spread.shape, generator).to(spread.device)
        rounds = 1 - stops.clamp(min=1e-6).log2()
        noisy, where = spread * noise, torch.zeros_like(spread)
        for number in range(self.config.rounds):
            where = where + peaks(noisy * (1 - where)) * (number < rounds.floor())
        return where


def learner(spec: EnvSpec, config: AutoregressiveConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    return RolloutLearner(spec, config, made, AutoregressiveLosses(made, config), seed)
