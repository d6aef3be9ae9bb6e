"""Made-up blood in real heads: the compartments are found in HU, the bleeds keep the scan's own grain.

In: a real head CT without blood. Out: the same head with bleeds over several slices, and their masks. Where the inner
skull cannot be told (open skull, face alone), nothing is pasted there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage_node.core.finding import SUBTYPES
from triage_node.phantom.geometry import FloatArray, HeadGrid, Pose, Scan, blend
from triage_node.phantom.head import VISIBLE, Lesion
from triage_node.phantom.hemorrhage import Compartments, LesionPlan, drawn, planned
from triage_node.phantom.lesion_statistics import drawn_kinds
from triage_node.phantom.texture import Texture

BONE_HU = 250.0
SMALLEST_CAVITY_MM2 = 5000.0
_WORK_MM = 1.4
"""In-plane spacing at which compartments are searched for."""
_NECK_MM = 2.8
"""Half width of the bridges of tissue that do not count as a way out of the skull."""


class NoCavityFound(ValueError):
    """No closed skull was found: this volume cannot take pasted blood."""


def paste_blood(
    volume_hu: npt.NDArray[np.generic],
    pixel_spacing_mm: tuple[float, float],
    slice_spacing_mm: float,
    seed: int,
    kinds: Sequence[str] | None = None,
    *,
    compartments: Compartments | None = None,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], tuple[Lesion, ...]]:
    """Paste bleeds into a real head.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU
    pixel_spacing_mm
        (row, column); square pixels are assumed.
    kinds
        Kinds to paste; None draws them (always at least one).
    compartments
        What :func:`find_compartments` gave for the same volume, where many variants of one head are made.

    Returns
    -------
    volume_hu : int16, masks : uint8 bit field as in :class:`~triage_node.phantom.head.PhantomHead`, lesions

    Raises
    ------
    NoCavityFound
        No closed skull was found.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    wanted = drawn_kinds(rng, bleeding=1.0) if kinds is None else tuple(k for k in SUBTYPES if k in kinds)
    space = compartments or find_compartments(volume_hu, pixel_spacing_mm, slice_spacing_mm)
    hu = np.array(volume_hu, dtype=np.float32)
    grain = _grain(hu, space.grid.pixel_mm)
    texture = Texture(rng)
    masks = np.zeros(hu.shape, dtype=np.uint8)
    lesions = []
    for kind in wanted:
        plan = planned(rng, kind, space)
        if plan is None:
            continue
        bleed = drawn(rng, plan, space, texture)
        part = hu[bleed.box]
        target = bleed.value_hu + grain[bleed.box]
        blend(part, bleed.amount, np.maximum(target, part - 4.0))
        shown = bleed.amount > VISIBLE
        masks[bleed.box] |= (shown << SUBTYPES.index(kind)).astype(np.uint8)
        lesions.append(Lesion(kind, float(bleed.amount.sum()) * space.grid.voxel_ml, plan.hu, plan.variant))
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), masks, tuple(lesions)


def find_compartments(
    volume_hu: npt.NDArray[np.generic], pixel_spacing_mm: tuple[float, float], slice_spacing_mm: float
) -> Compartments:
    """Find inner skull, midline, CSF and ventricles of a real head.

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
    spacing = (slice_spacing_mm, pixel * step, pixel * step)
    depth_coarse = _signed_depth(cavity, spacing)
    depth = _enlarged(depth_coarse, hu.shape)
    smooth = ndimage.gaussian_filter(hu, (0, 0.8 / pixel, 0.8 / pixel), truncate=3.0)
    # the true wall is where bone begins: the coarse depth is refined by it
    depth = np.where((depth < 4.0) & (smooth > 110.0), np.minimum(depth, -0.5), depth)
    grid = _grid(hu.shape, pixel, slice_spacing_mm, cavity, step)
    midline = _midline(grid, cavity, step)
    fluid = np.clip((27.0 - smooth) / 14.0, 0.0, 1.0) * (depth > -1.0) * (smooth > -30.0)
    ventricle_zone = _ventricles(fluid, depth, midline, grid, step)
    ventricle = fluid * ventricle_zone
    surface = np.clip(1.0 - np.abs(depth - 1.0) / 1.2, 0.0, 1.0) * 0.5
    csf = np.maximum(fluid * (1.0 - ventricle_zone), surface)
    rise = _ventricle_height(ventricle, grid)
    above = grid.z - rise
    upper_falx = np.where((above > 12.0) | (np.abs(grid.y) > 38.0), np.abs(midline) - 0.8, np.float32(30.0))
    falx = np.where(above > -15.0, upper_falx, np.float32(30.0))
    return Compartments(
        grid,
        depth,
        midline,
        np.asarray(above + 26.0, dtype=np.float32),
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


def _signed_depth(cavity: npt.NDArray[np.bool_], spacing: tuple[float, float, float]) -> FloatArray:
    """Distance (mm) from the wall: in the plane, since thick slices tell little across it."""
    depth = np.empty(cavity.shape, dtype=np.float32)
    for at, plane in enumerate(cavity):
        inside = ndimage.distance_transform_edt(plane, spacing[1:])
        outside = ndimage.distance_transform_edt(~plane, spacing[1:]) if plane.any() else np.full(plane.shape, 60.0)
        depth[at] = np.where(plane, inside - 0.5 * spacing[1], 0.5 * spacing[1] - outside)
    return depth


def _enlarged(coarse: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    step = shape[1] / coarse.shape[1]
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


def _ventricles(
    fluid: FloatArray, depth: FloatArray, midline: FloatArray, grid: HeadGrid, step: int
) -> npt.NDArray[np.bool_]:
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
    return np.asarray(ndimage.binary_dilation(kept, iterations=2) & zone)


def _ventricle_height(ventricle: FloatArray, grid: HeadGrid) -> float:
    """The height (mm) of the middle of the ventricles; 10 mm where none were found."""
    weight = ventricle.sum(axis=(1, 2))
    if weight.sum() * grid.voxel_ml < 0.5:
        return 10.0
    return float((weight * grid.z[:, 0, 0]).sum() / weight.sum())


def _grain(hu: FloatArray, pixel_mm: float) -> FloatArray:
    """The scan's own fine texture: what a blur of 1.5 mm takes away, without edges."""
    grain = hu - ndimage.gaussian_filter(hu, (0, 1.5 / pixel_mm, 1.5 / pixel_mm), truncate=3.0)
    return np.clip(grain, -12.0, 12.0)


__all__ = ["LesionPlan", "NoCavityFound", "find_compartments", "paste_blood"]
