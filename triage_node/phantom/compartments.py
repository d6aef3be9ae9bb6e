"""Where bleeds can lie in a real head: inner skull, midline, CSF and ventricles, found in HU.

In: a head CT volume in HU. Out: the compartments that plans and shapes follow. The cavity is the soft tissue that bone
surrounds, followed slice by slice from the widest; the face is left out because bone does not surround it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage_node.phantom.geometry import FloatArray, HeadGrid, Pose, Scan
from triage_node.phantom.lesion_plan import POSTERIOR_Y_MM, Compartments

BONE_HU = 250.0
SMALLEST_CAVITY_MM2 = 5000.0
_WALL_HU = 95.0
"""Blurred HU from which a voxel beside the brain is bone."""
_FINE_MM = 0.9
"""In-plane spacing at which the wall is traced."""
_WORK_MM = 1.4
"""In-plane spacing at which compartments are searched for."""
_NECK_MM = 2.8
"""Half width of the bridges of tissue that do not count as a way out of the skull."""


class NoCavityFound(ValueError):
    """No closed skull was found: this volume cannot take pasted blood."""


def find_compartments(
    volume_hu: npt.NDArray[np.generic], pixel_spacing_mm: tuple[float, float], slice_spacing_mm: float
) -> Compartments:
    """Find inner skull, midline, CSF and ventricles of a real head.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    pixel_spacing_mm
        (row, column); square pixels are assumed.

    Raises
    ------
    NoCavityFound
        No closed skull was found.
    """
    hu = np.asarray(volume_hu, dtype=np.float32)
    pixel = float(pixel_spacing_mm[0])
    step = max(1, round(_WORK_MM / pixel))
    coarse = ndimage.uniform_filter(hu, (0, step, step))[:, ::step, ::step]
    cavity = _cavity(coarse, pixel * step)
    smooth = ndimage.gaussian_filter(hu, (0, 0.8 / pixel, 0.8 / pixel), truncate=2.5)
    depth = _depth(cavity, smooth, pixel, step)
    grid = _grid(hu.shape, pixel, slice_spacing_mm, cavity, step)
    midline = _midline(grid, cavity, step)
    fluid = np.clip((27.0 - smooth) / 14.0, 0.0, 1.0) * (depth > -1.0) * (smooth > -30.0)
    ventricle_zone = _ventricles(fluid, depth, midline, grid)
    ventricle = fluid * ventricle_zone
    surface = np.clip(1.0 - np.abs(depth - 1.5) / 1.2, 0.0, 1.0) * 0.5
    csf = np.maximum(fluid * (1.0 - ventricle_zone), surface)
    rise = _ventricle_height(ventricle, grid)
    above = grid.z - rise
    upper_falx = np.where((above > 12.0) | (np.abs(grid.y) > 38.0), np.abs(midline) - 0.8, np.float32(30.0))
    falx = np.where(above > -15.0, upper_falx, np.float32(30.0))
    tentorium = np.where(grid.y > POSTERIOR_Y_MM, above + 26.0, np.float32(40.0))
    return Compartments(
        grid,
        depth,
        midline,
        np.asarray(tentorium, dtype=np.float32),
        csf.astype(np.float32),
        ventricle.astype(np.float32),
        falx.astype(np.float32),
        np.full(hu.shape, 40.0, dtype=np.float32),
    )


def _cavity(coarse: FloatArray, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """The inside of the skull on the coarse grid: soft tissue with bone around it, from the widest slice outward."""
    bone = coarse > BONE_HU
    reach = max(1, round(_NECK_MM / pixel_mm))
    disk = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.3
    labels = [_enclosed(plane, hard, disk, pixel_mm) for plane, hard in zip(coarse, bone, strict=True)]
    areas = np.array([_largest_area(label) for label in labels]) * pixel_mm**2
    if areas.max(initial=0.0) < SMALLEST_CAVITY_MM2:
        raise NoCavityFound("no slice has a closed skull around at least 50 square centimetres")
    widest = int(np.argmax(areas))
    kept = np.zeros(coarse.shape, dtype=bool)
    sizes = np.bincount(labels[widest].ravel())
    sizes[0] = 0
    kept[widest] = labels[widest] == int(np.argmax(sizes))
    for order in (range(widest + 1, len(coarse)), range(widest - 1, -1, -1)):
        before = kept[widest]
        for at in order:
            kept[at] = _continued(labels[at], before)
            if not kept[at].any():
                break
            before = kept[at]
    for at, plane in enumerate(kept):
        kept[at] = ndimage.binary_fill_holes(ndimage.binary_dilation(plane, iterations=1)) & ~bone[at]
    return kept


def _enclosed(
    plane_hu: FloatArray, bone: npt.NDArray[np.bool_], disk: npt.NDArray[np.bool_], pixel_mm: float
) -> npt.NDArray[np.int32]:
    """Label the pieces of soft tissue in one slice that bone surrounds; 0 elsewhere."""
    soft = (plane_hu > -15) & (plane_hu < 110)
    core = ndimage.binary_erosion(soft, disk)
    label, count = ndimage.label(core)
    if not count:
        return np.zeros(soft.shape, dtype=np.int32)
    near_bone = ndimage.distance_transform_edt(~bone) * pixel_mm < _NECK_MM + 5.0
    shell = ndimage.grey_dilation(label, size=(3, 3)) * (label == 0)
    around = np.bincount(shell.ravel(), minlength=count + 1)
    guarded = np.bincount(shell[near_bone].ravel(), minlength=count + 1)
    large = np.bincount(label.ravel(), minlength=count + 1) * pixel_mm**2 > 60.0
    good = large & (guarded >= 0.8 * np.maximum(around, 1))
    good[0] = False
    label = np.where(good[label], label, 0)
    grown = ndimage.grey_dilation(label, footprint=disk)
    return np.asarray(np.where(soft, grown, 0), dtype=np.int32)


def _largest_area(label: npt.NDArray[np.int32]) -> int:
    return int(np.bincount(label.ravel())[1:].max(initial=0))


def _continued(label: npt.NDArray[np.int32], before: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pieces of a slice that lie mostly under or over the cavity of its neighbour."""
    sizes = np.bincount(label.ravel())
    shared = np.bincount(label[before].ravel(), minlength=len(sizes))
    good = shared > 0.6 * np.maximum(sizes, 1)
    good[0] = False
    return np.asarray(good[label])


def _depth(cavity: npt.NDArray[np.bool_], smooth_hu: FloatArray, pixel_mm: float, step: int) -> FloatArray:
    """Distance (mm) below the inner table, in the plane since thick slices tell little across it.

    The coarse cavity says which tissue is meant; its wall is where bone begins in the finer volume.
    """
    fine = max(1, round(_FINE_MM / pixel_mm))
    shown = smooth_hu[:, ::fine, ::fine]
    near = _enlarged(cavity.astype(np.float32), shown.shape, step / fine) > 0.1
    inside = near & (shown < _WALL_HU)
    depth = np.empty(shown.shape, dtype=np.float32)
    spacing_mm = pixel_mm * fine
    for at, plane in enumerate(inside):
        if not plane.any():
            depth[at] = -60.0
            continue
        whole = ndimage.binary_fill_holes(ndimage.binary_opening(plane))
        within = ndimage.distance_transform_edt(whole) * spacing_mm
        beyond = ndimage.distance_transform_edt(~whole) * spacing_mm
        depth[at] = np.where(whole, within - 0.5 * spacing_mm, 0.5 * spacing_mm - beyond)
    return _enlarged(depth, smooth_hu.shape, fine)


def _enlarged(coarse: FloatArray, shape: tuple[int, ...], step: float) -> FloatArray:
    """Interpolate what is known at every ``step``-th row and column."""
    matrix = np.array([1.0, 1 / step, 1 / step])
    return np.asarray(
        ndimage.affine_transform(coarse, matrix, output_shape=shape, order=1, mode="nearest"), dtype=np.float32
    )


def _grid(
    shape: tuple[int, ...], pixel: float, slice_spacing_mm: float, cavity: npt.NDArray[np.bool_], step: int
) -> HeadGrid:
    """Millimetres around the middle of the cavity, z from 60 mm below the highest slice of it."""
    _, rows, columns = np.nonzero(cavity)
    middle = (shape[1] - 1) / 2
    top = int(np.flatnonzero(cavity.any(axis=(1, 2)))[-1])
    center = ((middle - float(columns.mean()) * step) * pixel, (middle - float(rows.mean()) * step) * pixel)
    scan = Scan(
        shape[0], shape[1], pixel, slice_spacing_mm, slice_spacing_mm, 0.0, 70.0 - top * slice_spacing_mm, center
    )
    return HeadGrid(scan, Pose(0.0, 0.0, 0.0, (1.0, 1.0, 1.0)))


def _midline(grid: HeadGrid, cavity: npt.NDArray[np.bool_], step: int) -> FloatArray:
    """Signed distance (mm) from the plane halfway between the two walls."""
    coarse = (slice(None), slice(None, None, step), slice(None, None, step))
    x, y, z = grid.x[coarse], grid.y[coarse], grid.z[coarse]
    width = cavity.sum(axis=2)
    rows = width * grid.pixel_mm * step > 60.0
    middle = (x * cavity).sum(axis=2)[rows] / np.maximum(width[rows], 1)
    plane = np.stack([np.ones(len(middle)), y[:, :, 0][rows], z[:, :, 0][rows]], axis=1)
    a, b, c = np.linalg.lstsq(plane, middle, rcond=None)[0]
    return np.asarray(grid.x - np.float32(a) - np.float32(b) * grid.y - np.float32(c) * grid.z, dtype=np.float32)


def _ventricles(fluid: FloatArray, depth: FloatArray, midline: FloatArray, grid: HeadGrid) -> npt.NDArray[np.bool_]:
    """Where fluid belongs to the lateral ventricles: deep, near the midline, in pieces of some size."""
    zone = (depth > 24.0) & (np.abs(midline) < 36.0) & (grid.z > -25.0) & (grid.z < 45.0)
    core = (fluid > 0.55) & zone
    core = ndimage.binary_opening(core, np.ones((1, 3, 3), dtype=bool))
    label, count = ndimage.label(core, np.ones((3, 3, 3)))
    if not count:
        return np.zeros(fluid.shape, dtype=bool)
    sizes = np.bincount(label.ravel()) * grid.voxel_ml
    sizes[0] = 0.0
    kept = np.isin(label, np.flatnonzero(sizes >= min(0.4, float(sizes.max()))))
    weight = np.maximum(kept.sum(), 1)
    middle_y, middle_z = float((grid.y * kept).sum() / weight), float((grid.z * kept).sum() / weight)
    # quadrigeminal cistern and fissure lie in the midline, behind and above the ventricles
    outside = (np.abs(midline) < 8.0) & (
        (grid.y > middle_y + 8.0) | (grid.z > middle_z + 16.0) | (grid.z < middle_z - 18.0)
    )
    kept &= ~outside
    zone &= ~outside
    return np.asarray(ndimage.binary_dilation(kept, iterations=2) & zone)


def _ventricle_height(ventricle: FloatArray, grid: HeadGrid) -> float:
    """The height (mm) of the middle of the ventricles; 10 mm where none were found."""
    weight = ventricle.sum(axis=(1, 2))
    if weight.sum() * grid.voxel_ml < 0.5:
        return 10.0
    return float((weight * grid.z[:, 0, 0]).sum() / weight.sum())
