"""TensorBoard: scalars, and rollouts as moving pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from worldgan import pictures
from worldgan.parallel import led
from worldgan.pixels import Frames

if TYPE_CHECKING:
    from PIL import Image
    from torch.utils.tensorboard import SummaryWriter


class Logs:
    """Writes into ``folder``/tensorboard; of processes that train together, one alone does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def writer(self) -> SummaryWriter:
        """Of TensorBoard."""
        from torch.utils.tensorboard import SummaryWriter  # 0.5 s, and only training needs it

        return SummaryWriter(str(self.folder / "tensorboard"))

    @led
    def scalars(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Log ``prefix``/name for each value."""
        for name, value in values.items():
            self.writer.add_scalar(f"{prefix}/{name}", value, step)

    @led
    def charts(self, layout: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Lay out scalars under Custom Scalars: heading -> title -> what the tags of its curves begin with."""
        kinds = {
            head: {title: ["Multiline", list(tags)] for title, tags in each.items()} for head, each in layout.items()
        }
        self.writer.add_custom_scalars(kinds)

    @led
    def video(self, tag: str, rows: Mapping[str, Frames], step: int, *, fps: int = 10) -> None:
        """Log labelled panels side by side, uint8 [T, H, W, C] each, as an animated GIF image summary.

        ``SummaryWriter.add_video`` needs moviepy and fails with its version 2.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        images: list[Image.Image] = pictures.panels(rows)
        picture = Summary.Image(
            encoded_image_string=pictures.gif(images, fps),
            colorspace=3,
            height=images[0].height,
            width=images[0].width,
        )
        events = self.writer._get_file_writer()  # type: ignore[no-untyped-call]
        events.add_summary(Summary(value=[Summary.Value(tag=tag, image=picture)]), step)

    @led
    def close(self) -> None:
        """Flush and close."""
        self.writer.close()
