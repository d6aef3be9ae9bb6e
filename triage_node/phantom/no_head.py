"""Volumes that are no head: a chest with upper abdomen, and a plastic head for quality assurance.

In: a seed. Out: scans that a node has to decline, because there is no brain to read in them.
"""

from __future__ import annotations

import math

import numpy as np

from triage_node.phantom.artefacts import head_holder, reconstructed
from triage_node.phantom.face import bone_thickness, paint_face
from triage_node.phantom.geometry import FloatArray, HeadGrid, Pose, Scan, blend
from triage_node.phantom.scans import PhantomScan
from triage_node.phantom.shapes import Ellipsoid, Rod, Space, both_sides
from triage_node.phantom.skull import cavity
from triage_node.phantom.texture import Texture
from triage_node.phantom.traits import drawn_face, drawn_patient

_BODY_FIELD_MM = 390.0
_HEAD_FIELD_MM = 231.0


def make_body(seed: int, *, size: int = 512, slices: int = 36) -> PhantomScan:
    """Make a chest with upper abdomen: lungs, heart, aorta, spine, ribs and liver.

    Parameters
    ----------
    seed
        The same seed gives the same body.
    size, slices
        Rows and columns; number of 5 mm slices.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    patient = drawn_patient(rng)
    scan = Scan(slices, size, _BODY_FIELD_MM / size, 5.0, 5.0, 0.0, -2.5 * slices, (0.0, 0.0))
    grid = HeadGrid(scan, Pose(scale=(float(rng.uniform(0.9, 1.05)),) * 3))
    texture = Texture(rng)
    space = Space.straight(grid)
    hu = np.full(grid.shape, -1000.0, dtype=np.float32)
    waver = texture.read(grid, 20.0)
    trunk = 118.0 * (1.0 - np.sqrt(np.square(grid.x / 172.0) + np.square((grid.y - 5.0) / 118.0))) + 3.0 * waver
    blend(hu, grid.coverage(np.asarray(trunk, dtype=np.float32)), -100.0)
    muscle = np.asarray(trunk - 16.0, dtype=np.float32)
    blend(hu, grid.coverage(muscle), 52.0 + 4.0 * waver)
    _paint_chest(hu, space, waver)
    _paint_bones(hu, grid, space, muscle)
    return _body_scan(hu, scan, rng, patient.age, patient.sex)


def _paint_chest(hu: FloatArray, space: Space, waver: FloatArray) -> None:
    """Lungs, liver, spleen, heart and great vessels, in place."""
    grid = space.grid
    lungs = np.full_like(hu, -50.0)
    space.deepen(lungs, both_sides((Ellipsoid((78.0, 0.0, 40.0), (58.0, 82.0, 120.0)),)))
    lungs += 2.0 * waver
    diaphragm = grid.z + 45.0 - 18.0 * np.cos(grid.x * np.float32(math.pi / 130.0))
    lungs = np.minimum(lungs, diaphragm)
    blend(hu, grid.coverage(np.asarray(lungs, dtype=np.float32)), -860.0 + 25.0 * waver)
    space.paint(hu, (Ellipsoid((-72.0, -8.0, -80.0), (78.0, 78.0, 62.0)),), 58.0)
    space.paint(hu, (Ellipsoid((92.0, 32.0, -75.0), (34.0, 46.0, 40.0)),), 50.0)
    space.paint(hu, (Ellipsoid((22.0, -28.0, 10.0), (58.0, 46.0, 56.0)),), 42.0)
    vessels = (
        Rod((16.0, 42.0, -150.0), (20.0, 44.0, 70.0), 12.0, 12.5),
        Rod((-10.0, -10.0, 30.0), (0.0, -22.0, 80.0), 15.0, 14.0),
        Rod((-26.0, -8.0, 20.0), (-24.0, -6.0, 120.0), 9.0, 9.0),
    )
    space.paint(hu, vessels, 40.0)
    space.paint(hu, (Rod((2.0, 8.0, 40.0), (2.0, 4.0, 130.0), 8.0, 9.0),), -990.0)


def _paint_bones(hu: FloatArray, grid: HeadGrid, space: Space, muscle: FloatArray) -> None:
    """Spine, sternum and ribs that run downward to the front, in place."""
    spine = Rod((0.0, 62.0, -160.0), (0.0, 60.0, 160.0), 17.0, 16.0)
    space.paint(hu, (spine,), 260.0, 3.0)
    space.paint(hu, (Rod((0.0, 82.0, -160.0), (0.0, 80.0, 160.0), 8.0, 8.0),), 20.0)
    space.paint(hu, (Rod((0.0, 104.0, -160.0), (0.0, 102.0, 160.0), 5.0, 5.0),), 350.0)
    space.paint(hu, both_sides((Rod((14.0, 84.0, -160.0), (14.0, 82.0, 160.0), 7.0, 7.0),)), 420.0)
    space.paint(hu, (Rod((0.0, -96.0, -20.0), (0.0, -92.0, 110.0), 10.0, 14.0),), 300.0)
    shell = np.abs(muscle - 9.0) - 5.0
    slope = grid.z + 0.45 * (60.0 - grid.y)
    between = np.abs(np.mod(slope, 24.0) - 12.0) - 4.5
    ribs = -np.maximum(shell, between)
    ribs = np.where((np.abs(grid.x) > 24.0) & (grid.z > -100.0), ribs, np.float32(-20.0))
    blend(hu, grid.coverage(np.asarray(ribs, dtype=np.float32)), 480.0)


def _body_scan(hu: FloatArray, scan: Scan, rng: np.random.Generator, age: int, sex: str) -> PhantomScan:
    volume = reconstructed(hu, rng, "standard", scan)
    return PhantomScan(
        volume_hu=np.clip(np.rint(volume), -1024, 3071).astype(np.int16),
        pixel_spacing_mm=(scan.pixel_spacing_mm, scan.pixel_spacing_mm),
        slice_spacing_mm=scan.slice_spacing_mm,
        thickness_mm=scan.thickness_mm,
        tilt_deg=0.0,
        kernel="standard",
        age=age,
        sex=sex,
        body_part="CHEST",
    )


def make_plastic_head(seed: int, *, size: int = 512, filling_hu: float | None = None) -> PhantomScan:
    """Make a plastic head for quality assurance: bone-like shell, one homogeneous filling, a few rods.

    Parameters
    ----------
    seed
        The same seed gives the same phantom.
    size
        Rows and columns.
    filling_hu
        HU of the filling; air, foam, water or acrylic, drawn where None.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    scan = Scan(28, size, _HEAD_FIELD_MM / size, 5.0, 5.0, 0.0, -62.0, (0.0, -2.0))
    grid = HeadGrid(scan, Pose())
    texture = Texture(rng)
    hollow = cavity(grid, 1.3 * texture.read(grid, 32.0))
    traits = drawn_face(rng)
    filling = float(rng.choice([-990.0, -60.0, 0.0, 120.0])) if filling_hu is None else filling_hu
    hu = paint_face(grid, hollow, bone_thickness(grid, traits), traits, texture)
    soft = (hu < 200.0) & (hu > -950.0)
    hu[soft] = filling
    blend(hu, grid.coverage(hollow.depth_mm), filling)
    space = Space.straight(grid)
    for value, at in ((120.0, (22.0, -30.0)), (-90.0, (-24.0, -24.0)), (60.0, (0.0, 10.0)), (0.0, (24.0, 36.0))):
        rod = Rod((at[0], at[1], -12.0), (at[0], at[1], 42.0), 8.0, 8.0)
        space.paint(hu, (rod,), value)
    volume = np.maximum(hu, head_holder(rng, size, scan.pixel_spacing_mm)[None])
    made = _body_scan(volume, scan, rng, 0, "O")
    return PhantomScan(**{**vars(made), "body_part": "HEAD"})
