"""Grey and white matter, CSF spaces, dura and calcium of a made-up brain.

In: brain coordinates, depth below the inner table, proportions. Out: HU inside the cavity and the soft masks that the
lesions follow. Tissue values: CSF 0-15, white 20-30, grey 37-45 HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from triage_node.phantom.geometry import FIELD_SPACING_MM, FloatArray, HeadGrid, blend, lattice_points, smooth_field
from triage_node.phantom.skull import Cavity
from triage_node.phantom.ventricles import VentricleSize, capsule_depth, ellipsoid_depth, ventricle_depth


@dataclass(frozen=True)
class BrainTraits:
    """What varies from brain to brain (HU, mm)."""

    white_hu: float
    grey_hu: float
    csf_hu: float
    gap_mm: float
    sulcus_mm: float
    sylvian_mm: float
    ventricles: VentricleSize
    falx_hu: float
    venous_hu: float
    leukoaraiosis_hu: float


@dataclass(frozen=True)
class Brain:
    """Soft masks (0 to 1) and distances that lesions follow; (slices, rows, columns).

    Attributes
    ----------
    csf, ventricle
        Coverage by CSF outside and inside the ventricles.
    depth_mm
        Distance below the inner table.
    midline_mm
        Signed distance from the falx, positive to the left.
    tentorium_mm
        Height above the tentorium.
    falx, tentorium
        Where these dural sheets are (0 to 1).
    """

    csf: FloatArray
    ventricle: FloatArray
    depth_mm: FloatArray
    midline_mm: FloatArray
    tentorium_mm: FloatArray
    falx: FloatArray
    tentorium: FloatArray
    sheet_mm: FloatArray


def folded_ribbon(rng: np.random.Generator) -> FloatArray:
    """Distance (mm) to the nearest sulcus as a lattice field: zero sheets of a band-pass field, upright to the surface."""
    field = smooth_field(rng, 6.2)
    z, y, x = lattice_points()
    radius = np.sqrt(x * x + y * y * 0.62 + z * z) + 1e-3
    stretch = (62.0 / radius) ** 0.8
    stretch = np.where(radius < 20, (62.0 / 20) ** 0.8, stretch)
    half = np.array([99.0, 126.0, 111.0])
    at = [
        np.clip((axis * stretch + h) / FIELD_SPACING_MM, 0, 2 * h / FIELD_SPACING_MM)
        for axis, h in zip((z, y, x), half, strict=True)
    ]
    folded = ndimage.map_coordinates(field, at, order=1, output=np.float32)
    slope = np.sqrt(sum(np.gradient(folded, FIELD_SPACING_MM, axis=axis) ** 2 for axis in range(3)))
    return np.asarray(folded / np.maximum(ndimage.gaussian_filter(slope, 1.0), 0.05), dtype=np.float32)


def tentorium_height(x: FloatArray, y: FloatArray) -> FloatArray:
    """Height (z, mm) of the tentorium over (x, y)."""
    behind = np.maximum(y - 36.0, 0.0)
    return np.asarray(9.0 - 0.44 * np.abs(x) - 0.0085 * behind * behind, dtype=np.float32)


def dural_sheets(
    x: FloatArray, y: FloatArray, z: FloatArray, midline_mm: FloatArray, above_tentorium_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Distance (mm) from the falx and from the tentorium, negative inside the sheet itself."""
    m = np.abs(midline_mm)
    callosal = 1.0 - np.sqrt(((y + 3.0) / 43.0) ** 2 + ((z - 2.0) / 25.0) ** 2)
    falx = np.maximum(np.maximum(m - 0.7, callosal * 26.0 + 3.0), -above_tentorium_mm)
    notch = (m < 19.0) & (y < 40.0)
    before = y < 6.0 + 0.58 * (m - 8.0)
    tentorium = np.where(notch | before, np.float32(9.0), np.abs(above_tentorium_mm) - 0.7)
    return np.asarray(falx, dtype=np.float32), np.asarray(tentorium, dtype=np.float32)


def _sylvian(m: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Distance (mm) to the Sylvian fissure: insular part, lateral cleft and stem."""
    insula = np.maximum(
        np.abs(m - (36.0 + 0.006 * (y + 6.0) ** 2)), np.maximum(np.abs(y + 6.0) - 19.0, np.abs(z - 3.0) - 11.0)
    )
    cleft_z = -3.0 + 0.33 * (y + 14.0)
    cleft = np.maximum(np.abs(z - cleft_z) * 0.93, np.maximum(37.0 - m, np.abs(y + 2.0) - 30.0))
    stem = np.maximum(np.abs(y + 22.0 + 0.12 * m) * 0.97, np.maximum(np.maximum(z + 3.0, 14.0 - m), m - 52.0))
    return np.minimum(np.minimum(insula, cleft), stem)


def brainstem_depth(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Depth (mm) inside midbrain, pons and medulla."""
    midbrain = capsule_depth(x, y, z, (0, 15, 2), (0, 12, -16), 13.5, 14.5)
    pons = capsule_depth(x, y, z, (0, 11, -20), (0, 15, -36), 15.5, 13.0)
    medulla = capsule_depth(x, y, z, (0, 18, -38), (0, 32, -75), 10.0, 7.0)
    return np.maximum(np.maximum(midbrain, pons), medulla)


def paint_brain(
    grid: HeadGrid,
    where: tuple[FloatArray, FloatArray, FloatArray],
    cavity: Cavity,
    traits: BrainTraits,
    rng: np.random.Generator,
) -> tuple[FloatArray, Brain]:
    """HU inside the cavity, and the masks that lesions follow.

    ``where`` holds the brain coordinates (x, y, z) in mm, already moved by mass effect.
    """
    x, y, z = where
    ribbon = grid.sampled(folded_ribbon(rng))
    np.abs(ribbon, out=ribbon)
    waver = grid.sampled(smooth_field(rng, 14.0))
    midline = x + 0.7 * waver
    m = np.abs(midline)
    tent = z - tentorium_height(x, y)
    stem = brainstem_depth(x, y, z)
    petrous = y - (6.0 + 0.58 * (m - 8.0))
    below = (tent < 0) & (petrous > -9.0)
    notch = (m < 19.0) & (y < 40.0)

    callosal = 1.0 - np.sqrt(((y + 3.0) / 43.0) ** 2 + ((z - 2.0) / 25.0) ** 2)
    fissure = np.maximum(m - 0.4 * traits.gap_mm, callosal * 26.0)
    tent_gap = np.where(notch | (petrous < 0), np.float32(40.0), np.abs(tent) - 0.6)
    surface = np.minimum(np.minimum(cavity.depth_mm - traits.gap_mm, fissure), tent_gap)
    surface = np.where(below, np.minimum(cavity.depth_mm - 1.0, tent_gap), surface)

    depth_limit = 15.0 + 4.0 * waver
    fold = np.maximum(ribbon, surface - depth_limit)
    sylvian = _sylvian(m, y, z)
    fold_width = traits.sulcus_mm * np.where(surface < 14, 1.0, 0.6)
    fold = np.where(below, np.float32(30.0), fold)

    hu = np.full_like(x, traits.white_hu)
    hu -= traits.leukoaraiosis_hu * np.exp(-np.square((m - 22.0) / 9.0) - np.square((z - 17.0) / 12.0))
    grey = np.maximum(3.4 - surface, 3.1 - np.maximum(fold, 3.0 - surface * 0.3))
    grey = np.maximum(grey, 3.2 - sylvian)
    grey = np.maximum(grey, _deep_grey(m, y, z))
    blend(hu, grid.coverage(grey, 0.8), traits.grey_hu)
    cerebellum = traits.grey_hu - 3.5 - 2.5 * (np.abs(np.sin(z * 0.9 + 0.12 * y + 0.6 * waver)) > 0.8)
    hu = np.where(below, cerebellum, hu)
    vermis_white = ellipsoid_depth(m, y, z, (17.0, 46.0, -30.0), (13.0, 11.0, 9.0))
    blend(hu, grid.coverage(vermis_white, 3.0), traits.white_hu + 4.0)

    csf = np.maximum(-surface, fold_width - fold)
    csf = np.maximum(csf, traits.sylvian_mm - sylvian)
    csf = np.maximum(csf, _cisterns(m, y, z, stem, cavity, petrous))
    cover = grid.coverage(csf)
    blend(hu, cover, traits.csf_hu)
    blend(hu, grid.coverage(stem, 0.6), 0.5 * (traits.white_hu + traits.grey_hu))
    cover *= 1.0 - grid.coverage(stem)
    ventricle = np.full_like(x, -30.0)
    box = grid.box(((-50.0, -60.0, -50.0), (50.0, 80.0, 42.0)))
    ventricle[box] = ventricle_depth(x[box] - 0.0, y[box], z[box], traits.ventricles)
    inside = grid.coverage(ventricle)
    blend(hu, inside, traits.csf_hu - 1.0)
    cover *= 1.0 - inside

    sheet, tentorium_sheet = dural_sheets(x, y, z, midline, tent)
    falx = grid.coverage(-sheet, 0.7)
    blend(hu, falx, traits.falx_hu)
    tentorium = grid.coverage(-tentorium_sheet, 0.5)
    blend(hu, 0.8 * tentorium, traits.falx_hu - 3.0)
    _venous(hu, grid, x, y, z, m, tent, cavity, traits)
    brain = Brain(cover, inside, cavity.depth_mm, midline, tent, falx, tentorium, np.minimum(sheet, tentorium_sheet))
    return hu, brain


def _deep_grey(m: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Depth (mm) inside caudate heads, lentiform nuclei and thalami."""
    caudate = ellipsoid_depth(m, y, z, (13.0, -23.0, 8.0), (5.0, 9.0, 10.0))
    lentiform = ellipsoid_depth(m, y, z, (25.0, -5.0, 2.0), (6.5, 15.0, 8.0))
    thalamus = ellipsoid_depth(m, y, z, (11.0, 11.0, 5.0), (8.0, 13.0, 9.0))
    return np.maximum(np.maximum(caudate, lentiform), thalamus)


def _cisterns(
    m: FloatArray, y: FloatArray, z: FloatArray, stem: FloatArray, cavity: Cavity, petrous: FloatArray
) -> FloatArray:
    """Depth (mm) inside the basal cisterns: suprasellar, ambient, quadrigeminal, prepontine and cisterna magna."""
    suprasellar = np.minimum(10.5 - np.sqrt(m * m + (y + 6.0) ** 2), 5.0 - np.abs(z + 16.0))
    ambient = np.minimum(np.minimum(2.2 + stem, 10.0 - np.abs(z + 6.0)), y + 2.0)
    quadrigeminal = ellipsoid_depth(m, y, z, (0.0, 31.0, 4.0), (9.0, 4.5, 7.0))
    prepontine = np.minimum(np.minimum(20.0 - m, 17.0 - y), np.minimum(-16.0 - z, petrous + 4.0))
    magna = ellipsoid_depth(m, y, z, (0.0, 62.0, -56.0), (16.0, 12.0, 9.0))
    canal = np.minimum(-61.0 - z, 14.0 - np.sqrt(m * m + (y - 33.0) ** 2))
    depth = np.maximum(np.maximum(suprasellar, ambient), np.maximum(quadrigeminal, prepontine))
    return np.maximum(np.maximum(depth, magna), canal)


def _venous(
    hu: FloatArray,
    grid: HeadGrid,
    x: FloatArray,
    y: FloatArray,
    z: FloatArray,
    m: FloatArray,
    tent: FloatArray,
    cavity: Cavity,
    traits: BrainTraits,
) -> None:
    """Draw the sagittal, straight and transverse sinuses."""
    sagittal = np.minimum(4.2 - m - 0.45 * cavity.dome_mm, tent)
    straight = capsule_depth(x, y, z, (0, 38, 10), (0, 78, -6), 1.6, 2.4)
    torcula = ellipsoid_depth(x, y, z, (0, 79, -8), (8, 6, 7))
    transverse = np.minimum(np.minimum(3.6 - np.abs(tent + 2.0), 6.0 - cavity.dome_mm), np.minimum(y - 34.0, m - 4.0))
    depth = np.maximum(np.maximum(sagittal, straight), np.maximum(torcula, transverse))
    blend(hu, grid.coverage(depth, 0.4), traits.venous_hu)
