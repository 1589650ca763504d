"""A web page in one file: text, tables, charts and pictures, nothing loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Table:
    """columns: headings after the first.    rows: name and cells of each; references, not families, are dimmed."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    references: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """data: a PNG or GIF file.    caption: what it shows.    wide: scrolls on narrow screens rather than shrink."""

    data: bytes
    caption: str
    wide: bool = True


@dataclass(frozen=True)
class Section:
    """charts: PNG files on a transparent ground, side by side where there is room; the dark theme inverts them.
    text: paragraphs on what all of that is, below it.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Picture] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)


def page(title: str, lead: Sequence[str], command: str, sections: Sequence[Section]) -> str:
    """The HTML. command: what made it.    lead: paragraphs under the title. All text is escaped."""
    parts = [f"<h1>{escape(title)}</h1>", *_paragraphs(lead)]
    parts += ["<p>Made by</p>", f"<pre><code>{escape(command)}</code></pre>"]
    parts += [line for section in sections for line in _section(section)]
    head = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
    ]
    return "\n".join([*head, "<body>", "<main>", *parts, "</main>", "</body>", "</html>", ""])


def _section(section: Section) -> list[str]:
    lines = ["<section>", f"<h2>{escape(section.title)}</h2>"]
    lines += [line for table in section.tables for line in _table(table)]
    if section.charts:
        lines += ['<div class="charts">', *(_image(chart) for chart in section.charts), "</div>"]
    for picture in section.pictures:
        kind = ' class="scroll wide"' if picture.wide else ' class="scroll"'
        lines += [f"<figure><div{kind}>{_image(picture)}</div>"]
        lines += [f"<figcaption>{escape(picture.caption)}</figcaption></figure>"]
    if section.text:
        lines += ['<div class="notes">', *_paragraphs(section.text), "</div>"]
    return [*lines, "</section>"]


def _table(table: Table) -> list[str]:
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    lines = ['<div class="scroll" tabindex="0"><table>', f"<thead><tr><td></td>{heads}</tr></thead>", "<tbody>"]
    for name, cells in table.rows:
        kind = ' class="reference"' if name in table.references else ""
        values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{values}</tr>')
    return [*lines, "</tbody></table></div>"]


def _image(picture: Picture) -> str:
    kind = "gif" if picture.data.startswith(b"GIF8") else "png"
    data = base64.b64encode(picture.data).decode()
    return f'<img alt="{escape(picture.caption)}" src="data:image/{kind};base64,{data}">'


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in texts]


STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c1c22; --faint: #5c5c68; --paper: #ffffff; --line: #d9d9e0; --shade: #f3f3f6;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --faint: #a4a4b0; --paper: #131318; --line: #34343e; --shade: #1d1d24; }
  .charts img { filter: invert(1) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.25rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
p { margin: 0.5rem 0; max-width: 48rem; }
pre {
  background: var(--shade); padding: 0.6rem 0.8rem; border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font-size: 0.875rem; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: bottom; }
thead th { font-weight: 500; color: var(--faint); min-width: 5.5rem; line-height: 1.25; }
tbody th, thead td { text-align: left; position: sticky; left: 0; background: var(--paper); white-space: nowrap; }
.reference th, .reference td { color: var(--faint); font-weight: 400; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0.75rem; }
img { display: block; max-width: 100%; height: auto; }
.charts img { width: 100%; max-width: 36rem; }
figure { margin: 1rem 0; }
.wide img { min-width: 44rem; }
figcaption, .notes { color: var(--faint); font-size: 0.9rem; max-width: 48rem; }
"""
