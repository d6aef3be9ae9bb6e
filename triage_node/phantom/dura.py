"""Falx, tentorium and venous sinuses.

In: brain coordinates and the signed distance from the midline, mm. Out: distances from the dural sheets, and HU.
"""

from __future__ import annotations

import numpy as np

from triage_node.phantom.geometry import FloatArray, blend
from triage_node.phantom.shapes import Ellipsoid, Rod, Space
from triage_node.phantom.skull import Cavity, petrous_line_y

SHEET_HALF_MM = 0.7


def tentorium_height(x: FloatArray, y: FloatArray) -> FloatArray:
    """Height (z, mm) of the tentorium over (x, y): a tent with its ridge in the middle, falling backward."""
    behind = np.maximum(y - 36.0, 0.0)
    return np.asarray(9.0 - 0.44 * np.abs(x) - 0.0085 * behind * behind, dtype=np.float32)


def callosal_depth(y: FloatArray, z: FloatArray) -> FloatArray:
    """Depth (mm) inside the part of the midline plane that falx and fissure do not reach."""
    far = np.sqrt(np.square((y + 3.0) * np.float32(1 / 43.0)) + np.square((z - 2.0) * np.float32(1 / 25.0)))
    return np.asarray(26.0 * (1.0 - far), dtype=np.float32)


def falx_distance(m: FloatArray, callosal_mm: FloatArray, above_tentorium_mm: FloatArray) -> FloatArray:
    """Distance (mm) from the falx, negative inside the sheet itself; ``m`` is the distance from the midline."""
    return np.asarray(
        np.maximum(np.maximum(m - SHEET_HALF_MM, callosal_mm + 3.0), -above_tentorium_mm), dtype=np.float32
    )


def tentorium_distance(m: FloatArray, y: FloatArray, above_tentorium_mm: FloatArray) -> FloatArray:
    """Distance (mm) from the tentorium, negative inside; far in its notch and before the petrous ridges."""
    absent = ((m < 19.0) & (y < 40.0)) | (y < petrous_line_y(m))
    return np.asarray(np.where(absent, np.float32(40.0), np.abs(above_tentorium_mm) - SHEET_HALF_MM), dtype=np.float32)


def paint_sinuses(
    hu: FloatArray, space: Space, m: FloatArray, above_tentorium_mm: FloatArray, cavity: Cavity, hu_of_blood: float
) -> None:
    """Paint the sagittal, straight and transverse sinuses, in place."""
    sagittal = np.minimum(4.2 - m - 0.45 * cavity.dome_mm, above_tentorium_mm)
    box = space.box(Ellipsoid((0.0, 60.0, -4.0), (66.0, 40.0, 14.0)), 0.0)
    tent = above_tentorium_mm[box]
    transverse = np.minimum(3.0 - np.abs(tent + 2.0), 4.5 - cavity.dome_mm[box])
    transverse = np.minimum(transverse, np.minimum(space.y[box] - 34.0, m[box] - 4.0))
    np.maximum(sagittal[box], transverse, out=sagittal[box])
    blend(hu, space.grid.coverage(np.asarray(sagittal, dtype=np.float32), 0.4), hu_of_blood)
    straight = Rod((0.0, 38.0, 10.0), (0.0, 78.0, -6.0), 1.5, 2.2)
    space.paint(hu, (straight, Ellipsoid((0.0, 79.0, -8.0), (7.0, 5.0, 6.0))), hu_of_blood, 0.4)
