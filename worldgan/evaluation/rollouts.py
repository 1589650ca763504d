"""Compare what a world model imagined with what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation.frames import changed_pixel_error, energy_score, psnr, sharpness, ssim
from worldgan.rollout import Rollout
from worldgan.types import Window

Curves = dict[str, list[float | None]]
"""One value per horizon 1..T for each metric; None where the data leaves it undefined."""


def measure(rollout: Rollout, window: Window, *, best_of: Sequence[Rollout] = (), threshold: int = 0) -> Curves:
    """Metrics at each horizon 1..T over the windows whose transition there is valid.

    best_of: more rollouts of the same windows. The true future is one sample of many, so a right sample of
    another future scores badly; ``changed_pixel_error_best`` takes, per window and horizon, the nearest of
    all N = 1 + len(best_of) rollouts (for N = 1 it is ``changed_pixel_error``). Compare at equal N only.
    threshold: see ``changed_pixel_error``.

    windows: how many counted.    psnr, ssim, changed_pixel_error: means over windows (``evaluation.frames``).
    sharpness_gradient, sharpness_laplacian: ratios of sums over windows.    The rest: ``event_metrics``.
    energy_score: of all N rollouts, over that of copying the last context frame; the ratio of sums over windows, since
    in single windows nothing may move. Fair to models that sample if N >= 2, also at unequal N.
    Raises WorldganError for rollouts of other windows.
    """
    rollouts = (rollout, *best_of)
    for sample in rollouts:
        _check(sample, window)
    dead_zone = _dead_zone(window)
    steps = [_at(rollouts, window, step, dead_zone, threshold) for step in range(window.horizon)]
    if not bool((window.terminated & window.valid)[:, window.context - 1 :].any()):
        steps = [step | {"termination_accuracy": None} for step in steps]
    return {name: [step[name] for step in steps] for name in steps[0]}


def event_metrics(rollout: Rollout, window: Window, *, dead_zone: float | None = None) -> dict[str, float | None]:
    """Known rewards and terminations, pooled over all horizons of the window; None where nothing defines a metric.

    dead_zone: predicted rewards nearer to zero count as zero, since an expected reward is seldom exactly
    zero; None is half the smallest reward that occurs.

    reward_accuracy: how often the sign is right.    reward_recall: of the steps with a reward.
    reward_precision: of the steps predicted to have one.    reward_mae: mean absolute error.
    termination_accuracy: how often the probability is on the right side of 0.5; None if the data holds no
    terminal step, where "never" would score 1.    termination_recall: of the terminal steps.
    termination_false_alarm: share of the other steps that are called terminal.
    """
    _check(rollout, window)
    target = slice(window.context - 1, None)
    dead_zone = _dead_zone(window) if dead_zone is None else dead_zone
    found = _events(rollout, window, target, dead_zone)
    return found | ({"termination_accuracy": None} if found["termination_recall"] is None else {})


def _at(
    rollouts: Sequence[Rollout], window: Window, step: int, dead_zone: float, threshold: int
) -> dict[str, float | None]:
    now = window.context - 1 + step  # the transition that leads to target frame ``step``
    valid = window.valid[:, now]
    before, real = window.frames[valid, now], window.frames[valid, now + 1]
    copied = window.frames[valid, window.context - 1]
    predicted = [sample.frames[valid, step] for sample in rollouts]
    first = Rollout(*(values[:, step] for values in _fields(rollouts[0])))
    errors = torch.stack([changed_pixel_error(frames, real, before, threshold) for frames in predicted])
    gradients, laplacians = sharpness(predicted[0], real)
    looks = {
        "windows": float(valid.sum()),
        "psnr": _number(psnr(predicted[0], real).mean()),
        "ssim": _number(ssim(predicted[0], real).mean()),
        "sharpness_gradient": _number(gradients),
        "sharpness_laplacian": _number(laplacians),
        "changed_pixel_error": _number(errors[0].nanmean()),
        "changed_pixel_error_best": _number(errors.amin(0).nanmean()),
        "energy_score": _number(energy_score(predicted, real).sum() / energy_score([copied], real).sum()),
    }
    return looks | _events(first, window, now, dead_zone)


def _events(imagined: Rollout, window: Window, when: int | slice, dead_zone: float) -> dict[str, float | None]:
    """Of the transitions ``when`` of the window, which ``imagined`` is of."""
    valid, earned = window.valid[:, when], _earned(window)[:, when]
    guess, real = imagined.rewards[earned], window.rewards[:, when][earned]
    sign = torch.where(guess.abs() < dead_zone, 0.0, guess.sign())
    right = sign == real.sign()
    end, called = window.terminated[:, when][valid], imagined.terminated[valid] >= 0.5
    return {
        "reward_accuracy": _mean(right),
        "reward_recall": _mean(right[real != 0]),
        "reward_precision": _mean(right[sign != 0]),
        "reward_mae": _mean((guess - real).abs()),
        "termination_accuracy": _mean(called == end),
        "termination_recall": _mean(called[end]),
        "termination_false_alarm": _mean(called[~end]),
    }


def _earned(window: Window) -> Tensor:
    """Transitions whose reward is known, bool [B, n]."""
    return window.valid if window.reward_known is None else window.valid & window.reward_known


def _dead_zone(window: Window) -> float:
    """Half the smallest reward that occurs; half of 1 if none does."""
    sizes = window.rewards[_earned(window)].abs()
    sizes = sizes[sizes > 0]
    return float(sizes.min()) / 2 if len(sizes) else 0.5


def _check(rollout: Rollout, window: Window) -> None:
    expected, got = window.frames[:, window.context :].shape, rollout.frames.shape
    if expected != got:
        raise WorldganError(f"expected a rollout of frames {list(expected)} for this window, got {list(got)}")


def _fields(rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
    return rollout.frames, rollout.rewards, rollout.terminated


def _mean(values: Tensor) -> float | None:
    return _number(values.float().mean())


def _number(value: Tensor) -> float | None:
    """None for NaN (nothing to average) and infinity (nothing to compare with), which JSON cannot hold."""
    number = float(value)
    return number if math.isfinite(number) else None
