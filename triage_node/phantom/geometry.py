"""Where each voxel of a made-up scan lies in the head, and how much of it a surface covers.

In: a scan's matrix, spacing, tilt and the patient's pose. Out: head coordinates in mm and soft (partial-volume) edges.
Head coordinates: x to the patient's left, y posterior, z superior; the origin lies between the thalami, so that the
vertex is at about +78 mm and the foramen magnum at about -62 mm.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray = npt.NDArray[np.float32]

FIELD_SPACING_MM = 3.0
FIELD_HALF_EXTENT_MM = (99.0, 126.0, 111.0)
"""Random fields are made on a lattice of ``FIELD_SPACING_MM`` over +/- these extents in z, y, x."""


@dataclass(frozen=True)
class Scan:
    """How a made-up head was scanned.

    Attributes
    ----------
    pixel_spacing_mm
        Along rows and columns alike.
    slice_spacing_mm, thickness_mm
        Distance between neighbouring planes along their normal; width of the slice profile.
    tilt_deg
        Gantry tilt; planes tilt, the table still moves along the patient.
    first_mm
        Table position (head z, mm) of slice 0 at the centre of the field of view.
    """

    slices: int
    size: int
    pixel_spacing_mm: float
    slice_spacing_mm: float
    thickness_mm: float
    tilt_deg: float
    first_mm: float
    center_mm: tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """How the head lies in the scanner: rotations in degrees and scale along x, y, z."""

    yaw_deg: float
    roll_deg: float
    pitch_deg: float
    scale: tuple[float, float, float]


def _rotation(pose: Pose) -> npt.NDArray[np.float64]:
    yaw, roll, pitch = (math.radians(each) for each in (pose.yaw_deg, pose.roll_deg, pose.pitch_deg))
    about_z = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    about_y = np.array([[math.cos(roll), 0, math.sin(roll)], [0, 1, 0], [-math.sin(roll), 0, math.cos(roll)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    return np.asarray(about_z @ about_y @ about_x)


class HeadGrid:
    """Head coordinates of every voxel of a scan.

    Attributes
    ----------
    x, y, z : (slices, rows, columns), mm
    pixel_mm, profile
        Pixel size, and slice thickness as a fraction of the slice spacing.
    """

    def __init__(self, scan: Scan, pose: Pose) -> None:
        self.shape = (scan.slices, scan.size, scan.size)
        tilt = math.radians(scan.tilt_deg)
        table_step_mm = scan.slice_spacing_mm / math.cos(tilt)
        pixel = scan.pixel_spacing_mm
        # columns of `step`: change of patient position (x, y, z) for one slice, row, column
        step = np.array([[0, 0, pixel], [0, pixel * math.cos(tilt), 0], [table_step_mm, -pixel * math.sin(tilt), 0]])
        middle = (scan.size - 1) / 2
        origin = np.array([scan.center_mm[0], scan.center_mm[1], scan.first_mm]) - step @ np.array([0, middle, middle])
        to_head = np.diag(1 / np.asarray(pose.scale)) @ _rotation(pose)
        self.matrix = to_head @ step
        self.origin = to_head @ origin
        self.pixel_mm = pixel
        self.profile = scan.thickness_mm / scan.slice_spacing_mm
        self.voxel_ml = pixel * pixel * scan.slice_spacing_mm / 1000.0
        s, r, c = (np.arange(count, dtype=np.float64) for count in self.shape)
        self.x, self.y, self.z = (self._axis(row, s, r, c) for row in range(3))

    def _axis(
        self, row: int, s: npt.NDArray[np.float64], r: npt.NDArray[np.float64], c: npt.NDArray[np.float64]
    ) -> FloatArray:
        m = self.matrix[row]
        first = (self.origin[row] + m[0] * s).astype(np.float32)[:, None, None]
        return first + (m[1] * r).astype(np.float32)[None, :, None] + (m[2] * c).astype(np.float32)[None, None, :]

    def box(self, corners: tuple[tuple[float, float, float], tuple[float, float, float]]) -> tuple[slice, slice, slice]:
        """The part of the scan that holds a box of head coordinates (x, y, z; mm)."""
        low, high = corners
        points = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)], dtype=np.float64)
        index = np.linalg.solve(self.matrix, (points - self.origin).T)
        first = np.clip(np.floor(index.min(axis=1)) - 1, 0, np.array(self.shape)).astype(int)
        last = np.clip(np.ceil(index.max(axis=1)) + 2, 0, np.array(self.shape)).astype(int)
        s, r, c = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return s, r, c

    def coverage(self, depth_mm: FloatArray, softness_mm: float = 0.0) -> FloatArray:
        """How much of each voxel lies inside a surface, 0 to 1.

        Parameters
        ----------
        depth_mm : (slices, rows, columns), mm
            Signed distance, positive inside. Its change between slices widens the edge, as a thick slice does.
        """
        return coverage(depth_mm, self.pixel_mm, self.profile, softness_mm)

    def sampled(self, field: FloatArray, box: tuple[slice, slice, slice] | None = None) -> FloatArray:
        """Read a lattice field (z, y, x) at every voxel, or at those of a box, linearly."""
        half = np.array(FIELD_HALF_EXTENT_MM)
        first = np.zeros(3) if box is None else np.array([each.start or 0 for each in box])
        shape = self.shape if box is None else self.x[box].shape
        matrix = self.matrix[::-1] / FIELD_SPACING_MM
        offset = (self.origin[::-1] + self.matrix[::-1] @ first + half) / FIELD_SPACING_MM
        read = ndimage.affine_transform(
            field, matrix, offset, output_shape=shape, order=1, mode="nearest", output=np.float32
        )
        return np.asarray(read, dtype=np.float32)

    def part(self, box: tuple[slice, slice, slice]) -> HeadGrid:
        """The grid of a box of this one."""
        smaller = copy.copy(self)
        first = np.array([each.start or 0 for each in box])
        smaller.x, smaller.y, smaller.z = self.x[box], self.y[box], self.z[box]
        smaller.shape = smaller.x.shape
        smaller.origin = self.origin + self.matrix @ first
        return smaller


def coverage(depth_mm: FloatArray, pixel_mm: float, profile: float, softness_mm: float = 0.0) -> FloatArray:
    """See :meth:`HeadGrid.coverage`; for any stack of slices."""
    width = np.full_like(depth_mm, pixel_mm + softness_mm)
    if len(depth_mm) > 2:
        change = depth_mm[2:] - depth_mm[:-2]
        np.abs(change, out=change)
        change *= np.float32(0.5 * profile)
        np.minimum(change, np.float32(12.0), out=change)
        width[1:-1] += change
        width[0] += change[0]
        width[-1] += change[-1]
    np.divide(depth_mm, width, out=width)
    width += np.float32(0.5)
    return np.clip(width, 0.0, 1.0, out=width)


def lattice_points() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Head coordinates (z, y, x) of the lattice as open grids, mm."""
    axes = [np.arange(-half, half + 0.1, FIELD_SPACING_MM, dtype=np.float32) for half in FIELD_HALF_EXTENT_MM]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z, y, x


def smooth_field(rng: np.random.Generator, length_mm: float) -> FloatArray:
    """A random lattice field (z, y, x) of zero mean and unit SD that changes over about ``length_mm``."""
    shape = tuple(round(2 * half / FIELD_SPACING_MM) + 1 for half in FIELD_HALF_EXTENT_MM)
    white = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, length_mm / FIELD_SPACING_MM, mode="wrap", truncate=2.5)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def blend(volume: FloatArray, amount: FloatArray, value_hu: FloatArray | float) -> None:
    """Replace ``amount`` (0 to 1) of each voxel by ``value_hu``, in place."""
    volume += amount * (value_hu - volume)
