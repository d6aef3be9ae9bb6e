"""Grey and white matter and CSF of a made-up brain.

In: bent brain coordinates, depth below the inner table, proportions. Out: HU inside the cavity and the compartments
that bleeds follow. Tissue values: CSF 0-15, white 20-30, grey 37-45 HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.phantom.dura import (
    callosal_depth,
    falx_distance,
    paint_sinuses,
    tentorium_distance,
    tentorium_height,
)
from triage_node.phantom.geometry import FloatArray, blend, smoothly
from triage_node.phantom.lesion_plan import Compartments
from triage_node.phantom.shapes import Ellipsoid, Rod, Space, both_sides
from triage_node.phantom.skull import Cavity, petrous_line_y
from triage_node.phantom.texture import Texture
from triage_node.phantom.ventricles import VentricleSize, ventricle_depth

_STEM = (
    *both_sides((Rod((4.5, 14.0, 3.0), (4.5, 11.0, -16.0), 11.0, 12.0),)),
    Rod((0.0, 11.0, -20.0), (0.0, 15.0, -36.0), 15.5, 12.5),
    Rod((0.0, 18.0, -38.0), (0.0, 32.0, -75.0), 9.5, 6.5),
    Rod((0.0, 33.0, -75.0), (0.0, 33.0, -110.0), 6.5, 6.0),
)
_DEEP_GREY = both_sides(
    (
        Ellipsoid((13.0, -23.0, 8.0), (5.0, 9.0, 10.0)),
        Ellipsoid((25.0, -5.0, 2.0), (6.5, 15.0, 8.0)),
        Ellipsoid((11.0, 11.0, 5.0), (8.0, 13.0, 9.0)),
    )
)
_CEREBELLAR_WHITE = both_sides((Ellipsoid((17.0, 46.0, -30.0), (13.0, 11.0, 9.0)),))
_CISTERNS = (
    Ellipsoid((0.0, -6.0, -16.0), (11.0, 10.0, 5.5)),
    Ellipsoid((0.0, 31.0, 4.0), (8.0, 4.0, 6.0)),
    Ellipsoid((0.0, 63.0, -56.0), (14.0, 10.0, 8.0)),
)
_ARTERIES = (
    Rod((0.0, -3.0, -12.0), (0.0, 0.0, -34.0), 1.5, 1.7),
    *both_sides(
        (Rod((7.0, -11.0, -13.0), (30.0, -18.0, -8.0), 1.7, 1.2), Rod((1.5, -14.0, -10.0), (1.5, -38.0, 4.0), 1.0, 0.8))
    ),
)
GREY_RIBBON_MM = 2.5


@dataclass(frozen=True)
class BrainTraits:
    """What varies from brain to brain (HU, mm)."""

    white_hu: float
    grey_hu: float
    csf_hu: float
    gap_mm: float
    sulcus_mm: float
    gyrus_mm: float
    sylvian_mm: float
    ventricles: VentricleSize
    falx_hu: float
    venous_hu: float
    arterial_hu: float
    leukoaraiosis_hu: float


def paint_brain(space: Space, cavity: Cavity, traits: BrainTraits, texture: Texture) -> tuple[FloatArray, Compartments]:
    """HU inside the cavity, (slices, rows, columns), and the compartments that bleeds follow."""
    grid, x, y, z = space.grid, space.x, space.y, space.z
    waver = texture.read(grid, 13.0)
    midline = x + 0.6 * waver
    m = np.abs(midline)
    tent = z - tentorium_height(x, y)
    callosal = callosal_depth(y, z)
    tent_far = tentorium_distance(m, y, tent)
    below = (tent < 0) & (y - petrous_line_y(m) > -9.0)

    fissure = np.maximum(m - 0.3 * traits.gap_mm, callosal)
    medial = fissure < cavity.depth_mm
    surface = np.minimum(cavity.depth_mm - traits.gap_mm * (1.0 + 0.4 * waver), fissure)
    surface = np.where(below, cavity.depth_mm - 1.0, surface)
    np.minimum(surface, tent_far, out=surface)
    fold = texture.folds(grid, traits.gyrus_mm, 62.0)
    np.maximum(fold, surface - np.where(medial, np.float32(7.0), np.float32(14.0)) - 3.0 * waver, out=fold)
    sylvian = smoothly(_sylvian_distance, (m, y, z), grid.pixel_mm, 2.0) + 0.3 * (fold - 2.5)

    hu = _matter(space, surface, fold, sylvian, below, waver, traits)
    opening = traits.sulcus_mm * np.where(medial, np.float32(0.6), 1.0 - 0.03 * surface)
    csf = np.asarray(opening - fold, dtype=np.float32)
    csf[below] = -6.0
    np.maximum(csf, -surface, out=csf)
    np.maximum(csf, traits.sylvian_mm * (0.7 + 0.6 * waver) - sylvian, out=csf)
    _add_cisterns(csf, space, m, waver + np.float32(0.3) * (np.float32(3.0) - np.minimum(fold, 8.0)), traits)
    cover = grid.coverage(csf)
    blend(hu, cover, traits.csf_hu)
    ventricle, in_stem = _paint_middle(hu, space, traits)
    cover *= (1.0 - ventricle) * (1.0 - in_stem) * grid.coverage(cavity.depth_mm)

    falx = falx_distance(m, callosal, tent)
    blend(hu, grid.coverage(-falx, 0.7), traits.falx_hu)
    blend(hu, 0.8 * grid.coverage(-tent_far, 0.5), traits.falx_hu - 3.0)
    paint_sinuses(hu, space, m, tent, cavity, traits.venous_hu)
    return hu, Compartments(grid, cavity.depth_mm, midline, tent, cover, ventricle, falx, tent_far)


def _paint_middle(hu: FloatArray, space: Space, traits: BrainTraits) -> tuple[FloatArray, FloatArray]:
    """Paint brainstem, arteries and ventricles, in place; give the coverage by ventricles and by brainstem."""
    grid = space.grid
    stem = np.full_like(hu, -20.0)
    space.deepen(stem, _STEM)
    in_stem = grid.coverage(stem, 0.6)
    blend(hu, in_stem, 0.45 * traits.white_hu + 0.55 * traits.grey_hu)
    space.paint(hu, _ARTERIES, traits.arterial_hu)
    ventricle = grid.coverage(ventricle_depth(space, traits.ventricles))
    ventricle *= 1.0 - in_stem * ((space.z >= -12.0) & (space.y < 24.0))
    blend(hu, ventricle, traits.csf_hu - 1.0)
    return ventricle, in_stem


def _matter(
    space: Space,
    surface: FloatArray,
    fold: FloatArray,
    sylvian: FloatArray,
    below: npt.NDArray[np.bool_],
    waver: FloatArray,
    traits: BrainTraits,
) -> FloatArray:
    """White matter under a grey ribbon, deep grey nuclei and the cerebellum, HU."""
    hu = traits.white_hu + 0.7 * waver
    if traits.leukoaraiosis_hu > 0:
        box = space.box(Ellipsoid((0.0, 0.0, 17.0), (44.0, 62.0, 24.0)))
        m, z = np.abs(space.x[box]), space.z[box]
        hu[box] -= traits.leukoaraiosis_hu * np.exp(-np.square((m - 22.0) / 9.0) - np.square((z - 17.0) / 12.0))
    near = np.minimum(fold - 0.25 * traits.sulcus_mm, np.minimum(surface, sylvian))
    grey = GREY_RIBBON_MM - near
    space.deepen(grey, _DEEP_GREY)
    blend(hu, space.grid.coverage(np.asarray(grey, dtype=np.float32), 1.2), traits.grey_hu)
    folia = np.abs(np.sin(space.z * np.float32(0.9) + np.float32(0.12) * space.y + 0.6 * waver))
    hu = np.where(below, traits.grey_hu - 3.0 - 2.0 * (folia > 0.8) + 0.7 * waver, hu).astype(np.float32)
    space.paint(hu, _CEREBELLAR_WHITE, traits.white_hu + 4.0, 4.0)
    return hu


def _sylvian_distance(m: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Distance (mm) from the Sylvian fissure: insular part, lateral cleft and stem."""
    back = y + 6.0
    insula = np.maximum(
        np.abs(m - 34.0 - 0.012 * back * back + 0.15 * z), np.maximum(np.abs(back) - 19.0, np.abs(z - 3.0) - 11.0)
    )
    cleft = np.maximum(np.abs(z + 3.0 - 0.33 * (y + 14.0)) * 0.93, np.maximum(37.0 - m, np.abs(y + 2.0) - 30.0))
    stem = np.maximum(np.abs(y + 22.0 + 0.12 * m) * 0.97, np.maximum(np.maximum(z + 3.0, 14.0 - m), m - 52.0))
    return np.asarray(np.minimum(np.minimum(insula, cleft), stem), dtype=np.float32)


def _add_cisterns(csf: FloatArray, space: Space, m: FloatArray, waver: FloatArray, traits: BrainTraits) -> None:
    """Join suprasellar, ambient, quadrigeminal and prepontine cisterns, cisterna magna and spinal canal, in place."""
    wide = 0.8 * (traits.gap_mm - 1.0)
    space.deepen(csf, _CISTERNS, wide)
    box = space.box(Ellipsoid((0.0, 12.0, -50.0), (24.0, 30.0, 62.0)))
    x, y, z, part = m[box], space.y[box], space.z[box], csf[box]
    stem = np.full_like(part, -20.0)
    Space(space.grid.part(box), space.x[box], y, z, space.slack_mm).deepen(stem, _STEM)
    ring = 0.9 + wide + 1.3 * waver[box] + stem
    ambient = np.minimum(np.minimum(ring, 9.0 - np.abs(z + 8.0)), np.minimum(y - 2.0, x - 3.0))
    prepontine = np.minimum(np.minimum(17.0 - x, 15.0 - y), np.minimum(-14.0 - z, y - petrous_line_y(x) + 6.0))
    canal = np.minimum(-61.0 - z, 13.0 - np.sqrt(x * x + np.square(y - 33.0)))
    np.maximum(part, np.maximum(np.maximum(ambient, prepontine), canal), out=part)
