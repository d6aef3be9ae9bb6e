"""Ellipsoids and rods, drawn only where they are.

In: head or brain coordinates (mm) and shapes. Out: signed depths and HU, both changed in place within each shape's box.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from triage_node.phantom.geometry import Box, FloatArray, HeadGrid, Point, blend


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid along the axes; mm."""

    center: Point
    radii: Point

    def bounds(self) -> tuple[Point, Point]:
        """Lower and upper corner, mm."""
        c, r = self.center, self.radii
        return (c[0] - r[0], c[1] - r[1], c[2] - r[2]), (c[0] + r[0], c[1] + r[1], c[2] + r[2])

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Depth inside, mm, positive inside; true to first order on the surface of a sphere."""
        u = (x - np.float32(self.center[0])) * np.float32(1 / self.radii[0])
        v = (y - np.float32(self.center[1])) * np.float32(1 / self.radii[1])
        w = (z - np.float32(self.center[2])) * np.float32(1 / self.radii[2])
        far = np.sqrt(u * u + v * v + w * w)
        return np.asarray((1.0 - far) * np.float32(min(self.radii)), dtype=np.float32)

    def mirrored(self) -> Ellipsoid:
        """The same on the other side of the head."""
        return replace(self, center=(-self.center[0], self.center[1], self.center[2]))


@dataclass(frozen=True)
class Rod:
    """A rod between two points whose radius goes from the first to the second; mm."""

    start: Point
    end: Point
    start_mm: float
    end_mm: float

    def bounds(self) -> tuple[Point, Point]:
        """Lower and upper corner, mm."""
        reach = max(self.start_mm, self.end_mm)
        low = [min(a, b) - reach for a, b in zip(self.start, self.end, strict=True)]
        high = [max(a, b) + reach for a, b in zip(self.start, self.end, strict=True)]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Depth inside, mm, positive inside."""
        along = np.subtract(self.end, self.start)
        share = (along / float(along @ along)).astype(np.float32)
        px, py, pz = x - np.float32(self.start[0]), y - np.float32(self.start[1]), z - np.float32(self.start[2])
        t = np.clip(px * share[0] + py * share[1] + pz * share[2], 0.0, 1.0)
        px = px - t * np.float32(along[0])
        py = py - t * np.float32(along[1])
        pz = pz - t * np.float32(along[2])
        radius = np.float32(self.start_mm) + t * np.float32(self.end_mm - self.start_mm)
        return np.asarray(radius - np.sqrt(px * px + py * py + pz * pz), dtype=np.float32)

    def mirrored(self) -> Rod:
        """The same on the other side of the head."""
        a, b = self.start, self.end
        return replace(self, start=(-a[0], a[1], a[2]), end=(-b[0], b[1], b[2]))


Shape = Ellipsoid | Rod


def both_sides(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Each shape and its mirror image."""
    return tuple(each for shape in shapes for each in (shape, shape.mirrored()))


@dataclass(frozen=True)
class Space:
    """Coordinates to draw in: a grid, and where its voxels lie once the brain has been bent and pushed.

    Attributes
    ----------
    x, y, z : (slices, rows, columns), mm
    slack_mm
        How far these may lie from the grid's own coordinates.
    """

    grid: HeadGrid
    x: FloatArray
    y: FloatArray
    z: FloatArray
    slack_mm: float = 0.0

    @classmethod
    def straight(cls, grid: HeadGrid) -> Space:
        """The grid's own coordinates."""
        return cls(grid, grid.x, grid.y, grid.z)

    def box(self, shape: Shape, margin_mm: float = 2.0) -> Box:
        """Where a shape can be seen."""
        low, high = shape.bounds()
        reach = margin_mm + self.slack_mm + self.grid.pixel_mm
        return self.grid.box(
            (low[0] - reach, low[1] - reach, low[2] - reach), (high[0] + reach, high[1] + reach, high[2] + reach)
        )

    def deepen(self, depth_mm: FloatArray, shapes: Iterable[Shape], extra_mm: float = 0.0) -> None:
        """Join shapes, grown by ``extra_mm``, to a signed depth, in place."""
        for shape in shapes:
            box = self.box(shape, 4.0 + max(extra_mm, 0.0))
            part = depth_mm[box]
            if part.size:
                grown = shape.depth(self.x[box], self.y[box], self.z[box]) + np.float32(extra_mm)
                np.maximum(part, grown, out=part)

    def paint(self, hu: FloatArray, shapes: Iterable[Shape], value_hu: float, softness_mm: float = 0.0) -> None:
        """Paint shapes, in place."""
        for shape in shapes:
            box = self.box(shape)
            if hu[box].size:
                depth = shape.depth(self.x[box], self.y[box], self.z[box])
                blend(hu[box], self.grid.coverage(depth, softness_mm), value_hu)
