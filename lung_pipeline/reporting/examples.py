# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a model in training gets wrong: crops in a grid, and whole slices.

Belongs here: drawing. Does not belong here: which samples are shown (``learning.examples``), and
where a picture is kept.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.learning.examples import CropExamples, Example
from lung_pipeline.reporting.overlay import Picture, window_picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

MOST_BYTES = 200_000
"""A picture is kept for each epoch, so each must be small."""

FALSE_POSITIVE_RGB = (229, 57, 53)
TRUE_POSITIVE_RGB = (67, 190, 84)
FALSE_NEGATIVE_RGB = (255, 160, 20)
"""Red, green and orange, as in the thesis; of three lightnesses, for colour-blind readers."""

_MARK_OPACITY = 0.6
"""Tissue stays visible below a mark."""

_GROUND_RGB, _INK_RGB = (20, 23, 26), (222, 226, 229)
_ENLARGED = 3
"""Screen pixels to a crop's voxel."""

_WIDTH_PIXELS = 512
"""Of a whole slice: that of most scanners. Smaller ones are enlarged, by a whole factor."""

_GAP_PIXELS, _LINE_PIXELS, _FONT_PIXELS = 6, 16, 12


def example_picture(example: Example) -> Picture:
    """The picture of an example, RGB."""
    if isinstance(example, CropExamples):
        return crops_picture(example.title, example.crops_hu, example.probability, example.names)
    return slice_picture(example.slice_hu, example.predicted, example.truth, example.title)


def crops_picture(
    title: str,
    crops_hu: VoxelsHu,
    probability: npt.NDArray[Any],
    names: Sequence[str],
    num_columns: int = 6,
) -> Picture:
    """The middle axial slice of each crop in the lung window, its probability and name below.

    Args:
        title: stands above the grid.
        crops_hu: shape (n, 32, 48, 48).
        probability: shape (n,).
        names: such as candidate ids; of a long one the end is shown, which tells them apart.
        num_columns: crops beside each other.

    Returns:
        RGB.
    """
    from PIL import Image, ImageDraw

    edge = crops_hu.shape[-1] * _ENLARGED
    across, down = edge + _GAP_PIXELS, edge + 2 * _LINE_PIXELS + _GAP_PIXELS
    num_rows = -(-len(crops_hu) // num_columns)
    size = (num_columns * across + _GAP_PIXELS, num_rows * down + _LINE_PIXELS + 2 * _GAP_PIXELS)
    sheet = Image.new("RGB", size, _GROUND_RGB)
    draw, font = ImageDraw.Draw(sheet), _font()
    draw.text((_GAP_PIXELS, _GAP_PIXELS), title, _INK_RGB, font)
    for place, (crop_hu, value, name) in enumerate(zip(crops_hu, probability, names, strict=True)):
        row, column = divmod(place, num_columns)
        left, top = _GAP_PIXELS + column * across, 2 * _GAP_PIXELS + _LINE_PIXELS + row * down
        sheet.paste(_enlarged(crop_hu[len(crop_hu) // 2]), (left, top))
        draw.text((left, top + edge + 2), f"{value:.4f}", _INK_RGB, font)
        shown = _shortened(name, edge, font)
        draw.text((left, top + edge + 2 + _LINE_PIXELS), shown, _INK_RGB, font)
    return np.asarray(sheet)


def slice_picture(
    slice_hu: npt.NDArray[Any],
    predicted: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    title: str = "",
) -> Picture:
    """A whole slice with what was found, missed and marked in vain, and what the colours mean.

    Args:
        slice_hu: shape (row, column).
        predicted: marked voxels, same shape.
        truth: voxels of nodules, same shape.
        title: stands above the slice.

    Returns:
        RGB: red false positive, green true positive, orange false negative.
    """
    from PIL import Image, ImageDraw, ImageOps

    marked = Image.fromarray(marked_slice(slice_hu, predicted, truth))
    marked = ImageOps.scale(marked, max(1, _WIDTH_PIXELS // marked.width), Image.Resampling.NEAREST)
    width, height = marked.size
    top = _LINE_PIXELS + _GAP_PIXELS
    sheet = Image.new("RGB", (width, height + 2 * top), _GROUND_RGB)
    sheet.paste(marked, (0, top))
    draw, font = ImageDraw.Draw(sheet), _font()
    room = width - 2 * _GAP_PIXELS
    draw.text((_GAP_PIXELS, 3), _shortened(title, room, font), _INK_RGB, font)
    left = float(_GAP_PIXELS)
    for text, rgb in _legend():
        draw.text((left, top + height + 3), text, rgb, font)
        left += font.getlength(text) + 3 * _GAP_PIXELS
    return np.asarray(sheet)


def marked_slice(
    slice_hu: npt.NDArray[Any],
    predicted: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
) -> Picture:
    """A slice in the lung window with the three colours over it, RGB, one pixel a voxel."""
    picture = np.repeat(window_picture(slice_hu)[..., None], 3, axis=2).astype(np.float64)
    kinds = (
        (predicted & ~truth, FALSE_POSITIVE_RGB),
        (predicted & truth, TRUE_POSITIVE_RGB),
        (~predicted & truth, FALSE_NEGATIVE_RGB),
    )
    for mask, rgb in kinds:
        picture[mask] += _MARK_OPACITY * (np.asarray(rgb) - picture[mask])
    return np.rint(picture).astype(np.uint8)


def as_png(picture: Picture, most_bytes: int = MOST_BYTES) -> bytes:
    """A picture as a PNG of no more than so many bytes.

    One that would be larger gets 32 steps of brightness, which noise hides, and then fewer pixels.
    """
    from PIL import Image

    png = _encoded(image := Image.fromarray(picture))
    if len(png) > most_bytes:
        png = _encoded(image := Image.fromarray((picture >> 3 << 3) + np.uint8(4)))
    while len(png) > most_bytes and min(image.size) > 1:
        # Bytes go with the area; a little less, since what is left is less smooth.
        share = min(0.95 * (most_bytes / len(png)) ** 0.5, 0.95)
        width, height = (max(1, int(edge * share)) for edge in image.size)
        png = _encoded(image := image.resize((width, height), Image.Resampling.LANCZOS))
    return png


def from_png(png: bytes) -> Picture:
    """The pixels of a PNG."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)))


def _encoded(image: Image) -> bytes:
    buffer = io.BytesIO()
    # The default level: `optimize` takes eight times as long, and noise hardly gets smaller by it.
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _enlarged(plane_hu: npt.NDArray[Any]) -> Image:
    from PIL import Image

    height, width = plane_hu.shape
    size = (width * _ENLARGED, height * _ENLARGED)
    return Image.fromarray(window_picture(plane_hu)).resize(size, Image.Resampling.BICUBIC)


def _legend() -> list[tuple[str, tuple[int, int, int]]]:
    return [
        ("false positive", FALSE_POSITIVE_RGB),
        ("true positive", TRUE_POSITIVE_RGB),
        ("false negative", FALSE_NEGATIVE_RGB),
    ]


def _font() -> Font:
    """The font that comes with Pillow: the same picture on every machine."""
    from PIL.ImageFont import load_default

    return load_default(_FONT_PIXELS)


def _shortened(text: str, width_pixels: float, font: Font) -> str:
    """The text, or as much of its end as fits."""
    if font.getlength(text) <= width_pixels:
        return text
    while text and font.getlength("…" + text) > width_pixels:
        text = text[1:]
    return "…" + text
