"""Frames to look at: side by side in a strip, or moving in a GIF or WebM."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldgan import pixels
from worldgan.errors import WorldganError
from worldgan.files import atomic_write, replacing
from worldgan.pixels import Frames

HORIZONS = (1, 2, 3, 5, 8, 12, 20, 30, 50)
# Grey paper, so that neither black nor white objects at the edge of a frame run into the gutter.
INK, PAPER = (24, 24, 24), (212, 212, 216)
GUTTER, FONT_SIZE, GIF_BYTES = 3, 14, 1_500_000


def strip(
    path: Path,
    rows: Mapping[str, Frames],
    *,
    horizons: Sequence[int] = HORIZONS,
    heads: Sequence[str] | None = None,
    scale: int | None = None,
) -> None:
    """PNG of frames side by side: a labelled row per name, a column per horizon, a block per start window.

    rows: uint8 [S, T, H, W, C], S start windows stacked with a gap, any C; horizons beyond T are left out.
    heads: what to write above each of the T columns, which then are all shown; None writes the horizon.
    scale: integer magnification, so that one-pixel objects can be seen; None chooses by frame size.
    Raises WorldganError if the rows differ in shape.
    """
    count, steps, height, width, _ = _same_shape(rows, 5)
    scale = scale or _scale(height, width)
    columns = [h for h in horizons if h <= steps] if heads is None else list(range(1, steps + 1))
    line, cell = height * scale + GUTTER, width * scale + GUTTER
    left, block = max(_text_width(name) for name in rows) + 12, len(rows) * line + 4 * GUTTER
    size = (left + len(columns) * cell + GUTTER, FONT_SIZE + 10 + count * block - 3 * GUTTER)
    sheet = Image.new("RGB", size, PAPER)
    for column, horizon in enumerate(columns):
        x = left + column * cell
        _write(sheet, f"+{horizon}" if heads is None else heads[horizon - 1], (x + width * scale // 2, 10), "mm")
        for start in range(count):
            for row, (name, frames) in enumerate(rows.items()):
                y = FONT_SIZE + 10 + start * block + row * line
                sheet.paste(_enlarge(frames[start, horizon - 1], scale), (x, y))
                if column == 0:
                    _write(sheet, name, (6, y + height * scale // 2), "lm")
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    atomic_write(path, buffer.getvalue())


def animate(path: Path, rows: Mapping[str, Frames], *, fps: int = 10, scale: int | None = None) -> None:
    """Labelled panels side by side, moving: an animated GIF or a WebM (VP8), by the suffix of ``path``.

    rows: uint8 [T, H, W, C] each, any C.    scale: as in ``strip``.
    A GIF drops to fewer colours if it would exceed ``GIF_BYTES``; GIF players honour fps up to 50.
    Raises WorldganError if the rows differ in shape, for another suffix, or if OpenCV has no VP8 encoder.
    """
    images = panels(rows, scale=scale)
    if path.suffix not in {".gif", ".webm"} or not images:
        raise WorldganError(f"expected frames and a path ending in .gif or .webm, got {len(images)} and {path}")
    if path.suffix == ".gif":
        atomic_write(path, gif(images, fps))
    else:
        _webm(path, images, fps)


def panels(rows: Mapping[str, Frames], *, scale: int | None = None) -> list[Image.Image]:
    """One image per step, with a labelled panel per name; rows and scale as in ``animate``."""
    steps, height, width, _ = _same_shape(rows, 4)
    scale = scale or _scale(height, width)
    return [_panels({name: frames[step] for name, frames in rows.items()}, scale) for step in range(steps)]


def _same_shape(rows: Mapping[str, Frames], dims: int) -> tuple[int, ...]:
    shapes = {name: frames.shape for name, frames in rows.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != dims:
        raise WorldganError(f"expected rows of one {dims}-dimensional shape, got {shapes}")
    return next(iter(shapes.values()))


def _scale(height: int, width: int) -> int:
    """Frames become about 128 pixels large, and a pixel at least 2."""
    return max(2, round(128 / max(height, width)))


def _enlarge(frame: Frames, scale: int) -> Image.Image:
    """uint8 [H, W, C] -> RGB image of ``scale`` times the size, nearest."""
    return Image.fromarray(pixels.to_rgb(frame).repeat(scale, 0).repeat(scale, 1))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=FONT_SIZE)


def _text_width(text: str) -> int:
    return int(_font().getlength(text)) + 1


def _write(image: Image.Image, text: str, place: tuple[int, int], anchor: str) -> None:
    ImageDraw.Draw(image).text(place, text, INK, font=_font(), anchor=anchor)


def _panels(frames: Mapping[str, Frames], scale: int) -> Image.Image:
    """One labelled panel per name, each uint8 [H, W, C]; both sides of the image are even, as VP8 wants."""
    images = {name: _enlarge(frame, scale) for name, frame in frames.items()}
    height, width = next(iter(images.values())).height, next(iter(images.values())).width
    cell, top = max(width, *map(_text_width, images), 0) + GUTTER, FONT_SIZE + 6
    full, tall = cell * len(images) + GUTTER, top + height + GUTTER
    sheet = Image.new("RGB", (full + full % 2, tall + tall % 2), PAPER)
    for place, (name, image) in enumerate(images.items()):
        x = GUTTER + place * cell
        _write(sheet, name, (x + (cell - GUTTER) // 2, top // 2), "mm")
        sheet.paste(image, (x + (cell - GUTTER - width) // 2, top))
    return sheet


def gif(images: Sequence[Image.Image], fps: int) -> bytes:
    """An animated GIF file, in the largest of 256, 64 or 16 colours that fits ``GIF_BYTES``, else 16."""
    for colours in (256, 64, 16):
        data = _encode_gif(images, fps, colours)
        if len(data) <= GIF_BYTES:
            break
    return data


def _encode_gif(images: Sequence[Image.Image], fps: int, colours: int) -> bytes:
    # One palette for all frames, and no dithering: anything else flickers on still pixels. Maximum coverage
    # keeps rare colours, such as those of a small object: its largest error was 10 levels, median cut's 41.
    some = Image.fromarray(np.concatenate([np.asarray(image) for image in images[:: 1 + len(images) // 16]]))
    palette = some.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    buffer = io.BytesIO()
    duration = max(20, round(1000 / fps))  # browsers slow frames of less than 20 ms down to 100 ms
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return buffer.getvalue()


def _webm(path: Path, images: Sequence[Image.Image], fps: int) -> None:
    with replacing(path) as temporary:
        with _quiet():  # OpenCV prints that WebM does not list this tag, and then writes VP8 all the same
            writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"VP80"), fps, images[0].size)
        if not writer.isOpened():
            raise WorldganError(f"expected OpenCV with a VP8 encoder to write {path}: use a .gif")
        for image in images:
            writer.write(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR))
        writer.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what libraries write to the process's standard error, which Python's redirection does not reach."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
