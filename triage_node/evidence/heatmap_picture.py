"""Draw one heatmap as a picture that explains itself: colours over the brain window, and a footer that says what they are.

In: a slice in HU, its heatmap and the lines to write. Out: RGB. Captions, colour scale and notice stand below the slice and
never on it: blood may lie anywhere under a label. No identifier of a patient is drawn, so that the pixels hold none
(PS3.15 E.3.1 would have to clean them).
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
"""Slices are enlarged by a whole factor until text of a readable size fits below them."""

_WHITE = (255, 255, 255)
_SOFT = (205, 205, 205)
_AMBER = (255, 205, 80)
_SCALE_UNITS = 11
"""Width of the colour scale with its margins, in units of the text's size; so many lines stand beside it:"""
_LINES_BESIDE_SCALE = 2
_SCALE_GREY = 96
"""Brightness of the brain that the colour scale is blended over, so that its colours are those of the picture."""


@dataclass(frozen=True)
class Captions:
    """What is written: a headline, lines that are broken where they are too long, and the notice at the very bottom."""

    headline: str
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
    (rows + footer, columns, 3), rows and columns times ``enlargement``, 8-bit RGB; the first pixel stays the slice's.
    """
    rows, columns = slice_hu.shape
    factor = enlargement(rows, columns)
    width, height = columns * factor, rows * factor
    heat = np.fmax(np.asarray(heatmap, dtype=np.float32), 0.0)  # NaN counts as cold, before it can spread
    slice_rgb = blended(_resized(shown(slice_hu), (width, height)), _resized(heat, (width, height)))
    unit = max(12, round(min(width, height) / 36))
    lines = _wrapped(captions.lines, _font(unit), (width - _SCALE_UNITS * unit, width - unit))
    footer = Image.new("RGB", (width, (len(lines) + 2) * _step(unit) + unit))
    _draw_captions(footer, Captions(captions.headline, lines, captions.notice), unit)
    _draw_scale(footer, unit)
    return np.concatenate([slice_rgb, np.asarray(footer)])


def _resized(values: npt.NDArray[_Number], size: tuple[int, int]) -> npt.NDArray[_Number]:
    """Bring (rows, columns) to ``size`` = (width, height), linearly."""
    if values.shape == (size[1], size[0]):
        return values
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR), dtype=values.dtype)


def _step(unit: int) -> int:
    """Return the distance of two lines (pixels)."""
    return round(unit * 1.4)


def _wrapped(lines: Sequence[str], font: ImageFont.FreeTypeFont, widths: tuple[int, int]) -> list[str]:
    """Break lines at spaces so that they fit, as far as words allow.

    ``widths`` are those of the lines beside the colour scale and of the others (pixels).
    """
    fitting: list[str] = []
    for line in lines:
        current = ""
        for word in line.split(" "):
            longer = f"{current} {word}".lstrip()
            if current and font.getlength(longer) > widths[len(fitting) >= _LINES_BESIDE_SCALE]:
                fitting.append(current)
                current = word
            else:
                current = longer
        fitting.append(current)
    return fitting


def _draw_captions(footer: Image.Image, captions: Captions, unit: int) -> None:
    draw = ImageDraw.Draw(footer)
    step, margin = _step(unit), unit // 2
    draw.text((margin, margin), captions.headline, font=_font(round(unit * 1.2)), fill=_WHITE)
    for number, line in enumerate(captions.lines, start=1):
        draw.text((margin, margin + number * step), line, font=_font(unit), fill=_SOFT)
    middle = (footer.width / 2, footer.height - margin)
    draw.text(middle, captions.notice, font=_font(round(unit * 1.15)), fill=_AMBER, anchor="mb")


def _draw_scale(footer: Image.Image, unit: int) -> None:
    """Draw the colour scale at the upper right: 0 at its left end, 1 at its right."""
    draw = ImageDraw.Draw(footer)
    font = _font(round(unit * 0.85))
    width, height = unit * 9, unit
    left, top = footer.width - width - unit, unit // 2 + round(unit * 1.1)
    draw.text((left + width / 2, top - 3), "Grad-CAM, relative", font=font, fill=_SOFT, anchor="mb")
    footer.paste(Image.fromarray(_scale(width, height)), (left, top))
    draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_SOFT)
    for value in (0.0, 0.5, 1.0):
        x = left + round(value * (width - 1))
        draw.line((x, top + height, x, top + height + unit // 4), fill=_SOFT)
        draw.text((x, top + height + unit // 4 + 2), f"{value:.1f}", font=font, fill=_SOFT, anchor="mt")


@functools.cache
def _scale(width: int, height: int) -> npt.NDArray[np.uint8]:
    row = np.linspace(0.0, 1.0, max(width, 2), dtype=np.float32)[np.newaxis]
    values = np.repeat(row, height, axis=0)
    return blended(np.full(values.shape, _SCALE_GREY, dtype=np.uint8), values)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that comes with Pillow: nothing has to be installed for it."""
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so heatmaps cannot be labelled")
    return font
