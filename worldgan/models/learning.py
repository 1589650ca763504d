"""What every learner does alike: seeded initialisation, precision, the self-rollout, optimiser, averaged weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, final

import torch
from torch import Tensor, nn

from worldgan import parallel
from worldgan.background import watch
from worldgan.device import Precision, uses_bf16
from worldgan.errors import WorldganError
from worldgan.models.backbone import BackboneConfig
from worldgan.models.outcome import OutcomeHead
from worldgan.models.world import History, Networks, NextFrameModel
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec, Metrics, Rare, Window

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class OptimiserConfig:
    """rate: AdamW's learning rate.    warmup: steps over which it rises from 0.    clip: largest gradient norm."""

    rate: float = 1e-3
    warmup: int = 100
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Raises WorldganError for numbers that no optimiser can work with."""
        if not min(self.rate, self.clip) > 0 or self.warmup < 0:  # NaN is not above 0 either
            raise WorldganError(f"expected rate and clip above 0 and warmup from 0, got {self}")


def initialised(build: Callable[[], M], seed: int) -> M:
    """Build a module from its own stream of randomness, in the memory layout that convolutions are fastest in."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Transition:
    """One step to learn from, B rows.

    action [B, A] leads to target, float [B, C, H, W], with reward and terminated, [B]; rows that are not valid
    [B] count for nothing.    scale: mean squared change between real frames, the error of copying the last one;
    errors are divided by it, so that weights of losses mean the same in every env.
    rewarded: rows whose reward is known, [B]; None for all.
    visible: pixels that the target has, bool [B, 1, H, W]; None for all. The others show what was last seen there.
    oversampled: how rewards and ends are, see ``Rare``.
    """

    action: Tensor
    target: Tensor
    reward: Tensor
    terminated: Tensor
    valid: Tensor
    scale: Tensor
    rewarded: Tensor | None = None
    visible: Tensor | None = None
    oversampled: tuple[float, float] = (1.0, 1.0)

    @cached_property
    def count(self) -> Tensor:
        """Valid rows, but at least one; see ``weighed``."""
        return weighed(self.valid)

    def index(self, rows: Tensor) -> Transition:
        """The given rows (int64 [any]), errors still in units of the same ``scale``."""
        alike = {"scale", "oversampled"}  # in all rows
        known = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in alike}
        chosen: dict[str, Any] = {name: value[rows] for name, value in known.items() if value is not None}
        return replace(self, **chosen)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of values [B] over the valid rows; zero if none is."""
        return (values * self.valid.to(values.dtype)).sum() / self.count.to(values.dtype)

    def outcome_error(self, head: OutcomeHead, history: History, predicted: Tensor) -> Tensor:
        """Mean loss of reading reward and end off the target and off predicted frames [B, C, H, W], which are cut from
        their graph, over the valid rows whose reward is known.
        """
        actions, nexts = history.then(self.action), (self.target, predicted.detach())
        losses = head.losses(history.frames, actions, nexts, self.reward, self.terminated, self.oversampled)
        known = self.valid if self.rewarded is None else self.valid & self.rewarded
        return replace(self, valid=known).mean(losses)

    def shown(self, pixels: Tensor) -> Tensor:
        """Pixels [B, ..., C, H, W] with zeros where the target has none."""
        return pixels if self.visible is None else pixels * self.visible

    def completed(self, frame: Tensor) -> Tensor:
        """The target with the pixels of a frame [B, C, H, W] where it has none."""
        return self.target if self.visible is None else torch.where(self.visible, self.target, frame)

    def error(self, frame: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """Squared error of predicted frames [B, C, H, W] in units of ``scale``, the mean over the valid rows.

        Where the target has no pixels it is 0, in ``scale`` too.

        weight: of each row, [B] or the same for all.
        """
        return self.mean(weight * self.shown(frame - self.target).square().mean((1, 2, 3))) / self.scale


def weighed(valid: Tensor) -> Tensor:
    """How many rows [B] count, but at least one, to divide a sum over them by; see ``worldgan.parallel``."""
    return parallel.mean(valid.float().sum()).clamp(min=1 / parallel.size())


def transitions(window: Window) -> tuple[History, list[Transition]]:
    """Where a window's rollout starts, and its T steps. Those whose action is unknown are not valid."""
    frames, k = to_float(window.frames), window.context
    valid = window.valid if window.action_known is None else window.valid & window.action_known
    differences, real = frames[:, 1:] - frames[:, :-1], valid.float()
    if window.visible is not None:
        frames = carried(frames, window.visible, k)
        differences = differences * (window.visible[:, 1:] & window.visible[:, :-1])
    changes = differences.square().mean((2, 3, 4))
    change = parallel.mean((changes * real).sum())
    scale = (change / weighed(real)).clamp(min=1e-5)
    at = lambda labels, i: None if labels is None else labels[:, i]  # noqa: E731
    steps = [
        Transition(
            action=window.actions[:, i],
            target=frames[:, i + 1],
            reward=window.rewards[:, i],
            terminated=window.terminated[:, i],
            valid=valid[:, i],
            scale=scale,
            rewarded=at(window.reward_known, i),
            visible=at(window.visible, i + 1),
            oversampled=window.rare.oversampled if window.rare else (1.0, 1.0),
        )
        for i in range(k - 1, k - 1 + window.horizon)
    ]
    return History(frames[:, :k], window.actions[:, : k - 1]), steps


def carried(frames: Tensor, visible: Tensor, context: int) -> Tensor:
    """Frames [B, L, C, H, W] after the first ``context``, with what was last seen where they have no pixels.

    visible: bool [B, L, 1, H, W].    Context frames are left as they are, holes and all: so models will be started.
    """
    found = list(frames.unbind(1))
    for i in range(context, len(found)):
        found[i] = torch.where(visible[:, i], found[i], found[i - 1])
    return torch.stack(found, 1)


def learn_from_rollout(
    window: Window,
    losses: Callable[[History, Transition], tuple[dict[str, Tensor], Tensor]],
    precision: Precision,
) -> Metrics:
    """Gather gradients along the model's own rollout: each step starts from the frame predicted by the last.

    losses: (history, transition) -> named losses, and the frame [B, C, H, W] to go on from. Gradients do not flow
    from step to step, so memory does not grow with T, and a stochastic model can be kept on the real trajectory.
    """
    history, steps = transitions(window)
    kind = window.frames.device.type
    totals: dict[str, float] = {}
    for step in steps:
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=uses_bf16(precision, kind)):
            named, frame = losses(history, step)
            (torch.stack(list(named.values())).sum() / len(steps)).backward()
        for name, loss in named.items():
            totals[name] = totals.get(name, 0.0) + float(loss.detach()) / len(steps)
        history = history.push(step.action, frame)
    return totals


def learn_from_rare(rare: Rare, head: OutcomeHead, precision: Precision) -> Metrics:
    """Gather gradients of reading rewards and ends off the real frames of more windows of them."""
    history, (step,) = transitions(rare.window)
    kind = rare.window.frames.device.type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=uses_bf16(precision, kind)):
        logits = head(history.frames, history.then(step.action), step.target)
    earns = torch.arange(len(step.target), device=step.target.device) < rare.rewarded
    of_reward, of_end = head.misread(logits, step.reward, step.terminated, rare.oversampled)
    loss = rare.weight * (_mean(of_reward, earns) + _mean(of_end, ~earns))
    loss.backward()
    return {"rare": float(loss.detach())}


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Of those that count, or 0."""
    return (values * counts).sum() / counts.sum().clamp(min=1)


class Optimiser:
    """AdamW with warm-up and gradient clipping for one module. share: of the learning rate, 1 to begin with."""

    def __init__(self, module: nn.Module, config: OptimiserConfig, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self.parameters = list(module.parameters())
        self.config, self.steps, self.share = config, 0, 1.0
        self.adam = torch.optim.AdamW(self.parameters, config.rate, betas, weight_decay=1e-4, fused=True)

    def step(self) -> float:
        """Apply the gathered gradients, of all processes, and clear them; returns their norm before clipping."""
        parallel.average_gradients(self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.steps += 1
        for group in self.adam.param_groups:
            group["lr"] = self.share * self.config.rate * min(1.0, self.steps / max(1, self.config.warmup))
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        """Moments and step count."""
        return {"adam": self.adam.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        self.adam.load_state_dict(state["adam"])
        self.steps = state["steps"]


def averageable(module: nn.Module) -> list[Tensor]:
    """Weights, and the running statistics of normalisations, which have to fit them."""
    return [*module.parameters(), *statistics(module)]


def statistics(module: nn.Module) -> list[Tensor]:
    """What a module remembers of the batches that it saw."""
    return [buffer for buffer in module.buffers() if buffer.is_floating_point()]


class Average(Generic[M]):
    """Exponential moving average of a module's weights and running statistics. Other buffers stay as they were."""

    def __init__(self, module: M, decay: float) -> None:
        if not 0 <= decay < 1:
            raise WorldganError(f"expected model.average from 0 to below 1, got {decay}")
        self.source, self.decay, self.steps = module, decay, 0
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self) -> None:
        """One step; the decay rises from nearly 0 so that early weights are forgotten."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(averageable(self.module), averageable(self.source), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Averaged weights and step count."""
        return {"module": self.module.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        self.module.load_state_dict(state["module"])
        self.steps = state["steps"]


class FamilyConfig(Protocol):
    """What the config of every family has."""

    @property
    def backbone(self) -> BackboneConfig:
        """Of the predictor."""

    @property
    def optimiser(self) -> OptimiserConfig:
        """Of predictor and outcome head."""

    @property
    def precision(self) -> Precision:
        """To compute in."""

    @property
    def average(self) -> float:
        """Decay of the averaged weights that simulate."""


@dataclass(frozen=True)
class Now:
    """Where training is. updates: made so far.    generator: of all that is drawn."""

    updates: int
    generator: torch.Generator


Losses = Callable[[History, Transition, Now], tuple[dict[str, Tensor], Tensor]]
"""Named losses of one transition, and the predicted frame [B, C, H, W] to go on from."""


@final
class RolloutLearner:
    """The ``Learner`` of every family: its losses along the model's own rollout, an optimiser for each part, and the
    average of the weights, which simulates.
    """

    def __init__(
        self,
        spec: EnvSpec,
        config: FamilyConfig,
        networks: Networks,
        losses: Losses,
        seed: int,
        **others: Optimiser,
    ) -> None:
        """others: optimisers of further parts."""
        self.spec, self.config, self.networks, self._losses = spec, config, networks, losses
        self.optimisers = {
            "generator": Optimiser(networks.predictor, config.optimiser),
            "outcome": Optimiser(networks.outcome, config.optimiser),
            **others,
        }
        self.average = Average(networks, config.average)
        self.generator, self.updates = torch_rng(seed, "learner"), 0

    def update(self, window: Window) -> Metrics:
        """See ``Learner``."""
        watch(to_float(window.frames[:, window.context - 1]), self.networks)
        metrics = learn_from_rollout(window, self.losses, self.config.precision)
        if window.rare:
            metrics |= learn_from_rare(window.rare, self.networks.outcome, self.config.precision)
        norms = {f"norm/{name}": optimiser.step() for name, optimiser in self.optimisers.items()}
        parallel.average(statistics(self.networks))
        self.average.update()
        self.updates += 1
        return metrics | norms

    def pace(self, share: float) -> None:
        """See ``Learner``."""
        for optimiser in self.optimisers.values():
            optimiser.share = share

    def to(self, device: torch.device) -> None:
        """See ``Learner``; torch leaves a module's parameters the same objects, which the optimisers know."""
        self.networks.to(device)
        self.average.module.to(device)

    def losses(self, history: History, step: Transition) -> tuple[dict[str, Tensor], Tensor]:
        """The family's losses now."""
        return self._losses(history, step, Now(self.updates, self.generator))

    def world_model(self) -> NextFrameModel:
        """See ``Learner``."""
        return NextFrameModel(self.spec, self.config.backbone.context, self.average.module)

    def weights(self) -> dict[str, Tensor]:
        """See ``Learner``."""
        return self.average.module.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """See ``Learner``."""
        return {
            "networks": self.networks.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "generator": self.generator.get_state(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Learner``."""
        self.networks.load_state_dict(state["networks"])
        self.average.load_state_dict(state["average"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.generator.set_state(state["generator"])
        self.updates = state["updates"]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradient reaches the module's own parameters inside, though it flows through to its inputs."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
