"""A contact sheet of made-up scans: one row a scan, slices from inferior to superior in the brain window.

In: scans. Out: one picture to look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from triage_node.core.hounsfield import BRAIN_WINDOW, windowed

_TILE = 192
_CAPTION_GREY = 255


def tile_row(volume_hu: npt.NDArray[np.int16], caption: str, tiles: int = 10) -> npt.NDArray[np.uint8]:
    """Show slices of one volume (slices, rows, columns; HU) side by side: (rows, columns), 0 to 255."""
    shown = np.unique(np.linspace(0, len(volume_hu) - 1, tiles).round().astype(int))
    row = Image.new("L", (_TILE * tiles, _TILE))
    for place, at in enumerate(shown):
        grey = windowed(volume_hu[at : at + 1], [BRAIN_WINDOW])[0, 0] * 255
        tile = Image.fromarray(grey.astype(np.uint8)).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
        row.paste(tile, (place * _TILE, 0))
    ImageDraw.Draw(row).text((4, 2), caption, fill=_CAPTION_GREY)
    return np.asarray(row, dtype=np.uint8)


def contact_sheet(rows: Sequence[npt.NDArray[np.uint8]]) -> Image.Image:
    """Stack rows of tiles into one picture."""
    return Image.fromarray(np.concatenate(list(rows), axis=0))
