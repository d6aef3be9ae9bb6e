"""The cranial cavity as signed distances.

In: a head grid. Out: depth below the inner table in mm. The base of the skull is a height map over (x, y): anterior,
middle and posterior fossa, sphenoid and petrous ridges, sella, clivus and the foramen magnum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage_node.phantom.geometry import FloatArray, HeadGrid, smoothly

HALF_WIDTH_MM, HALF_LENGTH_MM, HEIGHT_MM, LOWER_HEIGHT_MM = 66.0, 83.0, 72.0, 125.0
MAGNUM_Y_MM, MAGNUM_RADIUS_MM = 34.0, 15.0
_MAP_HALF = (100, 130)


@dataclass(frozen=True)
class Cavity:
    """The inside of the skull; (slices, rows, columns), mm.

    Attributes
    ----------
    depth_mm
        Distance below the inner table, positive inside the cavity.
    dome_mm
        The same for the vault alone, as if the head had no base.
    above_base_mm
        Height above the skull base.
    """

    depth_mm: FloatArray
    dome_mm: FloatArray
    above_base_mm: FloatArray


def petrous_line_y(m: FloatArray) -> FloatArray:
    """Where (y, mm) the petrous ridge runs at a distance ``m`` (mm) from the midline."""
    return np.asarray(6.0 + 0.58 * (m - 8.0), dtype=np.float32)


@lru_cache(maxsize=1)
def _base_maps() -> tuple[FloatArray, FloatArray]:
    """Height (mm) of the skull base over (y, x) in 1 mm steps, and the cosine of its slope."""
    y, x = np.mgrid[-_MAP_HALF[1] : _MAP_HALF[1] + 1, -_MAP_HALF[0] : _MAP_HALF[0] + 1].astype(np.float32)
    m = np.abs(x)
    base = np.where(
        y < _sphenoid_line_y(m), _anterior(m, y), np.where(y < petrous_line_y(m), _middle(m, y), _behind(m, y))
    )
    sella = np.where(y < -14, -20.0, np.where(y < 0, -26.0, -19.0))
    base = np.where((m < 13) & (y > -26) & (y < 4), sella, base)
    ridge = -20.0 - 36.0 * ((y - petrous_line_y(m)) * 0.87 / 15.0) ** 2
    wing = -16.0 - 30.0 * ((y - _sphenoid_line_y(m)) / 9.0) ** 2
    base = np.where((m > 8) & (m < 75), np.maximum(base, np.maximum(ridge, wing)), base)
    base = ndimage.gaussian_filter(base, 2.0)
    hole = np.sqrt(x**2 + (y - MAGNUM_Y_MM) ** 2)
    base = np.where(hole < MAGNUM_RADIUS_MM, np.minimum(base, -64.0 - 14.0 * (MAGNUM_RADIUS_MM - hole)), base)
    slope_y, slope_x = np.gradient(base)
    cosine = ndimage.gaussian_filter(1 / np.sqrt(1 + slope_y**2 + slope_x**2), 1.5)
    return base.astype(np.float32), np.maximum(cosine, 0.25).astype(np.float32)


def _sphenoid_line_y(m: FloatArray) -> FloatArray:
    return np.asarray(-18.0 - 0.28 * m, dtype=np.float32)


def _anterior(m: FloatArray, y: FloatArray) -> npt.NDArray[np.float32]:
    """Cribriform plate, orbital roofs, and the rise to the forehead."""
    roofs = 9.0 * np.exp(-np.square((m - 30) / 13) - np.square((y + 52) / 20))
    rise = 0.016 * np.square(np.minimum(y + 52.0, 0.0))
    return np.asarray(np.where(m < 7, -23.0, -19.0) + roofs + rise, dtype=np.float32)


def _middle(m: FloatArray, y: FloatArray) -> npt.NDArray[np.float32]:
    return np.asarray(-45.0 + 0.012 * (y + 8.0) ** 2 + 0.016 * (m - 40.0) ** 2, dtype=np.float32)


def _behind(m: FloatArray, y: FloatArray) -> npt.NDArray[np.float32]:
    """The clivus and the bowl of the posterior fossa."""
    clivus = np.where(m < 14, np.minimum(-16.0 - 2.6 * (y - 3.0), -18.0), -80.0)
    return np.asarray(np.maximum(-64.0 + 0.010 * (m**2 + (y - 36.0) ** 2), clivus), dtype=np.float32)


def _dome_depth(x: FloatArray, y: FloatArray, z: FloatArray, bulge_mm: FloatArray) -> FloatArray:
    """Depth (mm, positive inside) below the vault: an egg, widest behind the middle."""
    back = y * np.float32(1 / HALF_LENGTH_MM)
    front = np.minimum(back, 0.0)
    half_width = HALF_WIDTH_MM * (1.0 + 0.09 * back - 0.10 * front * front)
    half_height = np.where(z > 0, np.float32(HEIGHT_MM), np.float32(LOWER_HEIGHT_MM))
    uu, vv, ww = np.square(x / half_width), back * back, np.square(z / half_height)
    f = np.sqrt(uu + vv + ww - np.float32(0.10) * (uu * vv) + np.float32(1e-6))
    gradient = np.sqrt(uu / np.square(half_width) + vv * np.float32(HALF_LENGTH_MM**-2) + ww / np.square(half_height))
    return np.asarray((1.0 - f) * f / np.maximum(gradient, f * np.float32(1 / 90.0)) + bulge_mm, dtype=np.float32)


def cavity(grid: HeadGrid, bulge_mm: FloatArray) -> Cavity:
    """Find the cranial cavity of a head; ``bulge_mm`` moves its walls outward where positive."""
    dome = smoothly(_dome_depth, (grid.x, grid.y, grid.z, bulge_mm), grid.pixel_mm)
    base, cosine = _base_maps()
    column = np.clip(grid.x + (_MAP_HALF[0] + 0.5) + 0.8 * bulge_mm, 0, 2 * _MAP_HALF[0]).astype(np.int32)
    row = np.clip(grid.y + (_MAP_HALF[1] + 0.5) - 1.2 * bulge_mm, 0, 2 * _MAP_HALF[1]).astype(np.int32)
    row *= np.int32(2 * _MAP_HALF[0] + 1)
    row += column
    above = grid.z - np.take(base, row)
    above *= np.take(cosine, row)
    above += bulge_mm
    return Cavity(np.minimum(dome, above), dome, above)
