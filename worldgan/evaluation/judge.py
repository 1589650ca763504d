"""The judge: names the action from frames. It learns from real transitions alone, and never sees a world model.

Its features say what in a frame follows from what agents do, in any env; ImageNet's know nothing of 32x32 games.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.errors import WorldganError
from worldgan.files import atomic_write
from worldgan.inverse import InverseModel, dimensions, misnaming
from worldgan.pixels import to_float
from worldgan.progress import Report
from worldgan.sizes import filled
from worldgan.types import EnvSpec, Window

RATE, PEAK_AT = 3e-3, 0.2  # learning rate of AdamW, and the share of updates after which it falls
BATCH = 256


class Judge(InverseModel):
    """An inverse model that is asked about frames of real episodes and of models."""

    @torch.no_grad()
    def opinion(self, frames: Tensor) -> Tensor:
        """What it says of frames uint8 [N, 3, C, H, W], float32 [N, A]."""
        return torch.cat([self(to_float(part)) for part in torch.split(frames, BATCH)])

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """Features of frames uint8 [N, 3, C, H, W], averaged over places, float32 [N, D]."""
        return torch.cat([self.maps(to_float(part)).mean((2, 3)) for part in torch.split(frames, BATCH)])

    def score(self, frames: Tensor, actions: Tensor) -> float:
        """How well it names the actions [N, A] taken in uint8 frames [N, 3, C, H, W]; see ``naming``."""
        return naming(self.opinion(frames), actions, self.actions)


def naming(opinions: Tensor, actions: Tensor, spec: ActionSpec) -> float:
    """How well opinions [N, A] name the actions taken, encoded [N, A].

    Of classes the share that is named right, 0..1, a mean over dimensions. Of a box the share of its variance that is
    explained (R squared), at most 1, 0 for the mean and below for worse; NaN if the actions do not vary.
    """
    if spec.kind == "box":
        deviation = (actions - actions.mean(0)).square().sum()
        return float(1 - (opinions - actions).square().sum() / deviation)
    pairs = zip(dimensions(opinions, spec), dimensions(actions, spec), strict=True)
    right = [(said.argmax(-1) == taken.argmax(-1)).double().mean() for said, taken in pairs]
    return float(torch.stack(right).mean())


def blind(spec: ActionSpec) -> float:
    """What ``naming`` gives on average for uniformly random actions that cannot be seen."""
    return 0.0 if spec.kind == "box" else sum(1 / n for n in spec.sizes) / len(spec.sizes)


def train_judge(
    spec: EnvSpec, windows: Iterator[Window], *, updates: int, seed: int, report: Report | None = None
) -> Judge:
    """A judge that has learnt from ``updates`` of the windows: real ones, of 2 context frames and 1 target, with
    all labels.

    seed: of its first weights.    report: gets the number of updates done.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge(spec)
    adam = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step / updates))
    for step, window in enumerate(islice(windows, updates)):
        loss = misnaming(judge(to_float(window.frames)), window.actions[:, -1], spec.actions).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        adam.step()
        rate.step()
        adam.zero_grad(set_to_none=True)
        if report:
            report(step + 1, f"loss {float(loss.detach()):.3g}")
    return judge.requires_grad_(False).eval()


def save_judge(path: Path, judge: Judge) -> None:
    """Write its weights as safetensors."""
    atomic_write(path, dump_tensors(judge.state_dict()))


def load_judge(path: Path, spec: EnvSpec) -> Judge:
    """Read what ``save_judge`` wrote. Raises WorldganError if it is damaged or of another env."""
    try:
        judge = filled(lambda: Judge(spec), parse_tensors(path.read_bytes()), ())
        if judge is None:
            raise ValueError("other tensors than it has")
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WorldganError(f"{path} is damaged or of another env ({reason}): delete it to train it again") from None
    return judge.requires_grad_(False).eval()


def _rate(done: float) -> float:
    """Share of RATE: it rises over the first updates, then falls as a cosine to 0 at the end."""
    if done < PEAK_AT:
        return 0.05 + 0.95 * done / PEAK_AT
    return 0.5 + 0.5 * math.cos(math.pi * (done - PEAK_AT) / (1 - PEAK_AT))
