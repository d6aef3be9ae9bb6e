"""What surrounds the cranial cavity: bone with its air cells, scalp, orbits, face, neck and the head holder.

In: a head grid and the cavity. Out: HU outside the cavity, painted over air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage_node.phantom.geometry import FloatArray, HeadGrid, blend, smooth_field
from triage_node.phantom.skull import Cavity
from triage_node.phantom.ventricles import capsule_depth, ellipsoid_depth

FAT_HU, MUSCLE_HU, SKIN_HU = -95.0, 56.0, 20.0


@dataclass(frozen=True)
class FaceTraits:
    """What varies outside the cavity (mm, HU)."""

    bone_mm: float
    scalp_mm: float
    compact_hu: float
    diploe_hu: float
    frontal_sinus: float
    mastoid_air: float


def bone_thickness(grid: HeadGrid, traits: FaceTraits) -> FloatArray:
    """Thickness (mm) of the vault: thick in front and behind, thin at the temples."""
    temple = np.exp(-np.square((grid.z + 8.0) / 26.0)) * np.square(np.minimum(np.abs(grid.x) / 66.0, 1.0))
    ends = np.square(np.minimum(np.abs(grid.y) / 83.0, 1.0))
    return np.asarray(traits.bone_mm * (1.0 - 0.5 * temple + 0.35 * ends), dtype=np.float32)


def paint_face(
    grid: HeadGrid, cavity: Cavity, bone_mm: FloatArray, traits: FaceTraits, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """HU of everything outside the cavity, and the depth (mm) below the skin."""
    x, y, z = grid.x, grid.y, grid.z
    m = np.abs(x)
    grain = grid.sampled(smooth_field(rng, 4.0))
    cells = grid.sampled(smooth_field(rng, 3.0))
    hu = np.full_like(x, -1000.0)
    outer = cavity.dome_mm + bone_mm

    skin = outer + traits.scalp_mm
    low = np.float32(-12.0) - z
    skin = np.where(low > 0, np.minimum(skin, skin + 0.0), skin)
    face = ellipsoid_depth(m, y, z, (0.0, -40.0, -62.0), (67.0, 62.0, 74.0)) * 0.95
    jowl = np.minimum(face, 8.0 - (z + 8.0) * 0.6)
    neck = np.minimum(np.minimum(64.0 - np.sqrt(m * m + (0.86 * (y - 26.0)) ** 2), -34.0 - z), 90.0)
    upper = np.where(z < -28.0, skin - 0.55 * (-28.0 - z) * np.clip(y / 60.0, 0.0, 1.0), skin)
    nose = np.minimum(15.0 - m - 0.55 * (-y - 92.0), np.minimum(24.0 - np.abs(z + 52.0), -80.0 - y)) * 0.7
    nose = np.minimum(nose, 22.0 + (-y - 92.0) * -0.9)
    depth = np.maximum(np.maximum(upper, jowl), np.maximum(neck, nose))
    head = grid.coverage(depth)

    tissue = np.where(grain + 0.05 * np.minimum(depth, 20.0) > 0.45, np.float32(MUSCLE_HU), np.float32(FAT_HU))
    scalp_muscle = (np.square((z + 6.0) / 24.0) + np.square((y + 14.0) / 34.0) < 1.0) & (m > 40)
    tissue = np.where(
        z > -22.0, np.where(scalp_muscle & (depth > 2.5), np.float32(MUSCLE_HU), np.float32(-55.0)), tissue
    )
    tissue = np.where(depth < 2.2, np.float32(SKIN_HU), tissue)
    blend(hu, head, tissue)
    _face_bones(hu, grid, m, y, z, cells, traits)
    _vault(hu, grid, cavity, outer, bone_mm, cells, traits, m, y, z)
    _air(hu, grid, m, y, z, cells, traits)
    _orbits(hu, grid, m, y, z)
    return hu, depth


def _face_bones(
    hu: FloatArray, grid: HeadGrid, m: FloatArray, y: FloatArray, z: FloatArray, cells: FloatArray, traits: FaceTraits
) -> None:
    """Zygoma, jaw, pterygoids, the first vertebra and the walls of the sinuses."""
    arch = capsule_depth(m, y, z, (47.0, -66.0, -42.0), (66.0, -30.0, -44.0), 4.0, 2.0)
    arch = np.maximum(arch, capsule_depth(m, y, z, (66.0, -30.0, -44.0), (63.0, 2.0, -42.0), 2.0, 3.0))
    jaw = capsule_depth(m, y, z, (52.0, -6.0, -44.0), (47.0, -18.0, -100.0), 4.0, 4.5)
    pterygoid = capsule_depth(m, y, z, (14.0, -18.0, -46.0), (17.0, -20.0, -80.0), 2.2, 2.2)
    ring = 6.0 - np.abs(np.sqrt(m * m + (y - 33.0) ** 2) - 21.0)
    atlas = np.minimum(ring, 9.0 - np.abs(z + 84.0))
    dens = capsule_depth(m, y, z, (0.0, 17.0, -76.0), (0.0, 18.0, -110.0), 5.5, 6.5)
    condyle = ellipsoid_depth(m, y, z, (19.0, 27.0, -68.0), (6.0, 11.0, 8.0))
    lateral_mass = ellipsoid_depth(m, y, z, (23.0, 26.0, -84.0), (9.0, 10.0, 9.0))
    maxilla = ellipsoid_depth(m, y, z, (28.0, -58.0, -64.0), (19.0, 23.0, 22.0))
    wall = np.minimum(maxilla, 2.4 - maxilla)
    orbit = ellipsoid_depth(m, y, z, (31.0, -60.0, -33.0), (21.0, 27.0, 20.0))
    socket = np.minimum(np.minimum(orbit, 2.6 - orbit), y + 79.0)
    palate = np.minimum(np.minimum(24.0 - m, 3.0 - np.abs(z + 88.0)), np.minimum(-26.0 - y, y + 82.0))
    septum = np.minimum(np.minimum(1.0 - m, -28.0 - y), np.minimum(-24.0 - z, z + 86.0))
    nasal = np.minimum(np.minimum(4.0 - m - 0.35 * (-y - 88.0), -76.0 - y), np.minimum(-26.0 - z, z + 46.0))
    thin = np.maximum(np.maximum(wall, socket), np.maximum(septum, pterygoid))
    thick = np.maximum(np.maximum(np.maximum(arch, jaw), np.maximum(atlas, dens)), np.maximum(condyle, lateral_mass))
    thick = np.maximum(np.maximum(thick, palate), nasal)
    blend(hu, grid.coverage(thin), 750.0)
    blend(hu, grid.coverage(thick), 900.0 + 150.0 * cells)


def _vault(
    hu: FloatArray,
    grid: HeadGrid,
    cavity: Cavity,
    outer: FloatArray,
    bone_mm: FloatArray,
    cells: FloatArray,
    traits: FaceTraits,
    m: FloatArray,
    y: FloatArray,
    z: FloatArray,
) -> None:
    """Outer and inner table with diploe between them, and the base with its petrous bones."""
    under = -cavity.above_base_mm
    petrous = 15.0 - np.abs(y - (11.0 + 0.56 * (m - 8.0))) * 0.87
    base_mm = np.maximum(
        np.where(y > 8.0, np.float32(7.0), np.float32(5.0)), np.minimum(petrous * 2.0, 24.0) * (m > 7.0)
    )
    sphenoid = ellipsoid_depth(m, y, z, (0.0, -16.0, -38.0), (20.0, 20.0, 17.0))
    hole = np.sqrt(m * m + (y - 34.0) ** 2) - 14.0
    base = np.minimum(np.minimum(base_mm - under, outer), np.where(z < -60.0, hole, np.float32(20.0)))
    mastoid = ellipsoid_depth(m, y, z, (55.0, 32.0, -46.0), (13.0, 17.0, 22.0))
    bone = np.maximum(np.maximum(np.minimum(base, outer), sphenoid), mastoid)
    vault = np.minimum(outer, np.where(z < -50.0, 6.0 - under, np.float32(40.0)))
    bone = np.maximum(bone, np.where(cavity.above_base_mm > 0, np.minimum(vault, outer), np.minimum(bone, outer)))
    bone = np.where(
        cavity.above_base_mm > 0, np.minimum(outer, np.float32(30.0)), np.maximum(base, np.maximum(sphenoid, mastoid))
    )
    inner_table = -cavity.depth_mm
    table = np.minimum(inner_table, bone)
    compact = np.clip((2.1 - table) / 1.4, 0.25, 1.0)
    value = traits.diploe_hu + (traits.compact_hu - traits.diploe_hu) * compact + 90.0 * cells
    dense_petrous = (petrous > 4.0) & (m > 8.0) & (m < 46.0) & (under > 1.0)
    value = np.where(dense_petrous, value + 350.0, value)
    blend(hu, grid.coverage(np.minimum(bone, np.float32(40.0))), value)


def _air(
    hu: FloatArray, grid: HeadGrid, m: FloatArray, y: FloatArray, z: FloatArray, cells: FloatArray, traits: FaceTraits
) -> None:
    """Sinuses, nasal cavity, pharynx and mastoid cells."""
    frontal = ellipsoid_depth(
        m, y, z, (11.0, -85.0, -12.0), (9.0 * traits.frontal_sinus, 3.6, 12.0 * traits.frontal_sinus)
    )
    sphenoid = ellipsoid_depth(m, y, z, (7.0, -20.0, -38.0), (6.5, 12.0, 9.0))
    maxillary = ellipsoid_depth(m, y, z, (28.0, -58.0, -64.0), (16.5, 20.5, 19.5))
    ethmoid = np.minimum(np.minimum(11.0 - m, -34.0 - y), np.minimum(y + 76.0, np.minimum(-25.0 - z, z + 50.0)))
    ethmoid = np.minimum(ethmoid, 3.2 * np.abs(cells) - 0.55)
    nasal = np.minimum(np.minimum(13.0 - m, -28.0 - y), np.minimum(y + 82.0, np.minimum(-48.0 - z, z + 85.0)))
    nasal = np.minimum(nasal, np.abs(m - 6.5) - 2.0)
    pharynx = ellipsoid_depth(m, y, z, (0.0, -16.0, -82.0), (11.0, 9.0, 28.0))
    mastoid = ellipsoid_depth(m, y, z, (54.0, 32.0, -46.0), (11.0, 15.0, 20.0))
    mastoid = np.minimum(mastoid, 4.0 * (cells - 0.9 + traits.mastoid_air))
    meatus = capsule_depth(m, y, z, (46.0, 8.0, -42.0), (80.0, 8.0, -44.0), 3.0, 4.0)
    air = np.maximum(
        np.maximum(np.maximum(frontal, sphenoid), np.maximum(maxillary, ethmoid)), np.maximum(nasal, pharynx)
    )
    blend(hu, grid.coverage(np.maximum(air, np.maximum(mastoid, meatus))), -990.0)


def _orbits(hu: FloatArray, grid: HeadGrid, m: FloatArray, y: FloatArray, z: FloatArray) -> None:
    """Orbital fat, eyes with lenses, optic nerves and muscles."""
    box = grid.box(((-56.0, -102.0, -58.0), (56.0, -20.0, -8.0)))
    m, y, z, part = m[box], y[box], z[box], hu[box]

    def draw(depth: FloatArray, value_hu: float) -> None:
        blend(part, grid.coverage(depth), value_hu)

    draw(ellipsoid_depth(m, y, z, (31.0, -60.0, -33.0), (18.5, 25.0, 17.5)), FAT_HU)
    for muscle in ((44.0, -68.0, -33.0), (20.0, -68.0, -33.0), (32.0, -66.0, -21.0), (32.0, -66.0, -45.0)):
        draw(capsule_depth(m, y, z, muscle, (20.0, -38.0, -32.0), 2.0, 1.4), 50.0)
    draw(capsule_depth(m, y, z, (32.0, -66.0, -33.0), (18.0, -36.0, -30.0), 2.4, 2.2), 36.0)
    draw(ellipsoid_depth(m, y, z, (32.0, -76.0, -33.0), (12.4, 12.4, 12.4)), 45.0)
    draw(ellipsoid_depth(m, y, z, (32.0, -76.0, -33.0), (11.2, 11.2, 11.2)), 9.0)
    draw(ellipsoid_depth(m, y, z, (32.0, -84.0, -33.0), (4.6, 2.0, 4.6)), 85.0)
