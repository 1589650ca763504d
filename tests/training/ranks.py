"""Run by torchrun: every process trains the same runs; see ``test_parallel``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from run_states import flat
from tiny import tiny

from worldgan import parallel
from worldgan.training import trainer
from worldgan.training.trainer import Experiment, Trainer, train

SETTINGS = ("training.steps=4", "training.batch=16", "training.rollout=[2]", "model.precision=fp32")
RUNS = {
    "mse": (),
    "gan": ("model.adversary.warmup=1", "model.explore=2"),
    "mse, half of it unlabelled": ("training.labels=0.5",),
    "mse, nearly all of it unlabelled": ("training.labels=0.1",),
}


def experiment(name: str) -> Experiment:
    return tiny(name[:3], *SETTINGS, *RUNS[name])


def interrupt(done: float, note: str = "") -> None:
    """One process is interrupted, half way."""
    if done == 0.5 and not parallel.leads():
        signal.raise_signal(signal.SIGINT)


def same_everywhere(state: dict[str, Any]) -> bool:
    """Whether all processes hold this, bit for bit."""
    tensors = [value for value in flat(state).values() if isinstance(value, torch.Tensor)]
    return all(len(parallel.gathered(tensor.flatten()[None]).unique(dim=0)) == 1 for tensor in tensors)


def main(data: Path, out: Path) -> None:
    os.fsync, trainer.SHOWN_STEPS = lambda descriptor: None, 3  # as in conftest.quick
    trained: list[Trainer] = []
    begin = Trainer.fit
    Trainer.fit = lambda self, report: trained.append(self) or begin(self, report)  # type: ignore[method-assign,func-returns-value]
    with parallel.group():
        for name in RUNS:
            train(data, experiment(name), out / name)
            assert same_everywhere(trained[-1].learner.state_dict())
        try:
            train(data, experiment("gan"), out / "stopped", report=interrupt)
        except KeyboardInterrupt:
            train(data, experiment("gan"), out / "stopped", resume=True)
            (out / f"resumed{parallel.rank()}").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
