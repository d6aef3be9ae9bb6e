"""Made-up blood in real heads, with the scan's own grain and the push of large bleeds.

In: a real head CT without blood. Out: the same head with bleeds over several slices, and their masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage_node.core.finding import SUBTYPES
from triage_node.phantom.compartments import find_compartments
from triage_node.phantom.geometry import FloatArray, blend
from triage_node.phantom.head import VISIBLE
from triage_node.phantom.lesion_plan import Compartments, LesionPlan, planned_bleeds
from triage_node.phantom.lesion_shapes import drawn, oedema
from triage_node.phantom.lesion_statistics import drawn_kinds
from triage_node.phantom.scans import Lesion
from triage_node.phantom.texture import Texture

_PUSHING = ("CPH", "SDH", "EDH")
_GRAIN_GAIN = np.float32(1.25)
"""What the blur leaves of the grain is added back."""

_WALL_HU = 125.0
"""Voxels brighter than this before pasting are bone: they are never part of a mask."""


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
    seed
        The same seed gives the same bleeds.
    kinds
        Kinds to paste; None draws them (always at least one). A kind that the head has no place for is left out.
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
    texture = Texture(rng)
    hu = np.array(volume_hu, dtype=np.float32)
    masks = np.zeros(hu.shape, dtype=np.uint8)
    still = planned_bleeds(rng, (kind for kind in wanted if kind not in _PUSHING), space)
    pushing = planned_bleeds(rng, (kind for kind in wanted if kind in _PUSHING), space)
    lesions = [_paste(hu, masks, plan, space, rng, texture) for plan in still]
    for plan in pushing:
        _push(hu, masks, plan, space)
    lesions += [_paste(hu, masks, plan, space, rng, texture) for plan in pushing]
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), masks, tuple(lesions)


def _paste(
    hu: FloatArray,
    masks: npt.NDArray[np.uint8],
    plan: LesionPlan,
    space: Compartments,
    rng: np.random.Generator,
    texture: Texture,
) -> Lesion:
    """Paste one bleed into HU and masks, in place."""
    bleed = drawn(rng, plan, space, texture)
    part = hu[bleed.box]
    grain = _grain(part, space.grid.pixel_mm)
    shown = (bleed.amount > VISIBLE) & (part < _WALL_HU)
    if plan.kind == "CPH" and rng.random() < 0.75:
        swollen = oedema(rng, plan, space, bleed.box, texture)
        blend(part, swollen, np.minimum(float(rng.uniform(14, 24)) + grain, part))
    blend(part, bleed.amount, np.maximum(bleed.value_hu + grain, part - 4.0))
    masks[bleed.box] |= (shown << SUBTYPES.index(plan.kind)).astype(np.uint8)
    return Lesion(plan.kind, float(bleed.amount.sum()) * space.grid.voxel_ml, plan.hu, plan.variant)


def _grain(hu: FloatArray, pixel_mm: float) -> FloatArray:
    """The scan's own fine texture: what a blur of 1 mm takes away, without edges, at its full strength."""
    sigma = 1.0 / pixel_mm
    fine = np.clip(hu, -20.0, 90.0)
    fine -= ndimage.gaussian_filter(fine, (0, sigma, sigma), truncate=2.5)
    return np.asarray(np.clip(_GRAIN_GAIN * fine, -9.0, 9.0), dtype=np.float32)


def _push(hu: FloatArray, masks: npt.NDArray[np.uint8], plan: LesionPlan, space: Compartments) -> None:
    """Move brain away from a large bleed, in the plane and toward the other side, in place."""
    push_mm = min(0.12 * plan.volume_ml, 9.0)
    if push_mm < 1.0:
        return
    x, y, z = plan.center_mm
    grid = space.grid
    box = grid.box((-95.0, y - 85.0, z - 60.0), (95.0, y + 85.0, z + 60.0))
    part = grid.part(box)
    fade = np.exp(-np.square((part.y - y) / 45.0) - np.square((part.z - z) / 32.0))
    fade /= 1.0 + np.square((part.x - 0.6 * x) / 50.0)
    fade *= np.clip(space.depth_mm[box] / 12.0, 0.0, 1.0)
    shift = np.asarray(np.sign(x) * push_mm / grid.pixel_mm * fade, dtype=np.float32)
    rows = np.arange(part.shape[1], dtype=np.float32)[:, None]
    columns = np.arange(part.shape[2], dtype=np.float32)[None, :]
    for at in range(part.shape[0]):
        if float(np.abs(shift[at]).max()) < 0.5:
            continue
        moved = np.stack(np.broadcast_arrays(rows, columns + shift[at]))
        plane, marked = hu[box][at], masks[box][at]
        # cubic, so that the grain keeps its strength where tissue has moved
        warped = ndimage.map_coordinates(np.clip(plane, -100.0, 200.0), moved, order=3, mode="nearest")
        np.copyto(plane, warped, where=(np.abs(shift[at]) > 0.05) & (np.abs(plane) < 100.0))
        marked[...] = ndimage.map_coordinates(marked, moved, order=0, mode="nearest")
