"""Train families for the same budget on the same data, measure all of them, and write it up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from worldgan.config import to_mapping
from worldgan.data.store import EpisodeStore
from worldgan.data.windows import WindowSampler, loader
from worldgan.errors import WorldganError
from worldgan.evaluation.findings import REAL
from worldgan.evaluation.held_out import one_context
from worldgan.evaluation.judge import Judge, load_judge, save_judge, train_judge
from worldgan.evaluation.report import REFERENCE
from worldgan.evaluation.speed import frames_per_second
from worldgan.evaluation.write_up import About, write_up
from worldgan.evaluation.yardstick import Ground, Measures, Sizes, Yardstick, ground
from worldgan.files import atomic_write
from worldgan.models.world import NextFrameModel
from worldgan.progress import progress
from worldgan.seeding import derive
from worldgan.simulator import SimulatedVectorEnv
from worldgan.training.checkpoint import Run
from worldgan.training.trainer import Experiment, train

FORMAT = 1
JUDGE_UPDATES, JUDGE_BATCH = 400, 64
SPEED_ENVS, SPEED_SECONDS = 16, 0.5


@dataclass(frozen=True)
class Comparison:
    """What is compared, on what data, and how.

    experiments: family -> how it is trained, all with the same budget.    seed: of windows, judge and samples.
    command: what the page says made it.
    """

    store: EpisodeStore
    experiments: Mapping[str, Experiment]
    sizes: Sizes
    seed: int
    command: str

    def ground(self) -> Ground:
        """The real data to measure on. Raises WorldganError for whatever would otherwise fail only after training."""
        if not self.experiments:
            raise WorldganError("expected at least one family to compare, got none")
        budgets = {(each.training.steps, each.training.minutes) for each in self.experiments.values()}
        for steps, minutes in budgets:
            if (steps is None) == (minutes is None) or len(budgets) > 1:
                got = f"got steps={steps}, minutes={minutes}"
                raise WorldganError(f"expected either steps or minutes, the same for all families, {got}")
        context = one_context(each.model_config().backbone.context for each in self.experiments.values())
        return ground(self.store, context=context, sizes=self.sizes, seed=self.seed)

    def about(self) -> About:
        """The same, as it is written up."""
        store, training = self.store, next(iter(self.experiments.values())).training
        budget = f"{training.steps:,} updates" if training.minutes is None else f"{training.minutes:g} minutes"
        families = list(self.experiments)
        return About(self.command, families, store.spec, store.steps, store.policy, budget, self.sizes, self.seed)


def compare(comparison: Comparison, out: Path) -> dict[str, Measures]:
    """Train each family into ``out``/runs/FAMILY and measure it; returns all measures, those of references too.

    Goes on where it was interrupted: what is trained is not trained again. The write-up is made anew after each
    family, of those measured so far.
    Raises WorldganError if ``out`` holds anything else or another comparison, or if a family cannot be trained.
    """
    data, store = comparison.ground(), comparison.store
    _begin(comparison, out)
    judge = trained_judge(comparison, out / "judge.safetensors")
    yardstick = Yardstick(data, judge, store.spec, sizes=comparison.sizes, seed=comparison.seed)
    references = {REFERENCE: yardstick.measure_copying(), REAL: yardstick.measure_real()}
    families, shown = dict[str, Measures](), {REAL: yardstick.real()}
    for family, experiment in comparison.experiments.items():
        run = _trained(store.path, experiment, out / "runs" / family)
        model = run.model(device=experiment.training.device)
        with progress(f"measure {family}", 100, unit="%") as report:
            measures, shown[family] = yardstick.measure(family, model, report)
        families[family] = replace(measures, cost=_cost(run, model))
        write_up(out, comparison.about(), families | references, shown)
    return families | references


def _begin(comparison: Comparison, out: Path) -> None:
    """Make the folder, or see that it is of this comparison."""
    store, file = comparison.store, out / "comparison.json"
    wanted = {"format": FORMAT, "spec": to_mapping(store.spec), "steps": store.steps, "seed": comparison.seed}
    if not file.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise WorldganError(f"expected {out} to be a comparison, a new or an empty folder, and it is neither")
        atomic_write(file, json.dumps(wanted, indent=2).encode())
        return
    try:
        found = dict(json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise WorldganError(f"{file} is damaged ({error}): compare into another folder") from None
    for key, value in wanted.items():
        if found.get(key) != value:
            was = f"expected {key} {found.get(key)} as in the comparison at {out}"
            raise WorldganError(f"{was}, got {value}: use another folder")


def trained_judge(comparison: Comparison, path: Path) -> Judge:
    """The one that judged before, or a new one."""
    store, seed = comparison.store, derive(comparison.seed, "judge")
    if not path.exists():
        sampler = WindowSampler(store, context=2, horizon=1, batch=JUDGE_BATCH, seed=seed, unlabelled="drop")
        with progress("judge", JUDGE_UPDATES, unit="updates") as report, closing(loader(sampler)) as windows:
            judge = train_judge(store.spec, windows, updates=JUDGE_UPDATES, seed=seed, report=report)
        save_judge(path, judge)
    return load_judge(path, store.spec)


def _trained(data: Path, experiment: Experiment, out: Path) -> Run:
    with progress(f"train {experiment.family}", 100, unit="%") as report:
        return train(data, experiment, out, resume=True, report=lambda done, note="": report(100 * done, note))


def _cost(run: Run, model: NextFrameModel) -> dict[str, float | None]:
    spent = run.info().progress
    parts = (model.networks.predictor, model.networks.outcome)
    envs = SimulatedVectorEnv(model, SPEED_ENVS, starts=run.starts(beginnings=False))
    return {
        "updates": float(spent["step"]),
        "seconds": spent["seconds"],
        "parameters": float(sum(value.numel() for part in parts for value in part.parameters())),
        "frames_per_second": frames_per_second(envs, seconds=SPEED_SECONDS),
    }
