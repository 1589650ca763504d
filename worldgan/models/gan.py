"""The GAN family: a generator whose noise is a discrete chance code, against a conditional discriminator.

With one real sample per context, a conditional GAN learns to ignore its noise. So the code that best explains
the true next frame is found by trying (multiple choice learning, Guzman-Rivera et al. 2012), event after event, the
reconstruction loss trains that code alone, a prior p(code | history, action) learns how often each is right,
and the adversarial loss judges frames decoded from codes drawn from that prior, which is what the simulator
will draw. Probabilities of outcomes can therefore be stated, not only sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldgan import parallel
from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.adversary import Adversary, AdversaryConfig, discriminator
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.backbones import backbone
from worldgan.models.canvas import CLOSE
from worldgan.models.chance import CodeEmbedding, CodePrior, Looked, prefix, put, shuffle
from worldgan.models.learning import (
    Now,
    OptimiserConfig,
    RolloutLearner,
    Transition,
    initialised,
)
from worldgan.models.noise import index
from worldgan.models.outcome import OutcomeHead
from worldgan.models.stacked import Stacked
from worldgan.models.world import History, Networks
from worldgan.seeding import derive
from worldgan.types import EnvSpec

MOST = 64
"""Events, kinds and favourites: far beyond use, so that a wrong file cannot ask for all memory."""


@dataclass(frozen=True)
class GanConfig:
    """Reconstruction error is measured in units of copying the last frame and has weight 1.

    optimiser: of generator and outcome head.    average: decay of the averaged weights that simulate.
    events: the most that a chance code lists.    kinds: of events, at each place of the backbone's grid.
    rarest: what is less than this many times as probable as the likeliest is never drawn; see ``CodePrior.likely``.
    favourites: as many events that the prior expects most are tried, too, so that an outcome comes to have one code.
    prefix: weight of the error of codes whose last events are open.    prior: weight of the prior's cross-entropy.
    pretrain: updates at first with all events open: the mean of what may follow, at the cost of mse, so that no code
    comes to stand in for what is not chance but has not been learnt yet.
    explore: updates over which the choice of events then anneals from random to best, so that no kind is left behind.
    parsimony: by how much, in units of the error of copying the last frame, a code may be worse per nat that it is
    more probable; reached over twice as many updates. Without it, codes stand in for what is not chance, either.
    adversary: the discriminator and its game.    outcome_width: channels of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    events: int = 3
    kinds: int = 4
    rarest: float = 1e-3
    favourites: int = 2
    prefix: float = 0.5
    prior: float = 0.1
    pretrain: int = 100
    explore: int = 100
    parsimony: float = 0.015
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError for a code that tells nothing apart, or one larger than what it tells of."""
        if not (1 <= self.events <= MOST and 1 <= self.kinds <= MOST and 0 <= self.favourites <= MOST):
            got = f"got {self.events}, {self.kinds} and {self.favourites}"
            raise WorldganError(f"expected model.events and kinds from 1 and favourites from 0, up to {MOST}, {got}")
        if not 0 <= self.rarest < 1:
            raise WorldganError(f"expected model.rarest from 0 to below 1, got {self.rarest}")


Choose = Callable[[int, Tensor, Tensor], Tensor]
"""The number of an event, rows [N], what each that is tried for it costs [N, tried] -> which is taken [N]."""


class Generator(nn.Module):
    """Backbone, chance code, and the prior over codes. Implements ``CodePredictor``."""

    stated = True

    def __init__(self, spec: EnvSpec, config: GanConfig) -> None:
        super().__init__()
        width, events, kinds = config.backbone.width, config.events, config.kinds
        self.backbone = backbone(spec, config.backbone)
        self.chances, self.favourites = events, config.favourites
        self.code = CodeEmbedding(kinds, width, self.backbone.grid)
        self.prior = CodePrior(events, kinds, width, self.backbone.grid, config.rarest)

    def tell(self, seen: Seen, code: Tensor) -> tuple[Seen, Tensor]:
        """What the backbone paints codes [B, events] from: what it has seen, marked where they are, and chance."""
        chance, marks = self.code(code)
        return replace(seen, features=seen.features + marks.to(seen.features.dtype)), chance

    def decode(self, seen: Seen, code: Tensor) -> Tensor:
        """Codes [B, events] -> next frames in patches [B, C p p, h, w]."""
        return self.backbone.decode(*self.tell(seen, code))

    def frames(self, patches: Tensor) -> Tensor:
        """Patches -> pixels [B, C, H, W]."""
        return self.backbone.patches.inverse(patches)

    def sample(self, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """See ``Predictor``."""
        noise = torch.rand(len(frames), self.chances, generator=generator)
        return self.sample_from(frames, actions, noise.to(frames.device))

    def sample_from(self, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """See ``NoisePredictor``: a number for each event of the code."""
        seen = self.backbone.see(frames, actions)
        code = self.prior.draw(self.prior.look_at(seen), noise)
        return self.frames(self.decode(seen, code))

    def candidates(
        self, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """See ``Predictor``: the ``count`` most probable codes, their probabilities scaled to sum to 1."""
        del generator  # nothing is drawn
        seen = self.backbone.see(frames, actions)
        codes, _, odds = self.prior.likeliest(self.prior.look_at(seen), count)
        rows = torch.arange(len(frames), device=frames.device).repeat_interleave(codes.shape[1])
        drawn = self.frames(self.decode(seen.index(rows), codes.flatten(0, 1)))
        return drawn.unflatten(0, codes.shape[:2]), odds / odds.sum(dim=1, keepdim=True)

    def likeliest(self, frames: Tensor, actions: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """See ``CodePredictor``."""
        found = self.prior.likeliest(self.prior.look_at(self.backbone.see(frames, actions)), count)
        return found.noise, found.odds

    def surprise(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """See ``Surprising``: -log p(code) of the code that explains the frame."""
        seen = self.backbone.see(frames, actions)
        looked = self.prior.look_at(seen)
        code = self.explain(seen, looked, next_frame, lambda event, rows, costs: costs.argmin(1))
        return self.prior.surprise(looked, code)

    def explain(
        self,
        seen: Seen,
        looked: Looked,
        target: Tensor,
        choose: Choose,
        visible: Tensor | None = None,
        *,
        price: Tensor | float = 0.0,
        alike: bool = False,
    ) -> Tensor:
        """The code [B, events] of the frame [B, C, H, W], event after event.

        Tried are the end of the list, every kind of event where what has been drawn so far is least like the frame,
        and, unless all are to be treated ``alike``, the events that the prior expects most: to try every one would
        cost thousands of decodings.    visible: pixels that count, bool [B, 1, H, W]; None for all.
        price: of a nat of surprise, in units of squared error.
        """
        goal = self.backbone.patches(target)
        weight = None if visible is None else self.backbone.patches(visible.expand_as(target).float())
        code, rows = self.prior.open(len(target)), torch.arange(len(target), device=target.device)
        favourites = 0 if alike else min(self.favourites, self.prior.choices)

        def gaps(rows: Tensor, of: Tensor, codes: Tensor) -> Tensor:
            """Squared error of drafts of codes [N, events], those of rows[of]: the mean over a frame's pixels being the
            sum over its cells [N, h, w].
            """
            rows = rows[of]
            draft = self.backbone.draft(*self.tell(seen.index(rows), codes))
            gap = draft - goal[rows].to(draft.dtype) if weight is None else weight[rows] * (draft - goal[rows])
            gap = F.hardshrink(gap, CLOSE)
            return torch.linalg.vector_norm(gap, dim=1, dtype=torch.float32).square() / goal[0].numel()

        left = gaps(rows, rows, code)
        for event in range(self.prior.events):
            if not len(rows):
                break
            surprise = -self.prior.logits(looked.index(rows), code[rows]).log_softmax(1)
            likely, there = surprise.topk(favourites, largest=False).indices, self.code.at(self.worst(left))
            tried = there[:, :1], likely, there[:, 1:]
            numbers = torch.cat(tried, dim=1)
            costs = price * surprise.gather(1, numbers)
            costs, found = priced(code[rows], event, tried, costs, left, partial(gaps, rows))
            chosen = choose(event, rows, costs)
            at = torch.arange(len(rows), device=rows.device), chosen
            code[rows, event] = numbers[at]
            lasting = (numbers[at] > 0).nonzero()[:, 0]
            rows, left = rows[lasting], found[at][lasting]
        return torch.where(code == self.prior.choices, 0, code)

    def worst(self, gaps: Tensor) -> Tensor:
        """The place [N] of the largest of errors [N, h, w], by the backbone's grid."""
        return F.adaptive_avg_pool2d(gaps[:, None], self.backbone.grid).flatten(1).argmax(1)


def priced(
    codes: Tensor,
    event: int,
    tried: Sequence[Tensor],
    costs: Tensor,
    now: Tensor,
    gaps: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """What each that is tried costs in all as that event of codes [N, events], and the gaps [N, all, h, w] it leaves.

    tried: groups [N, any], one after another. What would cost more than the best of former groups however well it fits,
    and what is tried twice, is not drawn: it costs infinitely much.    costs: of the surprise of all, [N, all].
    now: gaps of the codes as they are, [N, h, w].    gaps: (rows of codes, codes of these) -> [any, h, w], which sum to
    a cost.
    """
    sizes, fresh = [group.shape[1] for group in tried], ~repeated(torch.cat(list(tried), dim=1))
    totals, found = [torch.full_like(costs[:, :1], torch.inf)], []
    for group, cost, new in zip(tried, costs.split(sizes, 1), fresh.split(sizes, 1), strict=True):
        worth = new & (cost <= torch.cat(totals, dim=1).amin(1, keepdim=True))
        row, column = worth.nonzero().unbind(1)
        left = now.new_zeros(*group.shape, *now.shape[1:])
        if len(row):
            left[row, column] = gaps(row, put(codes[row], event, group[row, column]))
        totals.append((cost + left.sum((2, 3))).masked_fill(~worth, torch.inf))
        found.append(left)
    return torch.cat(totals[1:], dim=1), torch.cat(found, dim=1)


def repeated(numbers: Tensor) -> Tensor:
    """Whether each of [N, M] stands further left in its row, too."""
    return (numbers[:, :, None] == numbers[:, None, :]).tril(-1).any(2)


def networks(spec: EnvSpec, config: GanConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context = config.backbone.context
    generator = initialised(lambda: Generator(spec, config), derive(seed, "generator"))
    code = (generator.prior.choices,) * config.events
    return Networks(
        generator,
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
        initialised(lambda: discriminator(spec, context, code, config.adversary), derive(seed, "discriminator")),
    )


class GanLosses:
    """What generator, prior, discriminator and outcome head learn from; see ``Losses``."""

    def __init__(self, networks: Networks, adversary: Adversary, config: GanConfig) -> None:
        self.networks, self.adversary, self.config = networks, adversary, config
        self.generator: Generator = networks.predictor  # type: ignore[assignment]

    def __call__(self, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and the frame decoded from the code that explains it best; at first, from the
        open one.
        """
        backbone = self.generator.backbone
        seen = backbone.see(history.frames, history.then(step.action))
        if now.updates < self.config.pretrain:
            code = self.generator.prior.open(len(step.target))
            frame, losses = self.generator.frames(self.generator.decode(seen, code)), dict[str, Tensor]()
        else:
            code, frame, losses = self.explained(seen, history, step, now)
        losses["reconstruction"] = step.error(frame)
        losses["outcome"] = step.outcome_error(self.networks.outcome, history, frame)
        if isinstance(backbone, Stacked):
            losses["sketch"] = self.sketch_error(backbone, seen, code, step)
        return losses, frame

    def explained(
        self, seen: Seen, history: History, step: Transition, now: Now
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The codes [B, events] that explain the true next frames best, what is decoded from them [B, C, H, W], and
        named losses of all that concerns chance.

        Events are learnt in any order: the one in which they were found is one more thing that the prior cannot know.
        The adversary is shown fakes of every fourth row, and codes with open events are decoded in as many others.
        """
        generator = self.generator
        looked = generator.prior.look_at(seen)
        order = parallel.draw(torch.rand, (len(step.target), self.config.events), now.generator)
        code = shuffle(self.explain(seen.detach(), looked.detach(), step, now), order.to(step.target.device))
        every = torch.arange(len(code), device=code.device)
        fakes, vagues = every[::4], every[1::4]
        chance = parallel.draw(torch.rand, code[fakes].shape, now.generator).to(code.device)
        drawn = generator.prior.draw(looked.index(fakes), chance)
        known = parallel.draw(partial(torch.randint, self.config.events), vagues.shape, now.generator).to(code.device)
        codes = torch.cat([code, drawn, prefix(code[vagues], known, generator.prior.choices)])
        frames = generator.frames(generator.decode(seen.index(torch.cat([every, fakes, vagues])), codes))
        frame, fake, vague = frames.split([len(every), len(fakes), len(vagues)])
        losses = {
            "prefix": self.config.prefix * step.index(vagues).error(vague),
            "prior": self.config.prior * step.mean(generator.prior.surprise(looked, code, shuffled=True)),
        }
        game = self.adversary.play(history.index(fakes), step.index(fakes), fake, now.updates, now.generator, drawn)
        return code, frame, losses | game

    def sketch_error(self, backbone: Stacked, seen: Seen, code: Tensor, step: Transition) -> Tensor:
        """Stage one's error, with the code [B, events] that explains the target best, in units of ``step.error``."""
        sketch = backbone.sketch(*self.generator.tell(seen, code))
        goal = backbone.halved(backbone.patches(step.target))
        return step.mean((sketch - goal).square().mean((1, 2, 3))) / step.scale

    @torch.no_grad()
    def explain(self, seen: Seen, looked: Looked, step: Transition, now: Now) -> Tensor:
        """The code [B, events] whose frame is nearest to the true one, event after event.

        Among events that are about as near, the more probable is taken: else several codes would share every outcome.
        """
        updates = now.updates - self.config.pretrain
        price = self.parsimony(updates) * step.scale
        chance = parallel.draw(torch.rand, (len(step.target), self.config.events), now.generator)

        def choose(event: int, rows: Tensor, costs: Tensor) -> Tensor:
            return self.choose(costs, chance[:, event].to(rows.device)[rows], updates)

        exploring = updates < self.config.explore
        return self.generator.explain(seen, looked, step.target, choose, step.visible, price=price, alike=exploring)

    def parsimony(self, updates: int) -> float:
        """Price of a nat of surprise, by updates of codes; none before these differ, or a single one would win."""
        return self.config.parsimony * min(1.0, max(0.0, updates / max(1, self.config.explore) - 1))

    def choose(self, costs: Tensor, chance: Tensor, updates: int) -> Tensor:
        """The event [N] that costs least of [N, tried]; early on, a random one that costs little, by ``chance`` [N]."""
        if updates >= self.config.explore:
            return costs.argmin(dim=1)
        temperature = 0.01 ** (updates / self.config.explore)
        logits = -costs / (temperature * costs.mean(dim=1, keepdim=True)).clamp(min=1e-8)  # 0 where nothing moves
        return index(logits, chance)


def learner(spec: EnvSpec, config: GanConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    adversary = Adversary(made.discriminator, config.adversary)  # type: ignore[arg-type]  # this family has one
    losses = GanLosses(made, adversary, config)
    return RolloutLearner(spec, config, made, losses, seed, discriminator=adversary.optimiser)
