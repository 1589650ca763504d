"""The GAN family: a generator whose noise is a discrete chance code, against a conditional discriminator.

With one real sample per context, a conditional GAN learns to ignore its noise. So the code that best explains
the true next frame is found by trying (multiple choice learning, Guzman-Rivera et al. 2012), digit after digit, the
reconstruction loss trains that code alone, a prior p(code | history, action) learns how often each is right,
and the adversarial loss judges frames decoded from codes drawn from that prior, which is what the simulator
will draw. Probabilities of outcomes can therefore be stated, not only sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from worldgan import parallel
from worldgan.device import Precision
from worldgan.errors import WorldganError
from worldgan.models.adversary import Adversary, AdversaryConfig, discriminator
from worldgan.models.backbone import BackboneConfig, Seen
from worldgan.models.backbones import backbone
from worldgan.models.chance import CodeEmbedding, CodePrior, prefix
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


@dataclass(frozen=True)
class GanConfig:
    """Reconstruction error is measured in units of copying the last frame and has weight 1.

    optimiser: of generator and outcome head.    average: decay of the averaged weights that simulate.
    digits, values: of the chance code; it can tell values ** digits outcomes apart.
    prefix: weight of the error of codes whose last digits are open.    prior: weight of the prior's cross-entropy.
    explore: updates over which the choice of digits anneals from random to best, so that no value is left behind.
    parsimony: by how much, in units of the error of copying the last frame, a code may be worse per nat that it is
    more probable; reached over twice as many updates. Without it, codes stand in for what is not chance at all but
    has not been learnt yet.
    adversary: the discriminator and its game.    outcome_width: channels of the outcome head.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    average: float = 0.998
    precision: Precision = "auto"
    digits: int = 3
    values: int = 4
    prefix: float = 0.5
    prior: float = 0.1
    explore: int = 100
    parsimony: float = 0.05
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    outcome_width: int = 32

    def __post_init__(self) -> None:
        """Raises WorldganError for a code that tells nothing apart."""
        if self.digits < 1 or not 2 <= self.values <= 256 ** (1 / self.digits):
            got = f"got {self.digits} and {self.values}"
            raise WorldganError(f"expected model.digits >= 1, model.values >= 2 and values ** digits <= 256, {got}")


class Generator(nn.Module):
    """Backbone, chance code, and the prior over codes. Implements ``CodePredictor``."""

    stated = True

    def __init__(self, spec: EnvSpec, config: BackboneConfig, digits: int, values: int) -> None:
        super().__init__()
        self.backbone = backbone(spec, config)
        self.chances, self.values = digits, values
        self.code = CodeEmbedding(digits, values, config.width)
        self.prior = CodePrior(digits, values, config.width)

    def decode(self, seen: Seen, code: Tensor) -> Tensor:
        """Codes [B, digits] -> next frames in patches [B, C p p, h, w]."""
        return self.backbone.decode(seen, self.code(code))

    def frames(self, patches: Tensor) -> Tensor:
        """Patches -> pixels [B, C, H, W]."""
        return self.backbone.patches.inverse(patches)

    def sample(self, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """See ``Predictor``."""
        noise = torch.rand(len(frames), self.chances, generator=generator)
        return self.sample_from(frames, actions, noise.to(frames.device))

    def sample_from(self, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """See ``NoisePredictor``: a number for each digit of the code."""
        seen = self.backbone.see(frames, actions)
        code = self.prior.draw(self.prior.look_at(seen), noise)
        return self.frames(self.decode(seen, code))

    def candidates(
        self, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """See ``Predictor``: the ``count`` most probable codes, their probabilities scaled to sum to 1."""
        del generator  # nothing is drawn
        seen = self.backbone.see(frames, actions)
        codes, odds = self.prior.every(self.prior.look_at(seen))
        probability, chosen = odds.topk(min(count, len(codes)))
        rows = torch.arange(len(frames), device=frames.device).repeat_interleave(chosen.shape[1])
        drawn = self.frames(self.decode(seen.index(rows), codes[chosen.flatten()]))
        return drawn.unflatten(0, chosen.shape), probability / probability.sum(dim=1, keepdim=True)

    def code_odds(self, frames: Tensor, actions: Tensor) -> Tensor:
        """See ``CodePredictor``."""
        return self.prior.every(self.prior.look_at(self.backbone.see(frames, actions)))[1]

    def surprise(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """See ``Surprising``: -log p(code) of the code that explains the frame."""
        seen = self.backbone.see(frames, actions)
        looked = self.prior.look_at(seen)
        code = self.explain(seen, looked, next_frame, lambda error, surprise: error.argmin(1))
        return self.prior.surprise(looked, code)

    def explain(
        self,
        seen: Seen,
        looked: Tensor,
        target: Tensor,
        choose: Callable[[Tensor, Tensor], Tensor],
        visible: Tensor | None = None,
    ) -> Tensor:
        """The code [B, digits] of the frame [B, C, H, W], digit after digit.

        choose: error and surprise of every value, both [B, values] -> the value [B]. The best of all
        ``values ** digits`` codes would cost as many decodings; this costs ``values * digits``.
        visible: pixels that count, bool [B, 1, H, W]; None for all.
        """
        values = self.prior.values
        weight = 1 if visible is None else self.backbone.patches(visible.expand_as(target).float())[:, None]
        goal = self.backbone.patches(target)[:, None]
        rows = torch.arange(len(target), device=target.device).repeat_interleave(values)
        repeated, code = seen.index(rows), self.prior.open(len(target))
        for digit in range(self.prior.digits):
            tries = code[rows]
            tries[:, digit] = torch.arange(values, device=target.device).repeat(len(target))
            drafts = self.backbone.draft(repeated, self.code(tries)).unflatten(0, (len(target), values))
            gap = weight * (drafts - goal.to(drafts.dtype))
            error = torch.linalg.vector_norm(gap, dim=(2, 3, 4), dtype=torch.float32).square() / gap[0, 0].numel()
            code[:, digit] = choose(error, -self.prior.logits(looked, code).log_softmax(1))
        return code


def networks(spec: EnvSpec, config: GanConfig, seed: int) -> Networks:
    """Untrained networks of the family."""
    context, code = config.backbone.context, (config.values,) * config.digits
    build = lambda: Generator(spec, config.backbone, config.digits, config.values)  # noqa: E731
    return Networks(
        initialised(build, derive(seed, "generator")),
        initialised(lambda: OutcomeHead(spec, context, config.outcome_width), derive(seed, "outcome")),
        initialised(lambda: discriminator(spec, context, code, config.adversary), derive(seed, "discriminator")),
    )


class GanLosses:
    """What generator, prior, discriminator and outcome head learn from; see ``Losses``."""

    def __init__(self, networks: Networks, adversary: Adversary, config: GanConfig) -> None:
        self.networks, self.adversary, self.config = networks, adversary, config
        self.generator: Generator = networks.predictor  # type: ignore[assignment]

    def __call__(self, history: History, step: Transition, now: Now) -> tuple[dict[str, Tensor], Tensor]:
        """Named losses of one transition, and the frame decoded from the code that explains it best.

        The adversary is shown fakes of every other row, and codes with open digits are decoded in the rest.
        """
        actions, generator = history.then(step.action), self.generator
        seen = generator.backbone.see(history.frames, actions)
        looked = generator.prior.look_at(seen)
        code = self.explain(seen.detach(), looked.detach(), step, now)
        every = torch.arange(len(code), device=code.device)
        fakes, vagues = every[::2], every[1::2]
        chance = parallel.draw(torch.rand, code[fakes].shape, now.generator).to(code.device)
        drawn = generator.prior.draw(looked[fakes], chance)
        known = parallel.draw(partial(torch.randint, self.config.digits), vagues.shape, now.generator).to(code.device)
        codes = torch.cat([code, drawn, prefix(code[vagues], known, self.config.values)])
        frames = generator.frames(generator.decode(seen.index(torch.cat([every, fakes, vagues])), codes))
        explained, fake, vague = frames.split([len(every), len(fakes), len(vagues)])
        nexts = (step.target, explained.detach())
        outcome = self.networks.outcome.losses(history.frames, actions, nexts, step.reward, step.terminated)
        losses = {
            "reconstruction": step.error(explained),
            "prefix": self.config.prefix * step.index(vagues).error(vague),
            "prior": self.config.prior * step.mean(generator.prior.surprise(looked, code)),
            "outcome": step.mean_rewarded(outcome),
        }
        if isinstance(generator.backbone, Stacked):
            losses["sketch"] = self.sketch_error(generator.backbone, seen, code, step)
        game = self.adversary.play(history.index(fakes), step.index(fakes), fake, now.updates, now.generator, drawn)
        return losses | game, explained

    def sketch_error(self, backbone: Stacked, seen: Seen, code: Tensor, step: Transition) -> Tensor:
        """Stage one's error, with the code [B, digits] that explains the target best, in units of ``step.error``."""
        sketch, goal = backbone.sketch(seen, self.generator.code(code)), backbone.halved(backbone.patches(step.target))
        return step.mean((sketch - goal).square().mean((1, 2, 3))) / step.scale

    @torch.no_grad()
    def explain(self, seen: Seen, looked: Tensor, step: Transition, now: Now) -> Tensor:
        """The code [B, digits] whose frame is nearest to the true one, digit after digit.

        Among values that are about as near, the more probable is taken: else several codes would share every outcome.
        """
        price = self.parsimony(now.updates) * step.scale
        choose = lambda error, surprise: self.choose(error + price * surprise, now)  # noqa: E731
        return self.generator.explain(seen, looked, step.target, choose, step.visible)

    def parsimony(self, updates: int) -> float:
        """Price of a nat of surprise; none before codes have come to differ, or a single one would win."""
        return self.config.parsimony * min(1.0, max(0.0, updates / max(1, self.config.explore) - 1))

    def choose(self, error: Tensor, now: Now) -> Tensor:
        """The value [B] of least error [B, values]; early on, a random one of little error."""
        if now.updates >= self.config.explore:
            return error.argmin(dim=1)
        temperature = 0.01 ** (now.updates / self.config.explore)
        logits = -error / (temperature * error.mean(dim=1, keepdim=True)).clamp(min=1e-8)  # 0 where nothing moves
        return index(logits, parallel.draw(torch.rand, error.shape[:1], now.generator).to(error.device))


def learner(spec: EnvSpec, config: GanConfig, seed: int) -> RolloutLearner:
    """The family in training."""
    made = networks(spec, config, seed)
    adversary = Adversary(made.discriminator, config.adversary)  # type: ignore[arg-type]  # this family has one
    losses = GanLosses(made, adversary, config)
    return RolloutLearner(spec, config, made, losses, seed, discriminator=adversary.optimiser)
