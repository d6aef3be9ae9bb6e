"""The ventricles of a made-up brain as one signed distance.

In: brain coordinates in mm and the sizes of the two sides. Out: depth inside the ventricles, positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage_node.phantom.geometry import FloatArray, Point
from triage_node.phantom.shapes import Ellipsoid, Rod, Space

_LATERAL = (
    Rod((12.0, -37.0, 5.0), (7.0, -16.0, 12.0), 2.4, 3.0),
    Rod((7.0, -16.0, 13.0), (10.0, 6.0, 19.0), 3.0, 3.4),
    Rod((10.0, 6.0, 19.0), (17.0, 24.0, 17.0), 3.4, 4.2),
    Rod((17.0, 24.0, 17.0), (24.0, 35.0, 7.0), 4.0, 4.6),
    Rod((24.0, 35.0, 7.0), (21.0, 57.0, 3.0), 4.0, 1.2),
    Rod((25.0, 33.0, 4.0), (32.0, 6.0, -14.0), 2.2, 1.0),
    Rod((32.0, 6.0, -14.0), (28.0, -8.0, -17.0), 1.0, 1.4),
)
"""Frontal horn, body, atrium, occipital and temporal horn of the left side."""

ATRIUM: Point = (23.0, 33.0, 9.0)
_FOURTH: Point = (0.0, 27.0, -30.0)
OUTSIDE_MM = -30.0


@dataclass(frozen=True)
class VentricleSize:
    """Widths added to the usual radii of the left and right lateral ventricle, half width of the third; mm.

    ``spread`` scales all radii.
    """

    left_mm: float
    right_mm: float
    third_mm: float
    spread: float


def ventricle_depth(space: Space, size: VentricleSize) -> FloatArray:
    """Depth inside the lateral, third and fourth ventricles, mm, positive inside: (slices, rows, columns)."""
    depth = np.full_like(space.x, OUTSIDE_MM)
    for rod in _LATERAL:
        wide = Rod(rod.start, rod.end, rod.start_mm * size.spread, rod.end_mm * size.spread)
        space.deepen(depth, (wide,), size.left_mm)
        space.deepen(depth, (wide.mirrored(),), size.right_mm)
    box = space.box(Ellipsoid((0.0, 0.0, -1.0), (6.0, 20.0, 12.0)), 3.0)
    x, y, z = space.x[box], space.y[box], space.z[box]
    waist = size.third_mm * (1.0 - 0.35 * np.exp(-np.square((y - 2.0) / 6.0)))  # the thalami nearly touch
    slab = np.minimum(waist - np.abs(x), np.minimum(16.0 - np.abs(y), 9.0 - np.abs(z + 1.0)))
    np.maximum(depth[box], slab, out=depth[box])
    space.deepen(depth, (Ellipsoid(_FOURTH, (6.5 * size.spread, 4.5 * size.spread, 10.0)),))
    return depth
