"""Where slices lie in the patient: the normal, the position along it, the order, the tilt.

In: positions and orientations as the scanner wrote them. Out: the slices in order. The direction of the slice axis is
defined here and nowhere else: the normal points to the head, so index 0 is the most inferior slice. InstanceNumber is never
asked: vendors count from either end. Answers to PS3.3 C.7.6.2.1.1 (Image Position and Orientation, axes in PS3.3 C.7.6.2.1.1:
x to the patient's left, y to the back, z to the head).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

SAME_POSITION_MM = 0.1
"""Slices nearer to each other than this lie at one position; the thinnest reconstructions are 0.2 mm apart."""

PARALLEL_DEG = 1.0
"""Slices whose normals differ by less belong to one stack: cosines written with three digits differ by 0.1 degrees."""

_UNIT_TOLERANCE = 0.05

Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class SlicePlane:
    """One slice.

    Attributes
    ----------
    instance
        Index into the series' headers.
    frame_number
        1-based frame within the instance; 1 for a single-frame instance.
    position_mm : (x, y, z), centre of the first pixel
    orientation : direction cosines of a row, then of a column
    thickness_mm
        None where it is not said.
    """

    instance: int
    frame_number: int
    position_mm: Vector
    orientation: Orientation
    thickness_mm: float | None = None


@dataclass(frozen=True)
class StackGeometry:
    """Parallel slices in order.

    Attributes
    ----------
    slices
        From inferior to superior, one a position.
    repeated
        For each position that more than one slice claims, all of its slices, the one in ``slices`` first.
    positions_mm : (slices,), along the normal, ascending
    slice_spacing_mm
        Median distance of neighbours along the normal; the thickness, or 0, for a single slice.
    tilt_deg
        Angle between the normal and the long axis of the patient, 0 to 90.
    """

    slices: tuple[SlicePlane, ...]
    repeated: tuple[tuple[SlicePlane, ...], ...]
    positions_mm: tuple[float, ...]
    slice_spacing_mm: float
    tilt_deg: float

    @property
    def gaps_mm(self) -> tuple[float, ...]:
        """Distances of neighbours along the normal, (slices - 1,)."""
        return tuple(upper - lower for lower, upper in pairwise(self.positions_mm))

    @property
    def coverage_mm(self) -> float:
        """Extent along the normal, half a spacing beyond the first and the last slice included."""
        return self.positions_mm[-1] - self.positions_mm[0] + self.slice_spacing_mm


def is_orthonormal(orientation: Sequence[float]) -> bool:
    """Tell whether row and column are unit vectors at right angles, within what rounding explains.

    Examples
    --------
    >>> is_orthonormal((1, 0, 0, 0, 1, 0)), is_orthonormal((0, 0, 0, 0, 0, 0))
    (True, False)
    """
    row, column = orientation[:3], orientation[3:]
    return (
        abs(math.hypot(*row) - 1) < _UNIT_TOLERANCE
        and abs(math.hypot(*column) - 1) < _UNIT_TOLERANCE
        and abs(sum(r * c for r, c in zip(row, column, strict=True))) < _UNIT_TOLERANCE
    )


def slice_normal(orientation: Sequence[float]) -> Vector:
    """Return the unit normal of a slice, pointing to the head (for an upright slice: along its greatest component).

    Examples
    --------
    >>> slice_normal((1, 0, 0, 0, 1, 0))
    (0.0, 0.0, 1.0)
    >>> slice_normal((-1, 0, 0, 0, 1, 0))
    (0.0, 0.0, 1.0)
    """
    a, b, c, d, e, f = orientation
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    leading = z if abs(z) > 0.01 else max((x, y), key=abs)
    length = math.copysign(math.hypot(x, y, z), leading)
    return (x / length + 0.0, y / length + 0.0, z / length + 0.0)


def position_along(normal: Vector, position_mm: Sequence[float]) -> float:
    """Return how far along a normal a position lies (mm).

    Examples
    --------
    >>> position_along((0.0, 0.0, 1.0), (-120.0, -110.0, 35.0))
    35.0
    """
    return sum(n * p for n, p in zip(normal, position_mm, strict=True))


def tilt_deg(orientation: Sequence[float]) -> float:
    """Return the angle between a slice's normal and the long axis of the patient (degrees).

    From the orientation, which is right for a tilted gantry and for a tilted head; GantryDetectorTilt differs in sign
    between vendors and is empty after a reformat.

    Examples
    --------
    >>> round(tilt_deg((1, 0, 0, 0, 0.9483237, -0.3173047)), 1)
    18.5
    """
    return math.degrees(math.acos(min(1.0, abs(slice_normal(orientation)[2]))))


def parallel_groups(planes: Sequence[SlicePlane]) -> tuple[tuple[SlicePlane, ...], ...]:
    """Sort slices into groups of parallel ones, the largest first.

    Examples
    --------
    >>> axial, sagittal = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)
    >>> planes = [SlicePlane(i, 1, (0, 0, i), way) for i, way in enumerate([axial, sagittal, axial])]
    >>> [len(group) for group in parallel_groups(planes)]
    [2, 1]
    """
    limit = math.cos(math.radians(PARALLEL_DEG))
    groups: list[tuple[Vector, list[SlicePlane]]] = []
    for plane in planes:
        normal = slice_normal(plane.orientation)
        for other, members in groups:
            if abs(position_along(normal, other)) >= limit:
                members.append(plane)
                break
        else:
            groups.append((normal, [plane]))
    return tuple(tuple(members) for _, members in sorted(groups, key=lambda each: -len(each[1])))


def measured_stack(planes: Sequence[SlicePlane]) -> StackGeometry:
    """Put parallel slices in order, inferior to superior, whatever order they came in.

    Parameters
    ----------
    planes
        At least one; all parallel.

    Examples
    --------
    >>> axial = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    >>> stack = measured_stack([SlicePlane(i, 1, (0.0, 0.0, z), axial) for i, z in enumerate([10.0, 0.0, 5.0])])
    >>> [plane.instance for plane in stack.slices], stack.slice_spacing_mm
    ([1, 2, 0], 5.0)
    """
    normal = slice_normal(planes[0].orientation)
    # Slices at one position keep the order of the headers, so that the choice among them is the caller's.
    placed = sorted(
        ((position_along(normal, plane.position_mm), plane.instance, plane.frame_number, plane) for plane in planes),
        key=lambda each: each[:3],
    )
    positions: list[float] = []
    places: list[list[SlicePlane]] = []
    for position, _, _, plane in placed:
        if positions and position - positions[-1] < SAME_POSITION_MM:
            places[-1].append(plane)
        else:
            positions.append(position)
            places.append([plane])
    sorted_places = [tuple(sorted(each, key=lambda plane: (plane.instance, plane.frame_number))) for each in places]
    gaps = [upper - lower for lower, upper in pairwise(positions)]
    return StackGeometry(
        slices=tuple(each[0] for each in sorted_places),
        repeated=tuple(each for each in sorted_places if len(each) > 1),
        positions_mm=tuple(positions),
        slice_spacing_mm=float(median(gaps)) if gaps else (planes[0].thickness_mm or 0.0),
        tilt_deg=tilt_deg(planes[0].orientation),
    )
