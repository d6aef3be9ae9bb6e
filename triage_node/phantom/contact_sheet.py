"""A contact sheet of made-up scans: one row a scan, slices from inferior to superior in the brain window.

In: scans, and what their slices show. Out: one picture to look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from triage_node.core.hounsfield import BRAIN_WINDOW, windowed

_TILE = 192
_CAPTION_GREY = 255


def tile_row(
    volume_hu: npt.NDArray[np.int16],
    caption: str,
    tiles: int = 10,
    *,
    notes: Sequence[str] = (),
    needed: Sequence[int] = (),
) -> npt.NDArray[np.uint8]:
    """Show slices of one volume side by side.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    notes
        One a slice, written under it; none where empty.
    needed
        Slices that are shown in any case, in the place of their neighbours.

    Returns
    -------
    (rows, columns), 0 to 255
    """
    row = Image.new("L", (_TILE * tiles, _TILE))
    draw = ImageDraw.Draw(row)
    for place, at in enumerate(shown_slices(len(volume_hu), tiles, needed)):
        grey = windowed(volume_hu[at : at + 1], [BRAIN_WINDOW])[0, 0] * 255
        tile = Image.fromarray(grey.astype(np.uint8)).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
        row.paste(tile, (place * _TILE, 0))
        if notes:
            draw.text((place * _TILE + 4, _TILE - 14), notes[at], fill=_CAPTION_GREY)
    draw.text((4, 2), caption, fill=_CAPTION_GREY)
    return np.asarray(row, dtype=np.uint8)


def shown_slices(slices: int, tiles: int, needed: Sequence[int] = ()) -> list[int]:
    """Choose slices in equal steps, each needed one in the place of the nearest that is not needed itself.

    Examples
    --------
    >>> shown_slices(31, 4), shown_slices(31, 4, [12, 13])
    ([0, 10, 20, 30], [0, 12, 13, 30])
    """
    shown = np.unique(np.linspace(0, slices - 1, tiles).round().astype(int)).tolist()
    for slice_ in dict.fromkeys(needed):
        free = [each for each in shown if each not in needed]
        if slice_ not in shown and free:
            shown[shown.index(min(free, key=lambda each: abs(each - slice_)))] = slice_
    return sorted(shown)


def contact_sheet(rows: Sequence[npt.NDArray[np.uint8]]) -> Image.Image:
    """Stack rows of tiles into one picture."""
    return Image.fromarray(np.concatenate(list(rows), axis=0))
