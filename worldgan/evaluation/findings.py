"""What a comparison found, section by section: sentences that say what a number means, tables, charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from worldgan.evaluation.drift import horizons
from worldgan.evaluation.figures import Line, Panel, palette
from worldgan.evaluation.page import Table
from worldgan.evaluation.report import REFERENCE
from worldgan.evaluation.spectrum import band_centres
from worldgan.evaluation.yardstick import CONTEXTS, ROLLOUTS, SAMPLES, SINGLE, Measures, Sizes

REAL = "real"
"""The row of real episodes, in every table beside the families."""

Found = Mapping[str, Measures]
"""Family, REFERENCE or REAL -> measures, families first."""

FEATURES = "features of an action classifier trained on this env's real frames"

GLANCE = [
    "Sharpness: energy of brightness steps between neighbouring pixels over that of real frames; 1 is as sharp as "
    "real, below is blur, above is noise. Changed-pixel error: mean absolute error, 0 to 255, over the pixels that "
    "really changed; best of N takes the nearest of several rollouts, since the true future is one of many.",
    "Energy score (Gneiting and Raftery 2007): how far the rollouts are from what really happened, in whole frames, "
    "less half of how far they are from each other; lower is better, and copying the last frame is at 1. On average "
    "nothing does better than futures drawn with their true odds, neither a blur of them all nor the likeliest alone; "
    "so models that always imagine the same and models that draw one future of many are on one scale. With one rollout "
    "each it is the distance alone, which favours the former.",
    f"Feature distance ({FEATURES}): Fréchet distance of the generated frames of all steps to real frames of the "
    "training episodes; 1 is as far off as real frames spread. Real held-out frames are not at 0 either, being few.",
    "Actions named: how often that classifier names a random action from the frame imagined under it. Frozen: share of "
    "long rollouts that no longer move.",
]
HORIZONS = [
    "Means over the held-out contexts (of sharpness and energy score, ratios of sums), a line per family; dotted lines "
    "take the nearest of several rollouts.",
]
SPECTRUM = [
    "Power of the generated frames over that of the real ones, by spatial frequency: coarse shapes on the left, the "
    "finest detail, half a cycle per pixel, on the right. 1 is as much as real, below is blur, above is noise. The "
    "table gives the mean of the finer half of the bands.",
]
ACTIONS = [
    "A small classifier, trained on real transitions alone, names the action from two frames before it and one "
    f"after, in the same {SINGLE} held-out contexts for all. Named: from frames imagined under the actions really "
    "taken; a model can guess those in part if players hold them. Named, drawn anew: under uniformly random actions; a "
    "model that ignores them is at blind guessing. One that obeys should be where real frames are: above them is no "
    "merit, since a blur of all that could happen gives the action away where chance hides it in real frames.",
    "Differences in grey levels, over the pixels that really changed, between two frames imagined from one context: "
    "under another action with the same noise; under the same action with the same noise, which must be 0; and under "
    "the same action with other noise, which is luck alone. Beside them, how far the real pixels moved.",
]
REGRESSION = "Actions are continuous here, so naming is the share of their variance explained (R squared)."
DRIFT = [
    f"{ROLLOUTS} long rollouts from real held-out states under random actions, each going on after an imagined end. "
    "Sharpness and motion (mean absolute change per step) are relative to the data set's means, feature distance as "
    "above, over the latest {span} steps before each horizon; frozen is the share of rollouts in which no pixel "
    "changed for {span} steps. Beside them real episodes, as many frames of them.",
]
KNOWN = [
    f"This env lists all that can happen next, with probabilities. After {CONTEXTS} contexts of random play, {SAMPLES} "
    "samples each: Distance, total variation between the frequencies of the samples and the truth, less what as many "
    "samples of the truth itself score, its floor; 0 is perfect, 1 is all wrong. Invalid, share of samples that show "
    "nothing that could happen. Recall, share of the likely outcomes that were sampled at all. Log-loss and "
    "calibration are of the probabilities that a family states, 0 is perfect.",
]
COST = [
    "Updates made within the budget, seconds spent in them, parameters needed to simulate, and frames per second of "
    "the simulator with 16 envs, on this machine while the comparison ran.",
]


def glance(found: Found, sizes: Sizes) -> Table:
    """The few numbers that matter most."""
    best, last = "changed_pixel_error_best", f"step {sizes.horizon}"
    cells: dict[str, Callable[[Measures], str]] = {
        "sharpness, step 1": lambda each: number(_at(each.horizons, "sharpness_gradient", 0)),
        f"sharpness, {last}": lambda each: number(_at(each.horizons, "sharpness_gradient", -1)),
        "changed-pixel error, step 1": lambda each: number(_at(each.horizons, "changed_pixel_error", 0)),
        f"best of {sizes.samples}, step 1": lambda each: number(_at(each.horizons, best, 0)),
        f"best of {sizes.samples}, {last}": lambda each: number(_at(each.horizons, best, -1)),
        "energy score, step 1": lambda each: number(_at(each.horizons, "energy_score", 0)),
        f"energy score, {last}": lambda each: number(_at(each.horizons, "energy_score", -1)),
        "feature distance": lambda each: number(each.feature_distance),
        "actions named": lambda each: number(each.actions.get("named_anew", each.actions.get("named"))),
        f"frozen, step {sizes.drift:,}": lambda each: percent(_at(each.drift, "frozen", -1)),
    }
    if any(each.known for each in found.values()):
        cells["distance from the true odds"] = lambda each: number(each.known.get("tv_excess"))
    rows = [(name, [cell(each) for cell in cells.values()]) for name, each in found.items()]
    return Table(list(cells), rows, (REAL, REFERENCE))


def spectrum_table(found: Found) -> Table:
    """The finer half of the bands, at each horizon."""
    chosen = {name: each.spectrum for name, each in found.items() if each.spectrum}
    steps = next(iter(chosen.values()), {})
    rows = [(name, [number(_fine(values)) for values in each.values()]) for name, each in chosen.items()]
    return Table([f"step {step}" for step in steps], rows, (REFERENCE,))


def spectrum_panels(found: Found) -> list[Panel]:
    """One panel per horizon, the bands from coarse to fine."""
    chosen, panels = {name: each.spectrum for name, each in found.items() if each.spectrum}, list[Panel]()
    colours = palette(chosen, REFERENCE)
    for step, bands in next(iter(chosen.values()), {}).items():
        x = band_centres(len(bands))
        lines = [Line(name, x, each[step], colours[name], _style(name)) for name, each in chosen.items()]
        title = f"power over real power, step {step}"
        panels.append(Panel(title, "spatial frequency (cycles per pixel)", lines, real=1.0, logy=True))
    return panels


def action_table(found: Found) -> Table:
    """How much the actions show."""
    real = found[REAL].actions
    keys = ("named", "named_anew", "swapped", "repeated", "resampled")
    columns = ["named", "named, drawn anew", "other action", "same again", "other noise", "really moved"]
    rows = []
    for name, each in found.items():
        if name != REAL and each.actions:
            rows.append((name, [*(number(each.actions.get(key)) for key in keys), "-"]))
    rows.append((REAL, [number(real.get("named")), *["-"] * 4, number(real.get("moved"))]))
    rows.append(("blind guessing", ["-", number(real.get("blind")), *["-"] * 4]))
    return Table(columns, rows, (REAL, "blind guessing"))


DRIFT_TITLES = {
    "sharpness": "sharpness over usual",
    "motion": "motion per step over usual",
    "feature_distance": "feature distance to real frames",
    "frozen": "share of rollouts that are frozen",
}


def drift_table(found: Found, sizes: Sizes) -> Table:
    """At the longest horizon."""
    chosen = {name: each.drift for name, each in found.items() if each.drift}
    columns = [f"{title}, step {sizes.drift:,}" for title in DRIFT_TITLES.values()]
    rows = []
    for name, each in chosen.items():
        values = [_at(each, key, -1) for key in DRIFT_TITLES]
        rows.append((name, [*map(number, values[:-1]), percent(values[-1])]))
    return Table(columns, rows, (REAL,))


def drift_panels(found: Found, sizes: Sizes) -> list[Panel]:
    """One panel per metric over the horizon."""
    chosen = {name: each.drift for name, each in found.items() if each.drift}
    colours, x = palette(chosen, REAL), horizons(sizes.drift)
    return [
        Panel(
            title,
            "horizon (steps)",
            [Line(name, x, each[key], colours[name], "--" if name == REAL else "-") for name, each in chosen.items()],
            logx=len(x) > 1,
            logy=key == "feature_distance",
            share=key == "frozen",
        )
        for key, title in DRIFT_TITLES.items()
    ]


def known_table(found: Found) -> Table | None:
    """Against the true odds; None if no family was measured so."""
    columns = {
        "tv_excess": "distance beyond its floor", "tv_floor": "floor", "invalid": "invalid", "recall": "recall",
        "recall_floor": "recall of the truth", "sharpness_gradient": "sharpness", "log_loss_excess": "log-loss, nats",
        "ece": "calibration error",
    }  # fmt: skip
    rows = [(name, [number(each.known.get(key)) for key in columns]) for name, each in found.items() if each.known]
    return Table(list(columns.values()), rows) if rows else None


def cost_table(found: Found) -> Table:
    """What each family took."""
    keys = ("updates", "seconds", "parameters", "frames_per_second")
    columns = ["updates", "training, seconds", "parameters", "simulator, frames/s"]
    rows = [(name, [count(each.cost.get(key)) for key in keys]) for name, each in found.items() if each.cost]
    return Table(columns, rows)


def number(value: float | None) -> str:
    """Three digits that count, a dash for None."""
    if value is None:
        return "-"
    size = abs(value)
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.095 or size < 5e-5 else f"{value:.2g}"


def percent(share: float | None) -> str:
    """0..1 as a percentage, a dash for None."""
    return "-" if share is None else f"{100 * share:.0f}%"


def count(value: float | None) -> str:
    """A whole number with separators, a dash for None."""
    return "-" if value is None else f"{value:,.0f}"


def _style(name: str) -> str:
    return "--" if name == REFERENCE else "-"


def _at(measured: Mapping[str, Sequence[float | None]], key: str, index: int) -> float | None:
    values = measured.get(key)
    return values[index] if values else None


def _fine(bands: Sequence[float | None]) -> float | None:
    """Mean of the known values in the finer half."""
    known = [value for value in bands[len(bands) // 2 :] if value is not None]
    return sum(known) / len(known) if known else None
