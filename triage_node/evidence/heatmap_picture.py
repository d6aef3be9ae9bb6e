"""Draw one heatmap as a picture that explains itself: colours over the brain window, a scale, captions and the notice.

In: a slice in HU, its heatmap and the lines to write. Out: RGB. No identifier of a patient is drawn, so that the pixels
hold none (PS3.15 E.3.1 would have to clean them).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from triage_node.core.overlay import blended, shown

_Number = TypeVar("_Number", np.uint8, np.float32)

SMALLEST_SIDE = 512
"""Pictures are enlarged by a whole factor until text of a readable size fits."""

_SHADE = (0, 0, 0, 150)
_WHITE = (255, 255, 255, 255)
_AMBER = (255, 205, 80, 255)
_SCALE_GREY = 96
"""Brightness of the brain that the colour scale is blended over, so that its colours are those of the picture."""


@dataclass(frozen=True)
class Captions:
    """Lines in the upper left corner and below the colour scale, and the notice at the bottom."""

    lines: Sequence[str]
    notice: str


def enlargement(rows: int, columns: int) -> int:
    """Return the whole factor by which a picture of this size is enlarged.

    Examples
    --------
    >>> enlargement(512, 512), enlargement(256, 256), enlargement(768, 768)
    (1, 2, 1)
    """
    return max(1, -(-SMALLEST_SIDE // min(rows, columns)))


def heatmap_picture(
    slice_hu: npt.NDArray[np.generic], heatmap: npt.NDArray[np.floating], captions: Captions
) -> npt.NDArray[np.uint8]:
    """Draw one slice.

    Parameters
    ----------
    slice_hu : (rows, columns), HU
    heatmap : (rows, columns) or coarser, 0 to 1

    Returns
    -------
    (rows, columns, 3) times ``enlargement``, 8-bit RGB
    """
    rows, columns = slice_hu.shape
    factor = enlargement(rows, columns)
    size = (columns * factor, rows * factor)
    heat = np.asarray(heatmap, dtype=np.float32)
    picture = Image.fromarray(blended(_resized(shown(slice_hu), size), _resized(np.nan_to_num(heat), size)))
    _draw(picture, captions)
    return np.asarray(picture)


def _resized(values: npt.NDArray[_Number], size: tuple[int, int]) -> npt.NDArray[_Number]:
    """Bring (rows, columns) to ``size`` = (width, height), linearly."""
    if values.shape == (size[1], size[0]):
        return values
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR), dtype=values.dtype)


def _draw(picture: Image.Image, captions: Captions) -> None:
    width, height = picture.size
    unit = max(12, round(min(width, height) / 36))
    margin = unit // 2
    draw = ImageDraw.Draw(picture, "RGBA")
    _draw_lines(draw, captions.lines, (margin, margin), unit)
    _draw_scale(picture, draw, unit)
    font = _font(round(unit * 1.15))
    text_width = draw.textlength(captions.notice, font)
    left, top = (width - text_width) / 2, height - margin - unit * 1.4
    draw.rectangle(
        (left - margin, top - unit * 0.25, left + text_width + margin, height - margin / 2), fill=(0, 0, 0, 190)
    )
    draw.text((left, top), captions.notice, font=font, fill=_AMBER)


def _draw_lines(draw: ImageDraw.ImageDraw, lines: Sequence[str], corner: tuple[int, int], unit: int) -> None:
    left, top = corner
    font, bold = _font(unit), _font(round(unit * 1.25))
    for number, line in enumerate(lines):
        face = bold if number == 0 else font
        step = round(face.size * 1.3)
        draw.rectangle((left - 3, top - 1, left + draw.textlength(line, face) + 3, top + step - 2), fill=_SHADE)
        draw.text((left, top), line, font=face, fill=_WHITE)
        top += step


def _draw_scale(picture: Image.Image, draw: ImageDraw.ImageDraw, unit: int) -> None:
    """Draw the colour scale at the right edge: 1 at its top, 0 at its bottom."""
    width, height = picture.size
    font = _font(round(unit * 0.9))
    bar_width, bar_height = unit, height // 3
    left, top = width - bar_width - unit // 2, (height - bar_height) // 2
    picture.paste(Image.fromarray(_scale(bar_width, bar_height)), (left, top))
    draw.rectangle((left - 1, top - 1, left + bar_width, top + bar_height), outline=_WHITE)
    for value in (1.0, 0.5, 0.0):
        y = top + round((1.0 - value) * (bar_height - 1))
        label = f"{value:.1f}"
        draw.line((left - unit // 3, y, left - 1, y), fill=_WHITE)
        draw.text((left - unit // 2, y), label, font=font, fill=_WHITE, anchor="rm")
    label = "Grad-CAM"
    draw.text((width - unit // 2, top - unit // 2), label, font=font, fill=_WHITE, anchor="rb")


@functools.cache
def _scale(width: int, height: int) -> npt.NDArray[np.uint8]:
    values = np.linspace(1.0, 0.0, max(height, 2), dtype=np.float32)
    column = np.repeat(values[:, np.newaxis], width, axis=1)
    return blended(np.full(column.shape, _SCALE_GREY, dtype=np.uint8), column)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that comes with Pillow: nothing has to be installed for it."""
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so heatmaps cannot be labelled")
    return font
