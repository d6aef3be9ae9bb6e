"""PNG files of slices and heatmaps, as browsers show them."""

from __future__ import annotations

import functools
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.core.hounsfield import Window
from triage_node.core.overlay import STEPS, color_map, shown

_COMPRESS_LEVEL = 3
"""zlib's; beyond it a slice takes twice the time for a twentieth of the bytes."""


def slice_png(slice_hu: npt.NDArray[np.generic], window: Window) -> bytes:
    """Show one slice (rows, columns) in HU through a window, as a grey picture."""
    return _file(Image.fromarray(shown(slice_hu, window)))


def heatmap_png(heatmap: npt.NDArray[np.uint8], rows: int, columns: int) -> bytes:
    """Colour a heatmap (any size, 0 to 255) over the field of a slice of this size, as a picture to lay over it.

    Where it is 0 the picture is transparent, where it is 255 opaque: shown at ``core.overlay.MAX_OPACITY`` it gives the
    colours of the heatmaps that are sent as Secondary Captures.
    """
    picture = Image.fromarray(heatmap)
    if picture.size != (columns, rows):
        picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
    palette = Image.frombytes("P", picture.size, picture.tobytes())
    palette.putpalette(_colors())
    return _file(palette, transparency=_shares())


@functools.cache
def _colors() -> bytes:
    return color_map().tobytes()


@functools.cache
def _shares() -> bytes:
    return np.arange(STEPS, dtype=np.uint8).tobytes()


def _file(picture: Image.Image, **options: bytes) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=_COMPRESS_LEVEL, **options)
    return content.getvalue()
