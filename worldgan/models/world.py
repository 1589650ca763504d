"""The WorldModel of every family: a history of frames and actions, a predictor, and the outcome head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from worldgan.models.backbones import Painter
from worldgan.models.discriminator import Discriminator
from worldgan.models.outcome import OutcomeHead
from worldgan.pixels import quantise, to_float
from worldgan.types import ALIKE, SPREAD, EnvSpec, Outcomes, Prediction


@dataclass(frozen=True)
class History:
    """The last K frames, float [B, K, C, H, W] in [-1, 1], and the K - 1 actions between them, [B, K - 1, A]."""

    frames: Tensor
    actions: Tensor

    @property
    def last(self) -> Tensor:
        """The present frame [B, C, H, W]."""
        return self.frames[:, -1]

    def then(self, action: Tensor) -> Tensor:
        """Actions [B, K, A] including the one to be taken now, [B, A]."""
        return torch.cat([self.actions, action[:, None]], dim=1)

    def push(self, action: Tensor, frame: Tensor) -> History:
        """The history one step on.

        The frame is cut from its graph and quantised: what is fed back in training is what a simulator feeds back.
        """
        frames = torch.cat([self.frames[:, 1:], quantise(frame.detach())[:, None]], dim=1)
        return History(frames, self.then(action)[:, 1:])

    def index(self, rows: Tensor) -> History:
        """The given rows, in that order."""
        return History(self.frames[rows], self.actions[rows])


def distinct(frames: Tensor, probability: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Candidates [B, N, C, H, W] of probability [B, N] -> the most probable different ones [B, M <= count, ...].

    Frames nowhere further apart than ``ALIKE`` become the more probable of them, with both probabilities. What is
    left is scaled to sum to 1; a row with fewer different frames than others is filled up with probability 0.
    """
    order = probability.argsort(dim=1, descending=True, stable=True)
    rows = torch.arange(len(frames), device=frames.device)[:, None]
    frames, probability = frames[rows, order], probability[rows, order]
    for i in range(frames.shape[1] - 1):
        gaps = (frames[:, i + 1 :] - frames[:, i : i + 1]).abs().amax((2, 3, 4))
        joined = (gaps <= ALIKE) & (probability[:, i : i + 1] > 0)
        moved = probability[:, i + 1 :] * joined
        probability[:, i] += moved.sum(1)
        probability[:, i + 1 :] -= moved
    best = probability.topk(min(count, frames.shape[1]))
    kept = max(1, int((best.values > 0).sum(1).max()))
    shares = best.values[:, :kept] / best.values[:, :kept].sum(1, keepdim=True)
    return frames[rows, best.indices[:, :kept]], shares


class Predictor(Protocol):
    """What a family adds: how the next frame is drawn. Frames are float [..., C, H, W], about [-1, 1].

    stated: the probabilities of ``candidates`` are known, not counted among samples.
    """

    stated: bool

    @property
    def backbone(self) -> Painter:
        """What draws the frames."""

    def sample(self, frames: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A] -> one next frame per row [B, C, H, W]."""

    def candidates(
        self, frames: Tensor, actions: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The same -> N <= count next frames [B, N, C, H, W] and their probabilities [B, N]."""


@runtime_checkable
class Surprising(Protocol):
    """A predictor that can say how well it expected what happened."""

    def surprise(self, frames: Tensor, actions: Tensor, next_frame: Tensor) -> Tensor:
        """Context [B, K, C, H, W], actions [B, K, A], next [B, C, H, W] -> nats between posterior and prior [B]."""


@runtime_checkable
class NoisePredictor(Predictor, Protocol):
    """Its samples are a function of uniform noise, and can therefore be made outside of torch (``worldgan.export``)."""

    @property
    def chances(self) -> int:
        """Z, how many numbers one sample takes."""

    def sample_from(self, frames: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """What ``sample`` returns when it draws noise, float32 [B, Z] in [0, 1)."""


@runtime_checkable
class CodePredictor(NoisePredictor, Protocol):
    """Its noise draws a code, whose odds it knows."""

    def likeliest(self, frames: Tensor, actions: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The N <= count most probable codes: noise [B, N, Z] that draws them, and falling probabilities [B, N]."""


class Networks(nn.Module):
    """All that a trained model needs to simulate: predictor, outcome head and, in some families, a discriminator."""

    def __init__(self, predictor: nn.Module, outcome: OutcomeHead, discriminator: Discriminator | None = None) -> None:
        super().__init__()
        self.predictor, self.outcome, self.discriminator = predictor, outcome, discriminator


class NextFrameModel:
    """Steps histories with a predictor. Implements ``WorldModel[History]``.

    States are where the networks are. This is the one place where tensors come from the CPU and go back to it.
    realism: also score every step with the discriminator, if there is one.    surprise: also say how surprising
    every step is, if the family can.
    """

    def __init__(
        self, spec: EnvSpec, context: int, networks: Networks, *, realism: bool = False, surprise: bool = False
    ) -> None:
        self.spec, self.context, self.networks = spec, context, networks
        self.predictor: Predictor = networks.predictor  # type: ignore[assignment]  # nn.Module hides its methods
        self.discriminator = networks.discriminator if realism else None
        self.surprising = networks.predictor if surprise and isinstance(networks.predictor, Surprising) else None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.networks.parameters()).device

    def start(self, frames: Tensor, actions: Tensor) -> History:
        """uint8 frames [B, K, C, H, W], encoded actions [B, K - 1, A] -> state."""
        return History(to_float(frames.to(self.device)), actions.to(self.device))

    @torch.inference_mode()
    def step(self, state: History, action: Tensor, generator: torch.Generator) -> tuple[Prediction, History]:
        """One sampled step under encoded actions [B, A]."""
        action = action.to(self.device)
        actions = state.then(action)
        after = state.push(action, self.predictor.sample(state.frames, actions, generator))
        reward, terminated = self.networks.outcome.predict(state.frames, actions, after.last)
        realism = surprise = None
        if self.discriminator is not None:
            realism = self.discriminator(state.frames, actions, after.last).cpu()
        if self.surprising is not None:
            surprise = self.surprising.surprise(state.frames, actions, after.last).cpu()
        return Prediction(after.last.cpu(), reward.cpu(), terminated.cpu(), realism, surprise), after

    @torch.inference_mode()
    def outcomes(self, state: History, action: Tensor, count: int, generator: torch.Generator) -> Outcomes:
        """At most ``count`` next steps under encoded actions [B, A], most probable first, no two of a row alike."""
        actions = state.then(action.to(self.device))
        frames, probability = self.predictor.candidates(state.frames, actions, SPREAD * count, generator)
        frames, probability = distinct(quantise(frames), probability, count)
        rows = torch.arange(len(actions), device=self.device).repeat_interleave(frames.shape[1])
        judged = self.networks.outcome.predict(state.frames[rows], actions[rows], frames.flatten(0, 1))
        reward, terminated = (score.view(probability.shape).cpu() for score in judged)
        return Outcomes(frames.cpu(), probability.cpu(), reward, terminated, self.predictor.stated)

    def push(self, state: History, action: Tensor, frame: Tensor) -> History:
        """The state once encoded actions [B, A] have led to the given frames, float [B, C, H, W] in [-1, 1]."""
        return state.push(action.to(self.device), frame.to(self.device))

    def index(self, state: History, rows: Tensor) -> History:
        """The state of the given rows (int64 [any]), in that order, repeats allowed."""
        return state.index(rows.to(self.device))

    def join(self, states: Sequence[History]) -> History:
        """One state of all rows of ``states``, in order."""
        return History(torch.cat([s.frames for s in states]), torch.cat([s.actions for s in states]))

    def frame(self, state: History) -> Tensor:
        """The present frames, float [B, C, H, W] in [-1, 1]."""
        return state.last.cpu()
