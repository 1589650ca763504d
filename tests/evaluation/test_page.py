"""One file that needs nothing else, in which text is text."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from worldgan.evaluation.figures import HEIGHT, WIDTH, Line, Panel, chart, palette, png, sheet
from worldgan.evaluation.findings import count, number, percent
from worldgan.evaluation.page import Picture, Section, Table, page

VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def panel() -> Panel:
    lines = [
        Line("gan", [1, 2, 3], [1.0, None, 0.5], "#0072B2"),
        Line("copy", [1, 2, 3], [1.0, 2.0, 3.0], "#808080", "--"),
    ]
    return Panel("a title", "steps", lines, real=1.0, logx=True)


def test_a_page_is_whole_and_escapes_what_it_is_told() -> None:
    picture = Picture(png(Image.new("RGB", (9, 9))), 'a <b> & "c"')
    table = Table(["x < y"], [("gan", ["1 & 2"]), ("real", ["-"])], ("real",))
    section = Section("<i>", ["5 > 3"], [table], charts=[picture], pictures=[picture])
    html = page("<script>", ["& so"], "worldgan compare --data 'a b'", [section])
    parser = Balanced()
    parser.feed(html)
    assert not parser.open
    assert {"table", "img", "figure", "pre", "style"} <= set(parser.seen)
    assert not {"script", "link", "i", "b"} & set(parser.seen)
    assert "worldgan compare --data &#x27;a b&#x27;" in html
    assert '<tr class="reference"><th scope="row">real</th>' in html


def test_a_page_loads_nothing_and_fits_phones_and_both_themes() -> None:
    html = page("t", [], "c", [Section("s", pictures=[Picture(b"GIF89a", "moving")])])
    assert re.findall(r"(?:src|href|url\()=?[\"']?([^\"'>]{1,15})", html) == ["data:image/gif;"]
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    assert "http" not in html


def test_charts_are_transparent_and_a_sheet_is_white() -> None:
    image = chart(panel())
    assert (image.size, image.mode) == ((WIDTH, HEIGHT), "RGBA")
    assert image.getpixel((0, 0))[3] == 0
    data = sheet([image] * 3)
    whole = Image.open(io.BytesIO(data))
    assert (whole.size, whole.mode) == ((2 * WIDTH, 2 * HEIGHT), "RGB")
    assert whole.getpixel((2 * WIDTH - 1, 2 * HEIGHT - 1)) == (255, 255, 255)


@pytest.mark.parametrize("label", ["mse", "diffusion, best of N", "a name so long that it takes a row for itself"])
def test_a_legend_is_not_cut_off(label: str) -> None:
    lines = [Line(f"{label} {number}", [1, 2], [number, 2], "#000000") for number in range(7)]
    ink = np.asarray(chart(Panel("any", "steps", lines)))[..., 3]
    assert ink.any()
    assert not ink[:, [0, 1, -2, -1]].any()


def test_a_colour_each_and_grey_for_the_reference() -> None:
    families = ["copy", *map(str, range(6))]
    colours = palette(families, "copy")
    assert len({*colours.values()}) == 7
    assert colours["copy"] == "#808080"
    assert len(palette(map(str, range(20)), "")) == 20


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00"), (1.234, "1.23"), (0.0123, "0.012"), (-0.5, "-0.50"), (123.4, "123.4"), (1e-9, "0.00")],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_counts_and_shares() -> None:
    assert (count(1234567.0), count(None), percent(0.126), percent(None)) == ("1,234,567", "-", "13%", "-")
