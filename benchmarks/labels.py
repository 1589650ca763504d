"""What labels are worth: the GAN on Paddle with all of them, and with a tenth, the rest recovered or dropped.

``python benchmarks/labels.py`` writes docs/results/labels/labels.json. Data and runs are kept beside it in WORK and not
made again. All arms make the same number of updates: about three minutes each on one idle core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from worldgan import envs
from worldgan.config import load
from worldgan.data.collect import collect
from worldgan.data.labels import Labels
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import WindowSampler, episodes, sequences
from worldgan.evaluation import rollouts, sensitivity
from worldgan.evaluation.held_out import imagine
from worldgan.evaluation.judge import Judge, train_judge
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.progress import progress
from worldgan.seeding import derive
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import Experiment, train

ENV, STEPS, UPDATES, SHARE = "worldgan/Paddle-v0", 8000, 400, 0.1
HORIZONS, WINDOWS, SINGLE, SAMPLES = (1, 5, 15), 128, 700, 4
TENTH = f"training.labels={SHARE}"
ARMS = {"all": [], "recover": [TENTH], "drop": [TENTH, "training.unlabelled=drop"]}


def data(path: Path) -> EpisodeStore:
    return collect(lambda: envs.make(ENV), envs.spec(ENV), path, steps=STEPS)


def trained(store: EpisodeStore, arm: str, out: Path) -> Run:
    settings = [*ARMS[arm], f"training.steps={UPDATES}", "training.sample_minutes=1000"]
    with progress(f"train {arm}", 100, unit="%") as report:
        told = lambda done, note="": report(100 * done, note)  # noqa: E731
        return train(store.path, load(Experiment, None, settings), out, resume=True, report=told)


def judge(store: EpisodeStore) -> Judge:
    sampler = WindowSampler(store, context=2, horizon=1, batch=64, seed=derive(0, "judge"))
    windows = (sampler.batch(number) for number in range(400))
    return train_judge(store.spec, windows, updates=400, seed=0)


def measure(run: Run, store: EpisodeStore, judge: Judge) -> dict[str, Any]:
    """Errors in grey levels over the pixels that changed; rewards and actions of single steps."""
    model = run.model()
    window = sequences(store, context=model.context, horizon=max(HORIZONS), count=WINDOWS, seed=0)
    first, *rest = [imagine(model, "labels", window, sample, 0) for sample in range(SAMPLES)]
    curves = rollouts.measure(first, window, best_of=rest)
    single = sequences(store, context=model.context, horizon=1, count=SINGLE, seed=0)
    rewards = rollouts.event_metrics(imagine(model, "labels", single, 0, 0), single)
    actions = sensitivity.measure(model, judge, single, seed=0)
    found: dict[str, Any] = {
        name: {f"h{h}": curves[name][h - 1] for h in HORIZONS}
        for name in ("changed_pixel_error", "changed_pixel_error_best")
    }
    found |= {name: value for name, value in rewards.items() if name.startswith("reward")}
    found |= {name: actions[name] for name in ("named", "named_anew")}
    if inverse := run.state()["learner"].get("inverse"):
        namer = Judge(store.spec)
        namer.load_state_dict(inverse["network"])
        found["inverse_named"] = namer.score(single.frames[:, -3:], single.actions[:, -1])
    return found


def labelled(store: EpisodeStore) -> float:
    """Share of the training transitions that keep their labels."""
    labels, chosen = Labels(store, share=SHARE, seed=derive(0, "data")), episodes(store, "train")
    kept = [known for known in map(labels.actions, chosen) if known is not None]
    return float(sum(known.sum() for known in kept) / sum(map(len, kept)))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/labels"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    store = data(options.work / "data")
    runs = {arm: trained(store, arm, options.work / "runs" / arm) for arm in ARMS}
    says = judge(store)
    single = sequences(store, context=2, horizon=1, count=SINGLE, seed=0)
    real = sensitivity.measure_real(says, single)
    found = {
        "env": ENV,
        "steps": store.steps,
        "updates": UPDATES,
        "labelled": labelled(store),
        "real": {"named": real["named"], "blind": real["blind"]},
        **{arm: measure(run, store, says) for arm, run in runs.items()},
    }
    atomic_write(options.out / "labels.json", json.dumps(rounded(found), indent=2).encode() + b"\n")
    print(json.dumps(rounded(found), indent=2))


if __name__ == "__main__":
    main()
