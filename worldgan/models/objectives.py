"""Adversarial losses as pure functions of logits [B]; larger means "more real". Each returns losses [B]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(NamedTuple):
    """Both players' losses, each a function of (real logits, fake logits)."""

    discriminator: Loss
    generator: Loss


def minimax_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of telling real from fake: the discriminator's side of Goodfellow et al. 2014, eq. 1."""
    return F.softplus(-real) + F.softplus(fake)


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's side of Goodfellow et al. 2014, eq. 1; flat where the discriminator is sure of a fake."""
    del real
    return -F.softplus(fake)


def nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Goodfellow et al. 2014, end of section 3: maximise log D instead, which is steep where that is flat."""
    del real
    return F.softplus(-fake)


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Mao et al. 2017, eq. 9: real at 1, fake at 0."""
    return ((real - 1).square() + fake.square()) / 2


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Mao et al. 2017, eq. 9: fake at 1."""
    del real
    return (fake - 1).square() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Arjovsky et al. 2017, eq. 2 and algorithm 1. Without bound unless the discriminator's slope is limited."""
    return fake - real


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Arjovsky et al. 2017, algorithm 1; the same as the hinge's (Miyato et al. 2018, eq. 17)."""
    del real
    return -fake


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Lim & Ye 2017, eq. 4; Miyato et al. 2018, eq. 16."""
    return F.relu(1 - real) + F.relu(1 + fake)


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Paired by context: a real frame should look more real than the fake after the same context (RpGAN,
    Jolicoeur-Martineau 2019)."""
    return F.softplus(fake - real)


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror image of ``relativistic_discriminator``."""
    return F.softplus(real - fake)


def feature_matching(real: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
    """Squared distance between mean features of real and fake frames, the mean over features -> [].

    Features [B, ...] of a discriminator, rows weighted by [B] (Salimans et al. 2016, section 3.1). Means over the
    batch, not row by row: what a chance code draws need not be what happened.
    """
    share = weight.float() / weight.float().sum().clamp(min=1)
    apart = share @ (real.float() - fake.float()).flatten(1)
    return apart.square().mean()


def eagerness(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """How much a loss still pulls at each pair of logits: its slope, over that at logits of 0 -> [B], detached.

    1 for a player who knows nothing, 0 for one with nothing left to learn, be it the discriminator's hinge beyond its
    margins or a sigmoid that is flat; always 1 for Wasserstein's losses.
    """
    return _steepness(loss, real, fake) / _steepness(loss, torch.zeros_like(real), torch.zeros_like(fake))


def told_apart(real: Tensor, fake: Tensor) -> Tensor:
    """1 where the real frame looks the more real one of its pair, 0 where the fake does -> [B], detached."""
    return (1 + (real - fake).detach().sign()) / 2


def _steepness(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    logits = real.detach().requires_grad_(), fake.detach().requires_grad_()
    slopes = torch.autograd.grad(loss(*logits).sum(), logits, allow_unused=True, materialize_grads=True)
    return slopes[0].abs() + slopes[1].abs()


def cross_entropies(logits: Tensor, truth: Tensor, sizes: Sequence[int]) -> Tensor:
    """Cross-entropy of several digits, each of its own softmax, summed: in nats, [B].

    logits, truth: [B, sum(sizes)]; digit i has sizes[i] choices, and truth is one-hot in each.
    The auxiliary losses of Odena et al. 2017 (eq. 3) and of Chen et al. 2016 (eq. 5, without its constant).
    """
    digits = zip(logits.split(list(sizes), dim=1), truth.split(list(sizes), dim=1), strict=True)
    return torch.stack([-(true * guess.log_softmax(1)).sum(1) for guess, true in digits]).sum(0)


OBJECTIVES: dict[str, Objective] = {
    "hinge": Objective(hinge_discriminator, wasserstein_generator),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator),
    "minimax": Objective(minimax_discriminator, minimax_generator),
    "nonsaturating": Objective(minimax_discriminator, nonsaturating_generator),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator),
    "wasserstein": Objective(wasserstein_discriminator, wasserstein_generator),
}
