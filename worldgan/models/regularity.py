"""How steep a discriminator may be: penalties on its slope, and projections of its weights.

Without a limit, a discriminator that tells real from fake with ease is flat where the fakes are and does not say
where they should go (Arjovsky & Bottou 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from worldgan import parallel

Judge = Callable[[Tensor], Tensor]
"""Frames [B, ...] -> logits [B], each row on its own."""


def slope_penalty(
    judge: Judge,
    frames: Tensor,
    logits: Tensor,
    generator: torch.Generator,
    nudge: float = 0.1,
) -> Tensor:
    """Half the squared slope of a discriminator's logit -> [B]: R1 and R2 (Mescheder et al. 2018) without
    double backward. The expected square of a finite difference along Gaussian noise is the squared gradient.

    judge: frames [B, ...] -> logits [B].    logits: ``judge(frames)``, already computed.
    nudge: with 0.01, bfloat16's rounding of the logits is twice the slope that is to be measured.
    """
    noise = parallel.draw(torch.randn, frames.shape, generator, parts=2)  # real frames, then fake ones
    return ((judge(frames + nudge * noise.to(frames.device)) - logits) / nudge).square() / 2


def gradient_penalty(judge: Judge, frames: Tensor) -> Tensor:
    """Half the squared gradient of the logit in frames [B, ...] -> [B], by double backward.

    R1 on real frames, R2 on fake ones (Mescheder et al. 2018, eq. 9 and 10): what ``slope_penalty`` estimates.
    """
    return _gradient(judge, frames).square().sum(1) / 2


def interpolated_penalty(judge: Judge, frames: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Squared distance of the gradient's norm from 1, somewhere between frames and others, both [B, ...] -> [B].

    Two-sided, at points drawn evenly from the line between a real and a fake frame (WGAN-GP, Gulrajani et al. 2017,
    eq. 3; their weight is 10).
    """
    chance = partial(torch.rand, dtype=frames.dtype)
    share = parallel.draw(chance, (len(frames), *[1] * (frames.dim() - 1)), generator, parts=2)
    square = _gradient(judge, torch.lerp(frames, others, share.to(frames.device))).square().sum(1)
    return (square.clamp(min=1e-12).sqrt() - 1).square()  # the root has no slope at zero


def _gradient(judge: Judge, frames: Tensor) -> Tensor:
    """The gradient of the logit in frames [B, ...], [B, numbers in a frame], itself differentiable."""
    points = frames.detach().requires_grad_()
    [gradient] = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
    return gradient.flatten(1)


@torch.no_grad()
def clip_weights(module: nn.Module, bound: float) -> None:
    """Every weight into [-bound, bound] (Arjovsky et al. 2017, algorithm 1)."""
    torch._foreach_clamp_min_(list(module.parameters()), -bound)
    torch._foreach_clamp_max_(list(module.parameters()), bound)


@torch.no_grad()
def normalise_spectrum(module: nn.Module) -> None:
    """Every weight matrix, and convolution flattened to one, divided by its largest singular value (spectral
    normalisation, Miyato et al. 2018, eq. 8).

    Done to the weights after each step instead of in each forward pass: averages and copies of them then need no
    normalisation to be what was trained, and their largest singular values stay at most 1.
    """
    for weight in module.parameters():
        if weight.dim() > 1:
            weight.div_(_largest_singular_value(weight.flatten(1)).clamp(min=1e-12))


def _largest_singular_value(matrix: Tensor) -> Tensor:
    """Of a matrix [rows, columns], exactly; NaN if there is one in it."""
    square = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    if not square.isfinite().all():
        return square.sum()  # must not raise: it has to reach the metrics, where the trainer stops
    return torch.linalg.eigvalsh(square)[-1].sqrt()


class Shown(NamedTuple):
    """What a discriminator was shown, real and fake.

    frames: [N, C, H, W].    others: [N, C, H, W], the fake after the same context for a real frame, and the other way
    round.    logits: [N], its verdicts on ``frames``.
    """

    frames: Tensor
    others: Tensor
    logits: Tensor


class Regularity(NamedTuple):
    """penalty: (judge, shown, generator) -> [N], to be weighted and added to the discriminator's loss.
    projection: (discriminator, bound), changes weights in place after each step.
    """

    penalty: Callable[[Judge, Shown, torch.Generator], Tensor] | None = None
    projection: Callable[[nn.Module, float], None] | None = None


REGULARITIES: dict[str, Regularity] = {
    "none": Regularity(),
    "slope": Regularity(penalty=lambda judge, shown, rng: slope_penalty(judge, shown.frames, shown.logits, rng)),
    "gradient": Regularity(penalty=lambda judge, shown, _: gradient_penalty(judge, shown.frames)),
    "interpolated": Regularity(
        penalty=lambda judge, shown, rng: interpolated_penalty(judge, shown.frames, shown.others, rng)
    ),
    "clip": Regularity(projection=clip_weights),
    "spectral": Regularity(projection=lambda module, _: normalise_spectrum(module)),
}
