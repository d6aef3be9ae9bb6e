"""Smooth random fields over the head: what bends gyri, mottles blood and roughens every edge.

In: a random generator. Out: one periodic cube of noise that is read at any scale and offset, so that a head needs one.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from triage_node.phantom.geometry import Box, FloatArray, HeadGrid, spread, thin_count

_CELLS = 56
_SMOOTH_CELLS = 2.2
"""Blur of the cube in cells: finer would show the linear reading between cells."""

_READ_STEP_MM = 1.9
"""Folds are read at steps of this and interpolated between, smooth fields at most of their length."""


class Texture:
    """A periodic cube of smooth noise with zero mean and unit SD."""

    def __init__(self, rng: np.random.Generator) -> None:
        white = rng.standard_normal((_CELLS, _CELLS, _CELLS), dtype=np.float32)
        cube = ndimage.gaussian_filter(white, _SMOOTH_CELLS, mode="wrap", truncate=2.5)
        self._cube = np.asarray((cube - cube.mean()) / cube.std(), dtype=np.float32)
        slope = np.gradient(np.pad(self._cube, 1, mode="wrap"))
        steepness = np.linalg.norm(np.stack(list(slope))[:, 1:-1, 1:-1, 1:-1], axis=0)
        steepness = ndimage.gaussian_filter(steepness, 0.8, mode="wrap")
        self._sheets = np.asarray(self._cube / np.maximum(steepness, 0.2), dtype=np.float32)
        self._rng = rng

    def read(self, grid: HeadGrid, length_mm: float, box: Box | None = None) -> FloatArray:
        """A fresh field at every voxel of a grid or of a box of it: white noise blurred by ``length_mm`` (SD)."""
        part = grid if box is None else grid.part(box)
        step = max(1, int(length_mm / 1.3 / grid.pixel_mm))
        cell_mm = length_mm / _SMOOTH_CELLS
        offset = self._rng.uniform(0, _CELLS, 3)
        if 0 in part.shape:
            return np.zeros(part.shape, dtype=np.float32)
        matrix = part.matrix[::-1] / cell_mm * np.array([1, step, step])
        shape = (part.shape[0], *(thin_count(count, step) for count in part.shape[1:]))
        coarse = ndimage.affine_transform(
            self._cube, matrix, part.origin[::-1] / cell_mm + offset, output_shape=shape, order=1, mode="grid-wrap"
        )
        return spread(coarse, step, part.shape)

    def folds(self, grid: HeadGrid, spacing_mm: float, radius_mm: float) -> FloatArray:
        """Distance (mm) from winding sheets about ``spacing_mm`` apart that stand upright on a sphere.

        The sheets are the zero crossings of a field that hardly changes along the radius: sulci between gyri.
        """
        step = max(1, int(_READ_STEP_MM / grid.pixel_mm))
        s, r, c = np.ogrid[
            tuple(slice(count) for count in (grid.shape[0], *(thin_count(n, step) for n in grid.shape[1:])))
        ]
        r, c = r * step, c * step
        m, o = grid.matrix, grid.origin
        x, y, z = ((m[row, 0] * s + m[row, 1] * r + m[row, 2] * c + o[row]).astype(np.float32) for row in range(3))
        radius = np.sqrt(x * x + 0.64 * y * y + z * z)
        cell_mm = spacing_mm / (4.44 * _SMOOTH_CELLS)  # mean distance of zero crossings of a Gaussian field
        stretch = (np.maximum(radius, 30.0) / radius_mm) ** -0.6 / cell_mm
        offset = self._rng.uniform(0, _CELLS, 3).astype(np.float32)
        at = [axis * stretch + shift for axis, shift in zip((z, y, x), offset, strict=True)]
        coarse = ndimage.map_coordinates(self._sheets, at, order=1, mode="grid-wrap", output=np.float32)
        return spread(np.abs(coarse) / stretch, step, grid.shape)
