"""The discriminator in training: the two-player game it plays with a generator, and what keeps it fair."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from worldgan.errors import WorldganError, unknown
from worldgan.models.blocks import twice
from worldgan.models.discriminator import ENCODERS, Discriminator
from worldgan.models.learning import Optimiser, OptimiserConfig, Transition, frozen, weighed
from worldgan.models.objectives import OBJECTIVES, eagerness, feature_matching, told_apart
from worldgan.models.reader import Reader
from worldgan.models.regularity import REGULARITIES, Shown
from worldgan.models.world import History
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class AdversaryConfig:
    """objective: a key of OBJECTIVES.    weight: of the generator's adversarial loss.    warmup: updates after which
    the discriminator sets in; the generator's share rises over as many more.
    matching: weight of feature matching.    wrong_action: weight of real frames shown after another action as fakes.
    classifier: weight of the action's being read off the next frame (AC-GAN, Odena et al. 2017), learnt from real
    frames alone: a blur of all that could follow gives the action away more than a real frame.
    recogniser: weight of the chance code's being read off the fake drawn from it (InfoGAN, Chen et al. 2016).
    regularity: a key of REGULARITIES.    penalty: weight of the three that are penalties (10 is the custom for
    "interpolated").    bound: largest weight under "clip".
    kind: a key of ENCODERS, the discriminator's body.    width: its channels.
    optimiser, momentum: its AdamW, and the first beta of it; 0 makes it RMSProp with corrected bias (Kingma & Ba 2015,
    section 5), as wasserstein needs with "clip" (Arjovsky et al. 2017).
    """

    objective: str = "hinge"
    weight: float = 0.05
    warmup: int = 300
    matching: float = 0.0
    wrong_action: float = 0.0
    classifier: float = 0.0
    recogniser: float = 0.0
    regularity: str = "slope"
    penalty: float = 0.1
    bound: float = 0.01
    kind: str = "residual"
    width: int = 48
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(rate=3e-4))
    momentum: float = 0.5

    def __post_init__(self) -> None:
        """Raises WorldganError for an unknown objective, regularity or kind and for numbers that cannot be."""
        if self.objective not in OBJECTIVES:
            raise unknown("objective", self.objective, OBJECTIVES)
        if self.regularity not in REGULARITIES:
            raise unknown("regularity", self.regularity, REGULARITIES)
        if self.kind not in ENCODERS:
            raise unknown("kind of discriminator", self.kind, ENCODERS)
        if self.bound <= 0 or not 0 <= self.momentum < 1:
            got = f"got {self.bound} and {self.momentum}"
            raise WorldganError(f"expected adversary.bound above 0 and adversary.momentum from 0 to below 1, {got}")


def discriminator(spec: EnvSpec, context: int, code: tuple[int, ...], config: AdversaryConfig) -> Discriminator:
    """An untrained one, with the readers that have a weight.    code: choices for each event of the chance code."""
    readers = {}
    if config.classifier:
        readers["classifier"] = partial(Reader, sizes=spec.actions.sizes, numbers=spec.actions.kind == "box")
    if config.recogniser:
        readers["recogniser"] = partial(Reader, sizes=code)
    return Discriminator(spec, context, config.width, config.kind, readers)


class Adversary:
    """A discriminator, its optimiser, and the losses of both players."""

    def __init__(self, discriminator: Discriminator, config: AdversaryConfig) -> None:
        self.discriminator, self.config = discriminator, config
        self.objective, self.regularity = OBJECTIVES[config.objective], REGULARITIES[config.regularity]
        self.optimiser = Optimiser(discriminator, config.optimiser, betas=(config.momentum, 0.99))
        self.optimiser.adam.register_step_post_hook(lambda *_: self.project())
        self.project()

    def project(self) -> None:
        """Bring the weights back to where the regularity wants them; after every step of the optimiser."""
        if self.regularity.projection is not None:
            self.regularity.projection(self.discriminator, self.config.bound)

    def play(
        self,
        history: History,
        step: Transition,
        fake: Tensor,
        updates: int,
        generator: torch.Generator,
        code: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Both players' losses on the real and the fake [B, C, H, W] next frame after the same context.

        "discriminator" trains it alone; "adversarial", "matching", "classifier" and "recogniser" the generator alone;
        "told_apart" and "eagerness" (of the discriminator) train nothing and say how the game stands. None before
        warm-up ends.    updates: made so far.    code: [B, events] that the fake was drawn from, for a recogniser.
        """
        if updates < self.config.warmup:
            return {}
        real = step.completed(fake.detach())  # else a hole would tell that a frame is real
        frames, actions = history.frames, history.then(step.action)
        given, pair = (twice(frames), twice(actions)), torch.cat([real, fake.detach()])
        features, logits = self.discriminator.inspect(*given, pair)
        on_real, on_fake = logits.chunk(2)
        critic = step.mean(self.objective.discriminator(on_real, on_fake))
        critic = critic + self.irregularity(given, pair, logits, step.valid, generator)
        critic = critic + self.obedience(history, step, real, on_real, generator)
        critic = critic + sum(self.misread(history, step, real, features.chunk(2)[1], code).values())
        with frozen(self.discriminator):
            imitated, judged = self.discriminator.inspect(frames, actions, fake)
            misread = self.misread(history, step, fake, imitated, code)
        rise = min(1.0, max(0.0, updates / max(1, self.config.warmup) - 1))
        adversarial = step.mean(self.objective.generator(on_real.detach(), judged))
        losses = {"adversarial": self.config.weight * rise * adversarial, "discriminator": critic}
        if self.config.matching:
            apart = feature_matching(features.chunk(2)[0].detach(), imitated, step.valid)
            losses["matching"] = self.config.matching * rise * apart
        standing = {
            "told_apart": step.mean(told_apart(on_real, on_fake)),
            "eagerness": step.mean(eagerness(self.objective.discriminator, on_real, on_fake)),
        }
        return losses | {name: rise * loss for name, loss in misread.items()} | standing

    def misread(
        self, history: History, step: Transition, shown: Tensor, features: Tensor, code: Tensor | None
    ) -> dict[str, Tensor]:
        """Weighted losses of reading the action off the next frames ``shown`` [B, C, H, W], and the code off fakes.

        features: the discriminator's, of the fakes drawn from ``code``. They know the action, so the classifier looks
        once more, told that none was taken.
        """
        losses = {}
        if self.config.classifier:
            blind, _ = self.discriminator.inspect(history.frames, history.then(torch.zeros_like(step.action)), shown)
            apart = self.discriminator.reader("classifier").misread(blind, step.action)
            losses["classifier"] = self.config.classifier * step.mean(apart)
        if self.config.recogniser:
            assert code is not None
            reader = self.discriminator.reader("recogniser")
            apart = reader.misread(features, F.one_hot(code, reader.sizes[0]).flatten(1))
            losses["recogniser"] = self.config.recogniser * step.mean(apart)
        return losses

    def irregularity(
        self, given: tuple[Tensor, Tensor], pair: Tensor, logits: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor | float:
        """The weighted penalty on contexts and actions ``given``, the real and then the fake frames ``pair``.

        On every other row: as a mean it needs no more, and each row costs another pass.
        """
        if self.regularity.penalty is None or not self.config.penalty:
            return 0.0
        some = slice(None, None, 2)
        judge = lambda x: self.discriminator(given[0][some], given[1][some], x)  # noqa: E731
        shown = Shown(pair[some], pair.roll(len(valid), 0)[some], logits[some])
        penalties, weight = self.regularity.penalty(judge, shown, generator), twice(valid.float())[some]
        return self.config.penalty * (penalties * weight).sum() / weighed(weight)

    def obedience(
        self, history: History, step: Transition, real: Tensor, on_real: Tensor, generator: torch.Generator
    ) -> Tensor | float:
        """The weighted loss of ``real`` next frames [B, C, H, W] shown as fakes after an action of another row.

        An action-conditioned discriminator (GameGAN, Kim et al. 2020): a frame that ignores the action is unreal. Rows
        whose other action is the same, or is none, do not count.
        """
        if not self.config.wrong_action:
            return 0.0
        others = torch.randperm(len(step.action), generator=generator).to(step.action.device)
        wrong = step.action[others]
        counts = step.valid & step.valid[others] & (wrong != step.action).any(1)
        on_wrong = self.discriminator(history.frames, history.then(wrong), real)
        return self.config.wrong_action * replace(step, valid=counts).mean(
            self.objective.discriminator(on_real, on_wrong)
        )
