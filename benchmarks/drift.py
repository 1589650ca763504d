"""What keeps long rollouts in the world: gan with and without each remedy, for the same time on the same data.

One, two and four steps: how long the rollouts are that it is trained along. The others are of two steps.

``python benchmarks/drift.py --data data/pong`` trains each arm for MINUTES and writes docs/results/drift/pong.json.
Runs are kept in WORK, and what is there is not trained or measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from worldgan.compare import Comparison, trained_judge
from worldgan.config import load
from worldgan.data.store import EpisodeStore
from worldgan.evaluation.yardstick import Sizes, Yardstick
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.models import backbones, canvas, world
from worldgan.models.backbone import Backbone, BackboneConfig, Seen
from worldgan.progress import progress
from worldgan.training.trainer import Experiment, train
from worldgan.types import EnvSpec

NOISE = 0.2
"""Largest standard deviation of the noise on what is seen, in [-1, 1]: 25 grey levels."""

AT = (1, 10, 50)


class Disturbed(Backbone):
    """In training the trunk sees frames with noise of a random level, and is told the level (Valevski et al. 2024,
    "Diffusion models are real-time game engines", section 3.2.1). What is painted over is the frame without noise.
    """

    def __init__(self, spec: EnvSpec, config: BackboneConfig) -> None:
        super().__init__(spec, config)
        self.level = nn.Linear(1, config.width, bias=False)

    def see(self, frames: Tensor, actions: Tensor) -> Seen:
        """See ``Painter``."""
        if not self.training:
            return super().see(frames, actions)
        level = NOISE * torch.rand(len(frames), 1)
        noisy = frames + level[:, :, None, None, None] * torch.randn_like(frames)
        told = lambda module, inputs, output: output + self.level(level.to(output.dtype))  # noqa: E731
        with self.actions.register_forward_hook(told):
            seen = super().see(noisy, actions)
        return Seen(seen.features, seen.condition, self.patches(frames[:, -1]))


@dataclass(frozen=True)
class Arm:
    """settings: of the experiment.    patches: (owner, name, what stands there instead)."""

    settings: Sequence[str] = ()
    patches: Sequence[tuple[Any, str, Any]] = ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in self.patches:
                stack.enter_context(patch.object(owner, name, value))
            yield


def clamped(frames: Tensor) -> Tensor:
    return frames.clamp(-1, 1)


def unsettled(frame: Tensor, known: tuple[Tensor, ...], cell: int) -> Tensor:
    del known, cell
    return frame


KINDS: dict[Any, Callable[[EnvSpec, BackboneConfig], Any]] = {**backbones.BACKBONES, "unet": Disturbed}
TWO = ["training.rollout=[1,2]"]
ARMS = {
    "one step": Arm(["training.rollout=[1]"]),
    "two steps": Arm(TWO),
    "four steps": Arm(["training.rollout=[1,2,4]"]),
    "noise on the context": Arm(TWO, [(backbones, "BACKBONES", KINDS)]),
    "not quantised": Arm(TWO, [(world, "quantise", clamped)]),
    "not settled": Arm(TWO, [(canvas, "settled", unsettled)]),
}


def measured(arm: Arm, store: EpisodeStore, yardstick: Yardstick, settings: Sequence[str], out: Path) -> dict[str, Any]:
    """Of one arm, trained into ``out``; a run that is whole is not trained again."""
    with arm.applied():
        with progress(f"train {out.name}", 100, unit="%") as report:
            told = lambda done, note="": report(100 * done, note)  # noqa: E731
            run = train(store.path, load(Experiment, None, [*settings, *arm.settings]), out, resume=True, report=told)
        with progress(f"measure {out.name}", 100, unit="%") as report:
            found, _ = yardstick.measure(out.name, run.model(), report)
    curves = {
        name: {f"h{h}": found.horizons[name][h - 1] for h in AT} for name in ("changed_pixel_error", "energy_score")
    }
    return {
        "updates": run.info().progress["step"],
        **curves,
        "feature_distance": found.feature_distance,
        "drift": found.drift,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--work", type=Path, default=Path("runs/drift"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/drift"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)  # of the noise of ``Disturbed``
    store, settings = EpisodeStore.open(options.data), [f"training.minutes={options.minutes}", *options.set]
    file, work = options.out / f"{options.data.name}.json", options.work / options.data.name
    comparison = Comparison(store, {"gan": load(Experiment, None, settings)}, Sizes(), 0, "")
    yardstick = Yardstick(
        comparison.ground(),
        trained_judge(comparison, work / "judge.safetensors"),
        store.spec,
        sizes=comparison.sizes,
        seed=0,
    )
    found = json.loads(file.read_text()) if file.exists() else {}
    found |= {
        "env": store.spec.id,
        "minutes": options.minutes,
        "settings": settings,
        "real": asdict(yardstick.measure_real())["drift"],
    }
    for name in options.arms:
        if name not in found.setdefault("arms", {}):
            found["arms"][name] = measured(ARMS[name], store, yardstick, settings, work / name.replace(" ", "-"))
            atomic_write(file, json.dumps(found, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
