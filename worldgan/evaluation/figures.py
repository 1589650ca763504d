"""Line charts as pictures: a panel per question, a line per family."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Okabe and Ito's colours that stand out on white, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#808080"
WIDTH, HEIGHT, DPI = 550, 385, 110  # pixels of a panel, and dots per inch, which decide how large letters are
LEGEND_COLUMNS, LEGEND_ROW = 4, 0.055  # most entries side by side, and height of a row of them as a share of the panel
LEGEND_LINE, LEGEND_LETTER = 60, 5.7  # pixels of an entry's line and the space around it, and of a letter


@dataclass(frozen=True)
class Line:
    """x, y: as many of each; None where nothing is known.    style: "-", "--", ":", or "o" for points alone."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: str
    style: str = "-"


@dataclass(frozen=True)
class Panel:
    """real: where a line is drawn that says so.    logx, logy: logarithmic axes.    share: from 0 to 1."""

    title: str
    xlabel: str
    lines: Sequence[Line]
    real: float | None = None
    logx: bool = False
    logy: bool = False
    share: bool = False


def palette(families: Iterable[str], reference: str) -> dict[str, str]:
    """A colour for each family, and grey for the reference."""
    colours = iter(COLOURS * 9)
    return {family: GREY if family == reference else next(colours) for family in families}


def chart(panel: Panel) -> Image.Image:
    """The panel, RGBA on a transparent ground, WIDTH x HEIGHT pixels."""
    from matplotlib.figure import Figure  # 0.3 s, and only reports need it; never pyplot, which is global state
    from matplotlib.ticker import NullFormatter, NullLocator

    columns = legend_columns([line.label for line in panel.lines])
    rows = -(-len(panel.lines) // columns)
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
    figure.subplots_adjust(left=0.12, right=0.96, top=0.92, bottom=0.15 + rows * LEGEND_ROW)
    axes = figure.subplots()
    for line in panel.lines:
        heights = [np.nan if value is None else value for value in line.y]
        few = np.isfinite(heights).sum() < 12 and line.style == "-"  # a point is no line
        marker, ls = "o" if few or line.style == "o" else "", "" if line.style == "o" else line.style
        axes.plot(line.x, heights, label=line.label, color=line.colour, ls=ls, marker=marker, lw=1.8, ms=4)
    if panel.real is not None:
        axes.axhline(panel.real, color="black", linewidth=0.8)
        place, at = (1, panel.real), ("axes fraction", "data")
        axes.annotate("real", place, (-3, 3), at, "offset points", ha="right", fontsize=9)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.xlabel, fontsize=9)
    if panel.logx:
        ticks = sorted({x for line in panel.lines for x in line.x})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)
        axes.xaxis.set_minor_locator(NullLocator())
    if panel.logy:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.share:
        axes.set_ylim(-0.04, 1.04)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="lower center", ncols=columns, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return Image.open(buffer)


def legend_columns(labels: Sequence[str]) -> int:
    """How many of them stand side by side in a panel's width, filled column by column."""
    for count in range(min(LEGEND_COLUMNS, len(labels)), 1, -1):
        longest = [max(map(len, column)) for column in np.array_split(np.array(labels, object), count)]
        if sum(LEGEND_LINE + LEGEND_LETTER * letters for letters in longest) <= WIDTH:
            return count
    return 1


def png(image: Image.Image) -> bytes:
    """A PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def sheet(charts: Sequence[Image.Image], columns: int = 2) -> bytes:
    """A PNG file of charts side by side on white."""
    rows = -(-len(charts) // columns)
    whole = Image.new("RGB", (WIDTH * min(columns, len(charts)), HEIGHT * rows), "white")
    for number, image in enumerate(charts):
        whole.paste(image, (number % columns * WIDTH, number // columns * HEIGHT), image)
    return png(whole)
