"""Whether pixels show a human head without contrast, whatever the tags say.

In: a volume in HU. Out: a refusal with what was measured, or None. The question is coarse on purpose: a bleeding brain, a
broken skull or one without its bone flap must pass, while a body, an empty shell and a water phantom must not. Each slice is
looked at from the middle of what bone encloses: rays go out to the first bone, and what lies on them is the inside. A slice
is brain when bone stands around most of it and most of the inside has the HU of brain, fluid or blood.

What the limits rest on: 52 trauma heads of CT-ICH and one GE head measure 1030 to 1950 ml, spread 20 to 43 HU, median 29 to
38 HU; chest, abdomen, pelvis and an empty plastic skull measure 0 ml.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.core.reason import Reason, Refusal

BONE_HU = 300.0
TISSUE_HU = (0.0, 100.0)
"""Fluid, brain, clotted blood; fat and air lie below, bone and vessels with contrast above."""

LEAST_BRAIN_ML = 200.0
"""Half of what a newborn has; an adult has 1200."""

LEAST_BONE_SHARE = 0.55
"""Of the directions in which bone is met. A hemicraniectomy takes a third of them in its slices."""

LEAST_TISSUE_SHARE = 0.7
LEAST_INSIDE_CM2 = 25.0
MEDIAN_HU = (12.0, 75.0)
LEAST_SPREAD_HU = 10.0
"""Between the 5th and the 95th percentile: fluid, white and grey matter differ by 30 HU, a filled shell only by noise."""

CONTRAST_HU = (110.0, 500.0)
"""Vessels after contrast; clotted blood ends at 100, metal begins above."""

CONTRAST_AREA_MM2 = 25.0
"""Bright area in the median slice of the vault, away from bone: at most 3 in all heads measured. Calcifications and clips fill
single slices, vessels with contrast fill most."""

LEAST_VAULT_MM = 45.0
"""Less of the vault is no evidence: near the skull base bone comes into the inside and looks like contrast."""

_VAULT_BONE_SHARE, _VAULT_TISSUE_SHARE, _VAULT_INSIDE_CM2 = 0.9, 0.96, 60.0
_CELL_MM = 2.0
_GROUP_MM = 4.0
_RAYS = 72
_STEP_MM = 2.0
_NEAREST_BONE_MM = 24.0
_FARTHEST_BONE_MM = 112.0
_AWAY_FROM_BONE_MM = 8.0

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Section:
    """What one slice shows from its middle outwards: shares 0 to 1, areas, and the tissue's values (HU)."""

    bone_share: float
    inside_cm2: float
    tissue_share: float
    bright_mm2: float
    tissue_hu: FloatArray

    @property
    def is_brain(self) -> bool:
        return (
            self.bone_share >= LEAST_BONE_SHARE
            and self.inside_cm2 >= LEAST_INSIDE_CM2
            and self.tissue_share >= LEAST_TISSUE_SHARE
        )

    @property
    def is_vault(self) -> bool:
        """Whether the slice lies above the skull base: a closed ring with nothing but brain in it."""
        return (
            self.bone_share >= _VAULT_BONE_SHARE
            and self.inside_cm2 >= _VAULT_INSIDE_CM2
            and self.tissue_share >= _VAULT_TISSUE_SHARE
        )


def check_head(
    volume_hu: npt.NDArray[np.int16], pixel_spacing_mm: tuple[float, float], slice_spacing_mm: float
) -> Refusal | None:
    """Return why the pixels are not to be read, or None.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU, slice 0 the most inferior
    pixel_spacing_mm : between rows, between columns

    Examples
    --------
    >>> check_head(np.full((10, 64, 64), -1024, np.int16), (3.0, 3.0), 10.0)
    Refusal(reason=<Reason.NOT_HEAD: 'NOT_HEAD'>, detail='0 ml of brain inside a skull, at least 200 ml are needed')
    """
    grouped = max(1, round(_GROUP_MM / max(slice_spacing_mm, 0.1)))
    mean_hu, bone, cell_mm = _cells(volume_hu, pixel_spacing_mm, grouped)
    tissue = ~bone & (mean_hu > TISSUE_HU[0]) & (mean_hu < TISSUE_HU[1])
    enclosed = _enclosed(bone) & tissue
    sections = [_section(mean_hu[index], bone[index], enclosed[index], cell_mm) for index in range(len(mean_hu))]
    brain = [each for each in sections if each.is_brain]
    section_mm = slice_spacing_mm * grouped
    brain_ml = sum(each.inside_cm2 * each.tissue_share for each in brain) * section_mm / 10.0
    if brain_ml < LEAST_BRAIN_ML:
        detail = f"{brain_ml:.0f} ml of brain inside a skull, at least {LEAST_BRAIN_ML:.0f} ml are needed"
        return Refusal(Reason.NOT_HEAD, detail)
    return _tissue_refusal(brain) or _contrast_refusal(brain, section_mm)


def _tissue_refusal(brain: list[_Section]) -> Refusal | None:
    values = np.concatenate([each.tissue_hu for each in brain])
    low, median, high = (float(each) for each in np.percentile(values, [5, 50, 95]))
    if not MEDIAN_HU[0] <= median <= MEDIAN_HU[1]:
        return Refusal(
            Reason.NOT_HEAD, f"the inside of the skull has {median:.0f} HU, brain has {MEDIAN_HU[0]:.0f} or more"
        )
    if high - low < LEAST_SPREAD_HU:
        return Refusal(Reason.NOT_HEAD, f"the inside of the skull is uniform: {high - low:.0f} HU between 5 % and 95 %")
    return None


def _contrast_refusal(brain: list[_Section], section_mm: float) -> Refusal | None:
    vault = [each.bright_mm2 for each in brain if each.is_vault]
    if len(vault) * section_mm < LEAST_VAULT_MM:
        return None
    bright_mm2 = float(np.median(vault))
    if bright_mm2 < CONTRAST_AREA_MM2:
        return None
    detail = f"{bright_mm2:.0f} mm2 of {CONTRAST_HU[0]:.0f} HU and more inside the brain of most slices"
    return Refusal(Reason.CONTRAST, detail)


def _cells(
    volume_hu: npt.NDArray[np.int16], pixel_spacing_mm: tuple[float, float], grouped: int
) -> tuple[FloatArray, BoolArray, tuple[float, float]]:
    """Reduce to cells of about 2 mm and groups of slices: mean HU, whether bone is in it, and a cell's height and width.

    The brightest pixel decides on bone, so that the thin skull of a child is not averaged away.
    """
    slices, rows, columns = volume_hu.shape
    down, across = (max(1, int(_CELL_MM / spacing)) for spacing in pixel_spacing_mm)
    cut = volume_hu[:, : rows // down * down, : columns // across * across]
    lines = cut[:, ::down].astype(np.int32)
    highest = cut[:, ::down].copy()
    for offset in range(1, down):
        lines += cut[:, offset::down]
        np.maximum(highest, cut[:, offset::down], out=highest)
    total, peak = lines[:, :, ::across].copy(), highest[:, :, ::across].copy()
    for offset in range(1, across):
        total += lines[:, :, offset::across]
        np.maximum(peak, highest[:, :, offset::across], out=peak)
    starts = np.arange(0, slices, grouped)
    counts = np.diff(np.append(starts, slices)).astype(np.float32) * (down * across)
    mean_hu = np.add.reduceat(total, starts, axis=0) / counts[:, None, None]
    bone = np.maximum.reduceat(peak, starts, axis=0) > BONE_HU
    return mean_hu.astype(np.float32), bone, (pixel_spacing_mm[0] * down, pixel_spacing_mm[1] * across)


def _enclosed(bone: BoolArray) -> BoolArray:
    """Return what has bone on at least three of four sides: the fourth may be a bone flap."""
    along = np.logical_or.accumulate
    sides = along(bone, axis=1).astype(np.int8)
    sides += along(bone[:, ::-1], axis=1)[:, ::-1]
    sides += along(bone, axis=2)
    sides += along(bone[:, :, ::-1], axis=2)[:, :, ::-1]
    enclosed: BoolArray = sides >= 3
    return enclosed


def _section(mean_hu: FloatArray, bone: BoolArray, enclosed: BoolArray, cell_mm: tuple[float, float]) -> _Section:
    """Look at one slice along rays from the middle of its enclosed tissue."""
    rows, columns = np.nonzero(enclosed)
    if not len(rows):
        return _Section(0.0, 0.0, 0.0, 0.0, np.empty(0, np.float32))
    angles = np.arange(_RAYS) * (2 * np.pi / _RAYS)
    radii = np.arange(_STEP_MM, _FARTHEST_BONE_MM + 1, _STEP_MM)
    along_rows = np.rint(np.median(rows) + np.sin(angles)[:, None] * radii / cell_mm[0]).astype(np.intp)
    along_columns = np.rint(np.median(columns) + np.cos(angles)[:, None] * radii / cell_mm[1]).astype(np.intp)
    seen = (along_rows >= 0) & (along_rows < bone.shape[0]) & (along_columns >= 0) & (along_columns < bone.shape[1])
    place = (along_rows.clip(0, bone.shape[0] - 1), along_columns.clip(0, bone.shape[1] - 1))
    ray_bone = bone[place] & seen & (radii >= _NEAREST_BONE_MM)
    met = ray_bone.any(axis=1)
    reach = np.where(met, radii[ray_bone.argmax(axis=1)], 0.0)[:, None]
    ray_hu = mean_hu[place]
    inside = radii < reach
    weight_mm2 = radii * (_STEP_MM * 2 * np.pi / _RAYS)
    tissue = inside & (ray_hu > TISSUE_HU[0]) & (ray_hu < TISSUE_HU[1])
    bright = (radii < reach - _AWAY_FROM_BONE_MM) & (ray_hu > CONTRAST_HU[0]) & (ray_hu < CONTRAST_HU[1])
    inside_mm2 = float((inside * weight_mm2).sum())
    return _Section(
        bone_share=float(met.mean()),
        inside_cm2=inside_mm2 / 100.0,
        tissue_share=float((tissue * weight_mm2).sum()) / max(inside_mm2, 1.0),
        bright_mm2=float((bright * weight_mm2).sum()),
        tissue_hu=ray_hu[tissue],
    )
