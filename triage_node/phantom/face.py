"""What surrounds the cranial cavity: bone with its air cells, scalp, orbits, face, neck and the head holder.

In: a head grid and the cavity. Out: HU outside the cavity, painted over air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage_node.phantom.geometry import FloatArray, HeadGrid, blend, smoothly
from triage_node.phantom.shapes import Ellipsoid, Rod, Space, both_sides
from triage_node.phantom.skull import MAGNUM_RADIUS_MM, MAGNUM_Y_MM, Cavity, petrous_line_y
from triage_node.phantom.texture import Texture

FAT_HU, MUSCLE_HU, SKIN_HU, AIR_HU = -95.0, 56.0, 20.0, -990.0

_JAW_AND_NECK = (
    *both_sides(
        (
            Rod((47.0, -66.0, -42.0), (65.0, -32.0, -44.0), 4.0, 2.0),
            Rod((65.0, -32.0, -44.0), (62.0, 2.0, -42.0), 2.0, 3.0),
            Rod((52.0, -4.0, -44.0), (46.0, -14.0, -100.0), 3.6, 4.5),
            Rod((53.0, -24.0, -50.0), (46.0, -28.0, -100.0), 2.0, 4.0),
            Rod((36.0, -40.0, -95.0), (8.0, -74.0, -98.0), 5.0, 5.0),
            Ellipsoid((19.0, 27.0, -69.0), (6.0, 11.0, 7.0)),
            Ellipsoid((24.0, 27.0, -84.0), (10.0, 9.0, 9.0)),
            Rod((24.0, 30.0, -84.0), (42.0, 30.0, -86.0), 5.0, 3.0),
            Rod((24.0, 37.0, -84.0), (8.0, 53.0, -84.0), 3.5, 3.5),
        )
    ),
    Rod((8.0, 53.0, -84.0), (-8.0, 53.0, -84.0), 3.5, 3.5),
    Rod((12.0, 18.0, -84.0), (-12.0, 18.0, -84.0), 3.5, 3.5),
    Rod((0.0, 22.0, -76.0), (0.0, 22.0, -112.0), 4.5, 6.5),
    Rod((0.0, -96.0, -36.0), (0.0, -82.0, -24.0), 3.0, 4.5),
)
_THIN_BONE = both_sides(
    (
        Rod((14.0, -18.0, -46.0), (17.0, -22.0, -80.0), 1.8, 1.8),
        Rod((22.0, -30.0, -48.0), (16.0, -24.0, -80.0), 1.4, 1.4),
    )
)
_SOCKETS = both_sides((Ellipsoid((31.0, -60.0, -33.0), (20.5, 26.0, 19.5)),))
_EYE_FAT = both_sides((Ellipsoid((31.0, -60.0, -33.0), (18.5, 25.0, 17.5)),))
_EYE_MUSCLES = both_sides(
    (
        Rod((44.0, -68.0, -33.0), (20.0, -38.0, -32.0), 1.9, 1.4),
        Rod((20.0, -68.0, -33.0), (19.0, -38.0, -32.0), 1.9, 1.4),
        Rod((32.0, -66.0, -21.0), (20.0, -38.0, -30.0), 1.9, 1.4),
        Rod((32.0, -66.0, -45.0), (20.0, -38.0, -34.0), 1.9, 1.4),
    )
)
_NERVES = both_sides((Rod((32.0, -66.0, -33.0), (18.0, -36.0, -30.0), 2.2, 2.1),))
_SCLERA = both_sides((Ellipsoid((32.0, -76.0, -33.0), (12.4, 12.4, 12.4)),))
_VITREOUS = both_sides((Ellipsoid((32.0, -76.0, -33.0), (11.3, 11.3, 11.3)),))
_LENSES = both_sides((Ellipsoid((32.0, -84.5, -33.0), (4.4, 1.9, 4.4)),))
_SPHENOID_BODY = Ellipsoid((0.0, -16.0, -38.0), (19.0, 20.0, 16.0))
_MASTOIDS = both_sides((Ellipsoid((55.0, 32.0, -46.0), (12.0, 16.0, 21.0)),))


@dataclass(frozen=True)
class FaceTraits:
    """What varies outside the cavity (mm, HU)."""

    bone_mm: float
    scalp_mm: float
    compact_hu: float
    diploe_hu: float
    frontal_sinus: float
    mastoid_air: float
    fat: float


def bone_thickness(grid: HeadGrid, traits: FaceTraits) -> FloatArray:
    """Thickness (mm) of the vault: thick in front and behind, thin at the temples."""

    def thickness(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        temple = np.exp(-np.square((z + 8.0) / 26.0)) * np.square(np.minimum(np.abs(x) / 66.0, 1.0))
        ends = np.square(np.minimum(np.abs(y) / 83.0, 1.0))
        return np.asarray(traits.bone_mm * (1.0 - 0.5 * temple + 0.35 * ends), dtype=np.float32)

    return smoothly(thickness, (grid.x, grid.y, grid.z), grid.pixel_mm)


def paint_face(grid: HeadGrid, cavity: Cavity, bone_mm: FloatArray, traits: FaceTraits, texture: Texture) -> FloatArray:
    """HU of everything outside the cavity, (slices, rows, columns)."""
    outer = cavity.dome_mm + bone_mm
    hu = np.full_like(outer, -1000.0)
    low = grid.box((-90.0, -125.0, -140.0), (90.0, 110.0, -4.0))
    skin = outer + traits.scalp_mm
    below = grid.part(low)
    np.copyto(skin[low], smoothly(_jowl_and_neck, (below.x, below.y, below.z, skin[low]), grid.pixel_mm))
    _soft_tissue(hu, grid, skin, outer, traits, texture)
    cells = texture.read(grid, 3.2)
    face = Space.straight(below)
    part, cells_low = hu[low], cells[low]
    _face_bones(part, face, cells_low)
    bone = _bone_depth(grid, cavity, outer, low)
    hardness = _hardness(grid, cavity, outer, traits, cells)
    blend(hu, grid.coverage(bone), hardness)
    _air(hu, grid, cells, traits)
    _orbits(part, face)
    return hu


def _jowl_and_neck(x: FloatArray, y: FloatArray, z: FloatArray, skin: FloatArray) -> FloatArray:
    """Depth (mm) below the skin of the lower half of the head."""
    m = np.abs(x)
    face = Ellipsoid((0.0, -40.0, -62.0), (66.0, 60.0, 74.0)).depth(m, y, z) * 0.95
    face = np.minimum(face, 6.0 - (z + 10.0) * 0.7)
    neck = np.minimum(62.0 - np.sqrt(m * m + np.square(0.86 * (y - 24.0))), -36.0 - z)
    narrowed = np.where(z < -28.0, skin - 0.55 * (-28.0 - z) * np.clip(y / 60.0, 0.0, 1.0), skin)
    nose = np.minimum(16.0 - m - 0.75 * (-y - 88.0), np.minimum(22.0 - np.abs(z + 54.0), -70.0 - y)) * 0.8
    return np.asarray(np.maximum(np.maximum(narrowed, face), np.maximum(neck, nose)), dtype=np.float32)


def _soft_tissue(
    hu: FloatArray, grid: HeadGrid, skin: FloatArray, outer: FloatArray, traits: FaceTraits, texture: Texture
) -> None:
    """Skin, fat and muscle, in place: muscle parted by planes of fat in the face, mostly fat on the vault."""
    y, z = grid.y, grid.z
    planes = np.abs(texture.read(grid, 5.0))
    tissue = np.where(planes < traits.fat, np.float32(FAT_HU), np.float32(MUSCLE_HU))
    reach = 8.0 * (1.0 - np.square((z + 6.0) / 30.0) - np.square((y + 14.0) / 40.0))
    temporal = (-outer < reach) & (np.abs(grid.x) > 40)
    vault = np.where(temporal & (skin > 2.5), np.float32(MUSCLE_HU), np.float32(-60.0))
    tissue = np.where((z > -24.0) & (outer > -12.0) & (skin < 12.0), vault, tissue)
    tissue = np.where((skin < 5.5) & (z <= -24.0), np.float32(FAT_HU), tissue)
    tissue = np.where(skin < 2.0, np.float32(SKIN_HU), tissue)
    blend(hu, grid.coverage(skin), tissue)


def _face_bones(hu: FloatArray, face: Space, cells: FloatArray) -> None:
    """Zygoma, jaw, pterygoids, first vertebra, palate and the walls of nose and sockets, in place."""
    face.paint(hu, _JAW_AND_NECK, 900.0)
    face.paint(hu, _THIN_BONE, 700.0)
    for socket in _SOCKETS:
        box = face.box(socket)
        inside = socket.depth(face.x[box], face.y[box], face.z[box])
        wall = np.minimum(np.minimum(inside, 2.4 - inside), face.y[box] + 79.0)
        blend(hu[box], face.grid.coverage(np.asarray(wall, dtype=np.float32)), 750.0)
    box = face.grid.box((-48.0, -92.0, -94.0), (48.0, -20.0, -22.0))
    m, y, z = np.abs(face.x[box]), face.y[box], face.z[box]
    sinus = maxillary_depth(m, y, z)
    walls = np.minimum(sinus + 2.2, -sinus)
    palate = np.minimum(np.minimum(24.0 - m, 3.0 - np.abs(z + 88.0)), np.minimum(-26.0 - y, y + 82.0))
    septum = np.minimum(np.minimum(1.0 - m, -30.0 - y), np.minimum(-26.0 - z, np.minimum(z + 86.0, y + 84.0)))
    bone = np.maximum(np.maximum(walls, septum), palate)
    blend(hu[box], face.grid.coverage(np.asarray(bone, dtype=np.float32)), 800.0 + 100.0 * cells[box])


def maxillary_depth(m: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Depth (mm) inside a maxillary sinus: a pyramid with its point behind, as seen from below."""
    side = np.minimum(m - 15.0, (44.0 - m) - 0.42 * np.maximum(y + 66.0, 0.0))
    return np.asarray(
        np.minimum(np.minimum(side, y + 78.0), np.minimum(-32.0 - y, 18.0 - np.abs(z + 66.0))), dtype=np.float32
    )


def _bone_depth(grid: HeadGrid, cavity: Cavity, outer: FloatArray, low: tuple[slice, slice, slice]) -> FloatArray:
    """Depth (mm) inside vault and base, the cavity included."""
    depth = np.minimum(outer, np.float32(30.0))
    m, y, z = np.abs(grid.x[low]), grid.y[low], grid.z[low]
    under = -cavity.above_base_mm[low]
    petrous = 17.0 - np.abs(y - petrous_line_y(m) - 4.0) * 0.87
    base_mm = np.where(y > 8.0, np.float32(7.0), np.float32(5.0))
    base_mm = np.maximum(base_mm, np.minimum(petrous * 2.2, 26.0) * (m > 7.0))
    base = np.minimum(base_mm - under, outer[low])
    hole = np.sqrt(m * m + np.square(y - MAGNUM_Y_MM)) - (MAGNUM_RADIUS_MM - 1.0)
    base = np.where(z < -56.0, np.minimum(base, hole), base)
    part = np.where(under > 0, base, depth[low])
    face = Space.straight(grid.part(low))
    face.deepen(part, (_SPHENOID_BODY, *_MASTOIDS))
    depth[low] = part
    return depth


def _hardness(grid: HeadGrid, cavity: Cavity, outer: FloatArray, traits: FaceTraits, cells: FloatArray) -> FloatArray:
    """HU of bone: compact tables with diploe between them, dense petrous bone."""
    table = np.minimum(-cavity.depth_mm, outer)
    hardness = np.clip((2.1 - table) / 1.4, 0.2, 1.0)
    hardness *= np.float32(traits.compact_hu - traits.diploe_hu)
    hardness += np.float32(traits.diploe_hu)
    hardness += 90.0 * cells
    box = grid.box((-48.0, -10.0, -62.0), (48.0, 45.0, -14.0))
    m, y = np.abs(grid.x[box]), grid.y[box]
    dense = (np.abs(y - petrous_line_y(m) - 3.0) < 11.0) & (m > 9.0) & (m < 46.0) & (cavity.above_base_mm[box] < -1.0)
    hardness[box] += 350.0 * dense
    return np.asarray(hardness, dtype=np.float32)


def _air(hu: FloatArray, grid: HeadGrid, cells: FloatArray, traits: FaceTraits) -> None:
    """Sinuses, nasal cavity, pharynx, ear canals and mastoid cells, in place."""
    space = Space.straight(grid)
    size = traits.frontal_sinus
    frontal = both_sides((Ellipsoid((11.0, -86.0, -14.0), (9.0 * size, 3.4, 12.0 * size)),))
    sphenoid = both_sides((Ellipsoid((7.0, -20.0, -38.0), (6.3, 12.0, 9.0)),))
    canals = both_sides((Rod((46.0, 8.0, -42.0), (80.0, 8.0, -44.0), 2.5, 3.5),))
    space.paint(hu, (*frontal, *sphenoid, *canals, Ellipsoid((0.0, -16.0, -82.0), (11.0, 9.0, 28.0))), AIR_HU)
    for mastoid in _MASTOIDS:
        box = space.box(mastoid)
        inside = mastoid.depth(space.x[box], space.y[box], space.z[box]) - 1.5
        porous = np.minimum(inside, 3.0 * (cells[box] - 1.0 + traits.mastoid_air))
        blend(hu[box], grid.coverage(np.asarray(porous, dtype=np.float32)), AIR_HU)
    box = grid.box((-48.0, -90.0, -92.0), (48.0, -24.0, -20.0))
    m, y, z = np.abs(grid.x[box]), grid.y[box], grid.z[box]
    ethmoid = np.minimum(np.minimum(11.0 - m, -34.0 - y), np.minimum(y + 76.0, np.minimum(-25.0 - z, z + 50.0)))
    ethmoid = np.minimum(ethmoid, 3.2 * np.abs(cells[box]) - 0.55)
    nasal = np.minimum(np.minimum(13.5 - m, -28.0 - y), np.minimum(y + 82.0, np.minimum(-48.0 - z, z + 85.0)))
    turbinate = np.abs(m - 7.0 - 1.5 * cells[box]) - 2.2
    nasal = np.minimum(np.minimum(nasal, turbinate), m - 1.5)
    air = np.maximum(np.maximum(ethmoid, nasal), maxillary_depth(m, y, z))
    blend(hu[box], grid.coverage(np.asarray(air, dtype=np.float32)), AIR_HU)


def _orbits(hu: FloatArray, face: Space) -> None:
    """Orbital fat, eyes with lenses, optic nerves and muscles, in place."""
    face.paint(hu, _EYE_FAT, FAT_HU)
    face.paint(hu, _EYE_MUSCLES, 50.0)
    face.paint(hu, _NERVES, 36.0)
    face.paint(hu, _SCLERA, 45.0)
    face.paint(hu, _VITREOUS, 9.0)
    face.paint(hu, _LENSES, 85.0)
