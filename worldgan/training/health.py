"""What goes wrong with a world model in training, as numbers of its samples. Pure functions of tensors.

Each compares what the model draws with what real frames do, so that nothing has to be known of the env.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHUFFLES = 199
"""Random assignments of actions that a real one is compared with; the least p-value is 1 / 200."""


def spread(samples: Tensor, real: Tensor) -> float:
    """How much samples [B, N, ...] after B contexts differ, over what the error of their mean asks for; real: [B, ...].

    With samples x_1..x_N of p and the true next frame y of q, both given the context, m the mean of the samples, and
    variances summed over pixels: E |y - m|^2 = Var q + |E x - E y|^2 + Var p / N. If p = q that is (1 + 1/N) Var p, so

        (1 + 1/N) mean of the samples' unbiased variance / mean of |y - m|^2

    is 1; sums over contexts are divided, not contexts' ratios. Near 0, the model is surer than it is right, which is
    mode collapse where the env is left to chance. Where it is not, the same number says that the model is wrong and
    does not know: from one real future per context, the two cannot be told apart. Above 1 it varies too much. nan if
    the mean is right everywhere.
    """
    count = samples.shape[1]
    variance = samples.var(1).mean()
    error = (samples.mean(1) - real).square().mean()
    return _ratio((1 + 1 / count) * variance, error)


def miss(samples: Tensor, real: Tensor, last: Tensor) -> float:
    """Squared error of the mean of samples [B, N, ...], over that of copying the last frame; others are [B, ...]."""
    return _ratio((samples.mean(1) - real).square().mean(), (last - real).square().mean())


def motion(frames: Tensor, real: Tensor) -> float:
    """Mean absolute change from frame to frame of rollouts [B, T, ...], over that of real ones; 1 is as lively.

    In the later half of the steps alone, since rollouts that freeze move at first. nan if the real ones do not change
    there, or T is less than 3.
    """
    late = slice(frames.shape[1] // 2, None)
    moved, really = (each[:, late].float().diff(dim=1).abs() for each in (frames, real))
    return _ratio(moved.mean(), really.mean())


def obedience(kept: Tensor, swapped: Tensor, last: Tensor, real: Tensor) -> float:
    """Mean absolute difference that another action makes to a model's next frame, over how far real frames changed.

    kept, swapped: frames drawn under two actions with the same noise.    last, real: the frames before and after. All
    [B, ...]. 0 if the action is ignored. A small number tells that of the model alone: how much an action should show
    differs from env to env, and where it should not at all, 0 is right; see ``actions_show``.
    """
    return _ratio((kept - swapped).abs().mean(), (real - last).abs().mean())


def actions_show(frames: Tensor, actions: Tensor, generator: torch.Generator) -> float:
    """The p-value of real next frames having nothing to do with the actions [B, A] that led to the last of
    frames [B, 2 or more, C, H, W].

    A permutation test of the covariance of actions and ``movement`` (HSIC, Gretton et al. 2005, with linear kernels;
    eq. 9). It misses effects that come late, are rare or do not move anything. What a player that looks at the frame
    does is no accident: actions may then seem to show where they do nothing. 1 if there is one action alone.
    """
    movements = movement(frames)
    kernels = []
    for each in (movements, actions.float()):
        centred = each - each.mean(0)
        kernels.append(centred @ centred.T)
    of_frames, of_actions = kernels
    chance = [
        float((of_frames * of_actions[order][:, order]).sum())
        for order in (torch.randperm(len(actions), generator=generator) for _ in range(SHUFFLES))
    ]
    observed = float((of_frames * of_actions).sum())
    return (1 + sum(each >= observed for each in chance)) / (1 + SHUFFLES)


def movement(frames: Tensor) -> Tensor:
    """Where things went, wherever they were: features [B, F] of the last change in frames [B, n >= 2, C, H, W].

    The last change, correlated with the frame before it and with the change before that, each at shifts of up to an
    eighth of the frame; still scenery is taken away. Rows are scaled to length 1, or are 0 where nothing changed.
    """
    values = frames.float()
    values = values - values.mean((0, 1))
    changes = values.diff(dim=1)
    before = [values[:, -2], *changes[:, -2:-1].unbind(1)]
    found = [_correlation(earlier, changes[:, -1]).flatten(1) for earlier in before]
    return torch.cat([each / each.norm(dim=1, keepdim=True).clamp(min=1e-6) for each in found], dim=1)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """How alike images [B, C, H, W] are at shifts of up to an eighth of their size, [B, h, w]; edges wrap round."""
    height, width = one.shape[-2:]
    product = torch.fft.rfft2(one).conj() * torch.fft.rfft2(other)
    every = torch.fft.irfft2(product, s=(height, width)).sum(1)
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    every = every.roll((reach_y, reach_x), dims=(1, 2))
    near: Tensor = every[:, : 2 * reach_y + 1, : 2 * reach_x + 1]
    return near


def _ratio(part: Tensor, whole: Tensor) -> float:
    """nan for a whole of nothing."""
    return float(part / whole) if float(whole) > 0 else float("nan")
