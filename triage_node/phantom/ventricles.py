"""The ventricles of a made-up brain as one signed distance.

In: brain coordinates in mm and the sizes of the two sides. Out: depth inside the ventricles, positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage_node.phantom.geometry import FloatArray

Point = tuple[float, float, float]

_LATERAL: tuple[tuple[Point, Point, float, float], ...] = (
    ((12.0, -37.0, 5.0), (7.0, -16.0, 12.0), 2.6, 3.2),
    ((7.0, -16.0, 13.0), (10.0, 6.0, 19.0), 3.0, 3.4),
    ((10.0, 6.0, 19.0), (17.0, 24.0, 17.0), 3.4, 4.2),
    ((17.0, 24.0, 17.0), (24.0, 35.0, 7.0), 4.0, 4.6),
    ((24.0, 35.0, 7.0), (21.0, 57.0, 3.0), 4.0, 1.2),
    ((25.0, 33.0, 4.0), (32.0, 6.0, -14.0), 2.6, 1.5),
    ((32.0, 6.0, -14.0), (28.0, -8.0, -17.0), 1.5, 1.6),
)
"""Capsules (from, to, radius at each end) of the right-left symmetric lateral ventricle, mm."""

ATRIUM: Point = (23.0, 33.0, 9.0)
OCCIPITAL_TIP: Point = (21.0, 56.0, 3.0)
FOURTH: Point = (0.0, 27.0, -30.0)
BOX: tuple[Point, Point] = ((-48.0, -55.0, -46.0), (48.0, 76.0, 38.0))
"""Corners of the part of the head that holds the ventricles, mm."""


@dataclass(frozen=True)
class VentricleSize:
    """Widths added to the usual radii (mm): left, right lateral ventricle and third; ``spread`` scales them all."""

    left_mm: float
    right_mm: float
    third_mm: float
    spread: float


def capsule_depth(x: FloatArray, y: FloatArray, z: FloatArray, a: Point, b: Point, ra: float, rb: float) -> FloatArray:
    """Depth inside a rod from ``a`` to ``b`` whose radius goes from ``ra`` to ``rb``, mm."""
    along = np.subtract(b, a)
    length2 = float(along @ along)
    along_x, along_y, along_z = (float(each) / length2 for each in along)
    px, py, pz = x - np.float32(a[0]), y - np.float32(a[1]), z - np.float32(a[2])
    t = np.clip(px * np.float32(along_x) + py * np.float32(along_y) + pz * np.float32(along_z), 0.0, 1.0)
    px -= t * np.float32(along[0])
    py -= t * np.float32(along[1])
    pz -= t * np.float32(along[2])
    px *= px
    py *= py
    pz *= pz
    px += py
    px += pz
    t *= np.float32(rb - ra)
    t += np.float32(ra)
    return np.asarray(t - np.sqrt(px), dtype=np.float32)


def ellipsoid_depth(x: FloatArray, y: FloatArray, z: FloatArray, center: Point, radii: Point) -> FloatArray:
    """Approximate depth inside an ellipsoid, mm; exact on its surface to first order."""
    u = (x - np.float32(center[0])) * np.float32(1 / radii[0])
    v = (y - np.float32(center[1])) * np.float32(1 / radii[1])
    w = (z - np.float32(center[2])) * np.float32(1 / radii[2])
    f = np.sqrt(u * u + v * v + w * w)
    return np.asarray((1.0 - f) * np.float32(min(radii)), dtype=np.float32)


def ventricle_depth(x: FloatArray, y: FloatArray, z: FloatArray, size: VentricleSize) -> FloatArray:
    """Depth inside the lateral, third and fourth ventricles, mm, positive inside.

    Parameters
    ----------
    x, y, z : any one shape, mm
        Brain coordinates, already moved by any mass effect.
    """
    side = np.abs(x)
    widening = np.where(x > 0, np.float32(size.left_mm), np.float32(size.right_mm))
    depth = np.full_like(x, -30.0)
    for a, b, ra, rb in _LATERAL:
        np.maximum(depth, capsule_depth(side, y, z, a, b, ra * size.spread, rb * size.spread), out=depth)
    depth += widening
    slab = np.maximum(np.maximum(side - size.third_mm, np.abs(y) - 17.0), np.abs(z + 1.0) - 9.0)
    np.maximum(depth, -slab, out=depth)
    fourth = ellipsoid_depth(side, y, z, FOURTH, (7.5 * size.spread, 4.5 * size.spread, 10.0))
    return np.maximum(depth, fourth)
