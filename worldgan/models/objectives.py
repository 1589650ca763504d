"""Adversarial losses as pure functions of logits [B]; larger means "more real". Each returns losses [B]."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(NamedTuple):
    """Both players' losses, each a function of (real logits, fake logits)."""

    discriminator: Loss
    generator: Loss


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Lim & Ye 2017, eq. 4; Miyato et al. 2018, eq. 16."""
    return F.relu(1 - real) + F.relu(1 + fake)


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Miyato et al. 2018, eq. 17."""
    del real
    return -fake


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Paired by context: a real frame should look more real than the fake after the same context (RpGAN,
    Jolicoeur-Martineau 2019)."""
    return F.softplus(fake - real)


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror image of ``relativistic_discriminator``."""
    return F.softplus(real - fake)


def slope_penalty(
    judge: Callable[[Tensor], Tensor],
    frames: Tensor,
    logits: Tensor,
    generator: torch.Generator,
    nudge: float = 0.01,
) -> Tensor:
    """Half the squared slope of a discriminator's logit -> [B]: R1 and R2 (Mescheder et al. 2018) without
    double backward. The expected square of a finite difference along Gaussian noise is the squared gradient.

    judge: frames [B, ...] -> logits [B].    logits: ``judge(frames)``, already computed.
    """
    noise = torch.randn(frames.shape, generator=generator)
    return ((judge(frames + nudge * noise) - logits) / nudge).square() / 2


OBJECTIVES: dict[str, Objective] = {
    "hinge": Objective(hinge_discriminator, hinge_generator),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator),
}
