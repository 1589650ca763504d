"""What every family is measured with: the same real data, the same judge, the same luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import torch
from torch import Tensor

from worldgan import envs
from worldgan.agents import random_plans
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import sequences, starts
from worldgan.errors import WorldganError
from worldgan.evaluation import drift, known, rollouts, sensitivity
from worldgan.evaluation.drift import Drift, Usual
from worldgan.evaluation.frechet import feature_distance
from worldgan.evaluation.held_out import check_counts, imagine, show
from worldgan.evaluation.judge import Judge
from worldgan.evaluation.rollouts import Curves
from worldgan.evaluation.spectrum import band_count, power_ratio
from worldgan.inverse import triples
from worldgan.pixels import Frames
from worldgan.progress import Report, part
from worldgan.rollout import copy_last
from worldgan.seeding import numpy_rng, torch_rng
from worldgan.types import EnvSpec, Window, WorldModel

SINGLE, ROLLOUTS, USUAL = 512, 16, 2048
"""Contexts of single steps, long rollouts in a batch, and real transitions that say what is usual."""
HOLD = 4  # steps that a random action is held for at most, as in ``RandomPolicy``
CONTEXTS, SAMPLES = 32, 128  # of the known odds
GALLERY = 6  # outcomes and samples shown of a context

Spectrum = dict[str, list[float | None]]
"""Horizon -> power over real power in each band; None where the real frames have none."""


@dataclass(frozen=True)
class Sizes:
    """horizon: T of the curves.    windows: contexts of the curves.    samples: rollouts for "best of N" and
    the energy score.    drift: steps of the long rollouts.
    """

    horizon: int = 50
    windows: int = 64
    samples: int = 4
    drift: int = 1000

    def __post_init__(self) -> None:
        """Raises WorldganError for sizes below 1."""
        check_counts(horizon=self.horizon, windows=self.windows, samples=self.samples, drift=self.drift)

    @property
    def span(self) -> int:
        """Steps of a long rollout that are looked at together."""
        return min(drift.SPAN, self.horizon)


@dataclass(frozen=True)
class Ground:
    """Real data, the same for all families. Only ``usual`` is of episodes that are trained on.

    held_out: to imagine T steps after.    single: one step.    segments: uint8 [B, span + 2, C, H, W].
    start: frames and actions that the long rollouts start from.    actions: [B, drift, A], that they take.
    usual: uint8 [N, 3, C, H, W].
    """

    held_out: Window
    single: Window
    segments: Tensor
    start: tuple[Tensor, Tensor]
    actions: Tensor
    usual: Tensor


@dataclass(frozen=True)
class Measures:
    """All that was measured of a family, or of what it is compared with; empty where that means nothing.

    horizons: see ``rollouts.measure``.    spectrum: of the same rollouts.
    feature_distance: of all their frames; see there.    actions: see ``sensitivity.measure``.    drift: see there.
    known: see ``known.measure``.    cost: updates, seconds (of training), parameters, frames_per_second.
    """

    horizons: Curves = field(default_factory=dict)
    spectrum: Spectrum = field(default_factory=dict)
    feature_distance: float | None = None
    actions: Mapping[str, float | None] = field(default_factory=dict)
    drift: Drift = field(default_factory=dict)
    known: Mapping[str, float | None] = field(default_factory=dict)
    cost: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """Frames to look at: strip: uint8 [S, T, H, W, C].    gallery: see ``known.gallery``; None if odds are unknown."""

    strip: Frames
    gallery: Frames | None = None


def ground(store: EpisodeStore, *, context: int, sizes: Sizes, seed: int) -> Ground:
    """Cut it from a data set, for models that see ``context`` frames.

    Raises WorldganError if no held-out episode is as long as the horizon.
    """
    held_out = sequences(store, context=context, horizon=sizes.horizon, count=sizes.windows, seed=seed)
    plans = random_plans(
        store.spec.actions, (1, ROLLOUTS, sizes.drift), hold=HOLD, rng=numpy_rng(seed, "compare", "actions")
    )
    return Ground(
        held_out=held_out,
        single=sequences(store, context=max(2, context), horizon=1, count=SINGLE, seed=seed),
        segments=sequences(store, context=2, horizon=sizes.span, count=ROLLOUTS, seed=seed).frames,
        start=starts(store, context=context, count=ROLLOUTS, seed=seed, beginnings=False, split="val"),
        actions=plans[0],
        usual=sequences(store, context=2, horizon=1, count=USUAL, seed=seed, split="train").frames,
    )


class Yardstick:
    """Measures one family after the other."""

    def __init__(self, data: Ground, judge: Judge, spec: EnvSpec, *, sizes: Sizes, seed: int) -> None:
        """seed: of what models sample."""
        self.data, self.judge, self.spec, self.sizes, self.seed = data, judge, spec, sizes, seed
        self.usual: Usual = drift.usual(data.usual, judge.features)

    def measure(self, name: str, model: WorldModel[Any], report: Report | None = None) -> tuple[Measures, Shown]:
        """All but the cost of a family.    report: gets percent done."""
        held_out, samples = self.data.held_out, self.sizes.samples
        shares = [part(report, 40 * i / samples, 40 * (i + 1) / samples, 1) for i in range(samples)]
        first, *rest = [imagine(model, name, held_out, i, self.seed, share) for i, share in enumerate(shares)]
        curves = rollouts.measure(first, held_out, best_of=rest)
        if report:
            report(40, "actions")
        actions = sensitivity.measure(model, self.judge, self.data.single, seed=self.seed)
        long = self._drift(model, part(report, 50, 75, self.sizes.drift))
        odds, gallery = self._known(model, part(report, 75, 100, CONTEXTS))
        found = Measures(
            horizons=curves,
            spectrum=self._spectrum(first.frames),
            feature_distance=self._distance(first.frames),
            actions=finite(actions),
            drift=long,
            known=finite(odds),
        )
        return found, Shown(show(held_out, first.frames), gallery)

    def measure_copying(self) -> Measures:
        """Of the trivial baseline, which every model has to beat."""
        copied = copy_last(self.data.held_out)
        return Measures(
            horizons=rollouts.measure(copied, self.data.held_out),
            spectrum=self._spectrum(copied.frames),
            feature_distance=self._distance(copied.frames),
        )

    def measure_real(self) -> Measures:
        """Of real episodes: what a perfect model would get."""
        real = self.data.held_out.frames[:, self.data.held_out.context :]
        steps, features = self.sizes.drift, self.judge.features
        return Measures(
            feature_distance=self._distance(real),
            actions=finite(sensitivity.measure_real(self.judge, self.data.single)),
            drift=drift.measure_real(self.data.segments, steps, features, self.usual, span=self.sizes.span),
        )

    def real(self) -> Shown:
        """What really happened in the windows shown."""
        return Shown(show(self.data.held_out, self.data.held_out.frames[:, self.data.held_out.context :]))

    def _spectrum(self, frames: Tensor) -> Spectrum:
        real = self.data.held_out.frames[:, self.data.held_out.context :]
        bands = band_count(*real.shape[-2:])
        at = spectrum_horizons(self.sizes.horizon)
        return {str(h): _numbers(power_ratio(frames[:, h - 1], real[:, h - 1], bands)) for h in at}

    def _distance(self, frames: Tensor) -> float | None:
        """Of all frames [B, T, C, H, W] that follow the held-out contexts."""
        window = self.data.held_out
        seen = triples(window.frames[:, : window.context], frames)
        # Row by row: overlapping triples of all rows together would take three times the memory of the frames.
        return feature_distance(torch.cat([self.judge.features(row) for row in seen]), self.usual.features)

    def _drift(self, model: WorldModel[Any], report: Report) -> Drift:
        return drift.measure(
            model,
            *self.data.start,
            self.data.actions,
            torch_rng(self.seed, "compare", "drift"),
            self.judge.features,
            self.usual,
            span=self.sizes.span,
            report=lambda done, note="": report(done, "long rollouts"),
        )

    def _known(self, model: WorldModel[Any], report: Report) -> tuple[dict[str, float], Frames | None]:
        """Against the true odds, where the env knows them."""
        env = _known_env(self.spec)
        if env is None:
            return {}, None
        told = lambda done, note="": report(done, "known odds")  # noqa: E731
        with env:
            rows = known.gallery(model, env, contexts=3, outcomes=GALLERY, samples=GALLERY, seed=self.seed)
            found = known.measure(model, env, contexts=CONTEXTS, samples=SAMPLES, seed=self.seed, report=told)
        return found, rows


def spectrum_horizons(horizon: int) -> list[int]:
    """Where spectra are taken: after one step, ten, and the last."""
    return sorted({1, min(10, horizon), horizon})


def _known_env(spec: EnvSpec) -> gymnasium.Env[Any, Any] | None:
    """The env, if it lists what can happen next."""
    try:
        env = envs.make(spec.id, **spec.options)
    except WorldganError:  # an extra that is missing here; the envs whose odds are known need none
        return None
    if envs.enumerable(env) is not None:
        return env
    env.close()
    return None


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """None for what is NaN or infinite, which JSON cannot hold."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _numbers(values: Tensor) -> list[float | None]:
    found: Sequence[float] = values.tolist()
    return [value if math.isfinite(value) else None for value in found]
