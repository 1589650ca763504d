"""Write a comparison into a folder: index.html, metrics.json and the pictures that the page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from worldgan import pictures
from worldgan.config import to_mapping
from worldgan.evaluation import findings
from worldgan.evaluation.drift import horizons
from worldgan.evaluation.figures import Panel, chart, png, sheet
from worldgan.evaluation.held_out import draw
from worldgan.evaluation.page import Picture, Section, Table, page
from worldgan.evaluation.report import REFERENCE, horizon_panels
from worldgan.evaluation.spectrum import band_centres, band_count
from worldgan.evaluation.yardstick import Measures, Shown, Sizes
from worldgan.files import atomic_write
from worldgan.types import EnvSpec


@dataclass(frozen=True)
class About:
    """What is compared: the command that does, the families, the env, the steps of the data set and who played them,
    the budget of each family in words, and how it is measured.
    """

    command: str
    families: Sequence[str]
    spec: EnvSpec
    steps: int
    policy: str
    budget: str
    sizes: Sizes
    seed: int


def write_up(out: Path, about: About, found: Mapping[str, Measures], shown: Mapping[str, Shown]) -> None:
    """found: family, then references -> measures.    shown: "real" and the families -> frames."""
    measures = {name: asdict(each) for name, each in found.items()}
    axes = {
        "drift_horizons": horizons(about.sizes.drift),
        "spectrum_bands": band_centres(band_count(*about.spec.frame[:2])),  # cycles per pixel
    }
    text = json.dumps(to_mapping(about) | axes | {"measures": measures}, indent=1, allow_nan=False)
    atomic_write(out / "metrics.json", text.encode())
    draw(out, {name: each.strip for name, each in shown.items()})
    _draw_gallery(out / "known.png", shown)
    families = [name for name in about.families if name in found]
    lead = [*_lead(about), *_pending([name for name in about.families if name not in found])]
    html = page(f"{_listed(families)} on {about.spec.id}", lead, about.command, _sections(out, about, found))
    atomic_write(out / "index.html", html.encode())


def _lead(about: About) -> list[str]:
    sizes, (height, width, channels) = about.sizes, about.spec.frame
    options = ", ".join(f"{name}={value}" for name, value in about.spec.options.items())
    return [
        f"Each family was trained for {about.budget} on the same {about.steps:,} steps of {about.spec.id}"
        f"{f' ({options})' if options else ''}, {height}x{width} pixels in {channels} channels, actions "
        f"{about.spec.actions}, played by: {about.policy}. All were then measured on the same held-out episodes: "
        f"{sizes.windows} contexts, {sizes.horizon} steps imagined after each.",
        f"{REFERENCE} repeats the last frame it saw and is what every model has to beat. All numbers, and more, are in "
        "metrics.json.",
    ]


def _pending(families: Sequence[str]) -> list[str]:
    return [f"Not measured yet: {_listed(families)}; the same command goes on."] if families else []


def _sections(out: Path, about: About, found: Mapping[str, Measures]) -> list[Section]:
    sizes, actions = about.sizes, list(findings.ACTIONS)
    if about.spec.actions.kind == "box":
        actions.append(findings.REGRESSION)
    curves = {name: each.horizons for name, each in found.items() if each.horizons}
    return [
        Section("At a glance", findings.GLANCE, [findings.glance(found, sizes)]),
        Section("Frames", pictures=_pictures(out)),
        _charted(out / "horizons.png", "By horizon", findings.HORIZONS, None, horizon_panels(curves)),
        _charted(
            out / "spectrum.png",
            "Detail by scale",
            findings.SPECTRUM,
            findings.spectrum_table(found),
            findings.spectrum_panels(found),
        ),
        Section("Do actions matter?", actions, [findings.action_table(found)]),
        _charted(
            out / "drift.png",
            "Long rollouts",
            [text.format(span=sizes.span) for text in findings.DRIFT],
            findings.drift_table(found, sizes),
            findings.drift_panels(found, sizes),
        ),
        *_known(out, found),
        Section("What it took", findings.COST, [findings.cost_table(found)]),
    ]


def _charted(path: Path, title: str, text: Sequence[str], table: Table | None, panels: Sequence[Panel]) -> Section:
    """A section with charts, which are also written to ``path``, on one sheet."""
    charts = [chart(panel) for panel in panels]
    atomic_write(path, sheet(charts))
    shown = [Picture(png(image), panel.title, wide=False) for image, panel in zip(charts, panels, strict=True)]
    return Section(title, text, [] if table is None else [table], charts=shown)


def _pictures(out: Path) -> list[Picture]:
    strip = "Real frames above those imagined after the same context, in the three held-out windows where most happens."
    return [
        Picture((out / "strip.png").read_bytes(), strip),
        Picture((out / "rollout.gif").read_bytes(), "The first of them, moving."),
    ]


def _known(out: Path, found: Mapping[str, Measures]) -> list[Section]:
    table = findings.known_table(found)
    if table is None:
        return []
    caption = "Present frame; then the most probable true next frames, and as many samples of each family."
    return [
        Section("Known answers", findings.KNOWN, [table], pictures=[Picture((out / "known.png").read_bytes(), caption)])
    ]


def _draw_gallery(path: Path, shown: Mapping[str, Shown]) -> None:
    """A row of what truly can follow, and one of samples for each family."""
    galleries = {name: each.gallery for name, each in shown.items() if each.gallery is not None}
    if galleries:
        count = next(iter(galleries.values())).shape[1] // 2  # as many outcomes as samples, after the present frame
        truth = next(iter(galleries.values()))[:, : 1 + count]
        samples = {name: np.concatenate([each[:, :1], each[:, 1 + count :]], 1) for name, each in galleries.items()}
        pictures.strip(path, {"truth": truth, **samples}, heads=["now", *map(str, range(1, 1 + count))])


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
