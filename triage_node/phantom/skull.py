"""The cranial cavity and the bone around it, as signed distances.

In: a head grid and a head's proportions. Out: depth below the inner table and the layers of bone, in mm.
The base of the skull is a height map over (x, y): anterior, middle and posterior fossa, sphenoid and petrous ridges,
sella, clivus and the foramen magnum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from triage_node.phantom.geometry import FloatArray, HeadGrid

HALF_WIDTH_MM, HALF_LENGTH_MM, HEIGHT_MM, LOWER_HEIGHT_MM = 66.0, 83.0, 72.0, 125.0
_MAP_HALF = (100, 130)


@dataclass(frozen=True)
class Cavity:
    """The inside of the skull.

    Attributes
    ----------
    depth_mm : (slices, rows, columns)
        Distance below the inner table, positive inside the cavity.
    dome_mm
        The same for the vault alone, as if the head had no base: distance outside it where negative.
    above_base_mm
        Height above the skull base.
    """

    depth_mm: FloatArray
    dome_mm: FloatArray
    above_base_mm: FloatArray


@lru_cache(maxsize=1)
def _base_maps() -> tuple[FloatArray, FloatArray]:
    """Height (mm) of the skull base over (y, x) in 1 mm steps, and the cosine of its slope."""
    y, x = np.mgrid[-_MAP_HALF[1] : _MAP_HALF[1] + 1, -_MAP_HALF[0] : _MAP_HALF[0] + 1].astype(np.float32)
    x = np.abs(x)
    sphenoid_y = -18.0 - 0.28 * x
    petrous_y = 6.0 + 0.58 * (x - 8.0)
    front = np.where(x < 7, -23.0, -19.0) + 8.0 * np.exp(-(((x - 30) / 13) ** 2) - ((y + 50) / 20) ** 2)
    middle = -45.0 + 0.012 * (y + 8.0) ** 2
    central = np.where(y < -14, -20.0, np.where(y < 0, -25.0, -19.0))
    clivus = -16.0 - 2.6 * (y - 3.0)
    behind = np.maximum(-64.0 + 0.0055 * (x**2 + (y - 36.0) ** 2), np.where(x < 14, np.minimum(clivus, -18.0), -80.0))
    base = np.where(y < sphenoid_y, front, np.where(y < petrous_y, middle, behind))
    base = np.where((x < 13) & (y > -26) & (y < 4), central, base)
    ridge = -21.0 - 34.0 * np.minimum(1.0, ((y - petrous_y) * 0.87 / 13.0) ** 2)
    base = np.where((x > 8) & (x < 75), np.maximum(base, ridge), base)
    wing = -17.0 - 30.0 * np.minimum(1.0, ((y - sphenoid_y) / 8.0) ** 2)
    base = np.where((x > 8) & (x < 75), np.maximum(base, wing), base)
    base = ndimage.gaussian_filter(base, 2.0)
    hole = np.sqrt(x**2 + (y - 34.0) ** 2)
    base = np.where(hole < 15.0, np.minimum(base, -64.0 - 14.0 * (15.0 - hole)), base)
    slope_y, slope_x = np.gradient(base)
    cosine = 1 / np.sqrt(1 + slope_y**2 + slope_x**2)
    return base.astype(np.float32), np.maximum(ndimage.gaussian_filter(cosine, 1.5), 0.25).astype(np.float32)


def dome_depth(x: FloatArray, y: FloatArray, z: FloatArray, bulge: FloatArray | float = 0.0) -> FloatArray:
    """Depth (mm, positive inside) below the vault: an egg, widest behind the middle, rounder above."""
    back = y * np.float32(1 / HALF_LENGTH_MM)
    half_width = HALF_WIDTH_MM * (1.0 + 0.09 * back - 0.10 * np.minimum(back, 0.0) ** 2)
    half_height = np.where(z > 0, np.float32(HEIGHT_MM), np.float32(LOWER_HEIGHT_MM))
    u, w = x / half_width, z / half_height
    uu, vv, ww = u * u, back * back, w * w
    f = np.sqrt(uu + vv + ww - np.float32(0.10) * (uu * vv) + np.float32(1e-6))
    gradient = np.sqrt(uu / half_width**2 + vv / np.float32(HALF_LENGTH_MM**2) + ww / half_height**2) / f
    return np.asarray((1.0 - f) / np.maximum(gradient, np.float32(1 / 90.0)) + bulge, dtype=np.float32)


def cavity(grid: HeadGrid, bulge: FloatArray | float) -> Cavity:
    """Find the cranial cavity of a head; ``bulge`` (mm) moves the vault outward where positive."""
    dome = dome_depth(grid.x, grid.y, grid.z, bulge)
    base, cosine = _base_maps()
    column = np.clip(grid.x + (_MAP_HALF[0] + 0.5), 0, 2 * _MAP_HALF[0]).astype(np.int32)
    row = np.clip(grid.y + (_MAP_HALF[1] + 0.5), 0, 2 * _MAP_HALF[1]).astype(np.int32)
    place = row * np.int32(2 * _MAP_HALF[0] + 1) + column
    above = (grid.z - base.ravel()[place]) * cosine.ravel()[place]
    return Cavity(np.minimum(dome, above), dome, above)
