"""What looks like blood and is not: drawn alike in bleeding and in other heads.

In: a made-up head before it is scanned. Out: the same head with calcium, old infarcts, swollen scalps and fractures.
None of these ever sets a mask bit. Dense sinuses are a trait of the brain; what the scanner adds is in ``artefacts``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from triage_node.phantom.geometry import FloatArray, HeadGrid, Point, blend
from triage_node.phantom.shapes import Ellipsoid, Space
from triage_node.phantom.skull import HALF_LENGTH_MM, HALF_WIDTH_MM
from triage_node.phantom.texture import Texture
from triage_node.phantom.ventricles import ATRIUM

CHANCE: Mapping[str, float] = {
    "choroid_calcium": 0.55,
    "pineal_calcium": 0.55,
    "falx_calcium": 0.15,
    "ganglia_calcium": 0.12,
    "dense_sinus": 0.15,
    "old_infarct": 0.15,
    "scalp_swelling": 0.25,
    "fracture": 0.10,
    "beam_hardening": 0.6,
    "streaks": 0.15,
    "metal": 0.05,
    "motion": 0.07,
}
"""Probability of each negative at the age of 60, whether the head bleeds or not."""

_WITH_AGE = frozenset({"choroid_calcium", "pineal_calcium", "falx_calcium", "ganglia_calcium", "old_infarct"})


def drawn_mimics(rng: np.random.Generator, age: int) -> frozenset[str]:
    """Choose the negatives of one head; calcium and infarcts come with age."""
    elder = float(np.clip((age - 15) / 45, 0.1, 1.3))
    return frozenset(
        name for name, chance in CHANCE.items() if rng.random() < chance * (elder if name in _WITH_AGE else 1.0)
    )


def calcify(
    hu: FloatArray,
    space: Space,
    falx_mm: FloatArray,
    chosen: frozenset[str],
    rng: np.random.Generator,
    texture: Texture,
) -> None:
    """Draw calcium inside the brain, in place."""

    def spot(center: Point, spread_mm: float, smallest_mm: float, largest_mm: float, value_hu: float) -> None:
        at, radii = rng.normal(center, spread_mm), rng.uniform(smallest_mm, largest_mm, 3)
        shape = Ellipsoid((at[0], at[1], at[2]), (radii[0], radii[1], radii[2]))
        space.paint(hu, (shape,), value_hu)

    if "choroid_calcium" in chosen:
        for side in (-1, 1):
            for _ in range(int(rng.integers(1, 4))):
                plexus = (side * (ATRIUM[0] - 2.0), ATRIUM[1] - 3.0, ATRIUM[2] + 2.0)
                spot(plexus, 2.5, 1.2, 3.5, float(rng.uniform(70, 350)))
    if "pineal_calcium" in chosen:
        spot((0.0, 25.0, 5.0), 1.0, 1.5, 3.8, float(rng.uniform(80, 350)))
    if "ganglia_calcium" in chosen:
        value = float(rng.uniform(50, 110))
        for side in (-1, 1):
            spot((side * 21.0, -3.0, 2.0), 1.0, 1.5, 4.5, value * float(rng.uniform(0.8, 1.1)))
    if "falx_calcium" in chosen:
        patch = np.clip(texture.read(space.grid, 9.0) - 1.1, 0.0, 1.0)
        hu += patch * space.grid.coverage(-falx_mm, 0.7) * np.float32(rng.uniform(80, 400))


def infarct(hu: FloatArray, space: Space, csf_hu: float, rng: np.random.Generator, texture: Texture) -> None:
    """Draw an old infarct: a territory or a lacune as dark as fluid, in place."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    if rng.random() < 0.5:
        center = (side * float(rng.uniform(30, 55)), float(rng.uniform(-45, 55)), float(rng.uniform(0, 45)))
        radii = rng.uniform(9, 24, 3)
    else:
        center = (side * float(rng.uniform(10, 28)), float(rng.uniform(-20, 20)), float(rng.uniform(-4, 20)))
        radii = rng.uniform(2, 6, 3)
    shape = Ellipsoid(center, (float(radii[0]), float(radii[1]), float(radii[2])))
    box = space.box(shape, 6.0)
    depth = shape.depth(space.x[box], space.y[box], space.z[box]) + 0.2 * float(radii.min()) * texture.read(
        space.grid, 6.0, box
    )
    blend(hu[box], space.grid.coverage(depth, 3.0), float(rng.uniform(csf_hu + 2, 20)))


def _vault_point(rng: np.random.Generator, low_mm: float, high_mm: float) -> Point:
    angle, z = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(low_mm, high_mm))
    ring = math.sqrt(max(1 - (max(z, 0.0) / 80.0) ** 2, 0.1))
    return HALF_WIDTH_MM * ring * math.cos(angle), HALF_LENGTH_MM * ring * math.sin(angle), z


def swell_scalp(hu: FloatArray, grid: HeadGrid, outer_mm: FloatArray, rng: np.random.Generator) -> None:
    """Draw a swollen or bruised scalp, in place; half of them as bright as fresh blood.

    ``outer_mm`` is the depth below the outer table, negative outside the skull.
    """
    x, y, z = _vault_point(rng, -5.0, 60.0)
    reach = float(rng.uniform(18, 42))
    box = grid.box((x - reach, y - reach, z - reach), (x + reach, y + reach, z + reach))
    away2 = np.square(grid.x[box] - x) + np.square(grid.y[box] - y) + np.square(grid.z[box] - z)
    outside = -outer_mm[box]
    depth = np.minimum(float(rng.uniform(6, 16)) * (1.0 - away2 / reach**2) - outside, outside)
    bright = float(rng.uniform(48, 75) if rng.random() < 0.5 else rng.uniform(15, 40))
    blend(hu[box], grid.coverage(np.asarray(depth, dtype=np.float32), 1.0), bright)


def fracture(
    hu: FloatArray,
    grid: HeadGrid,
    depth_mm: FloatArray,
    bone_mm: FloatArray,
    rng: np.random.Generator,
    texture: Texture,
) -> None:
    """Draw a thin dark line through the vault, in place."""
    center = np.array(_vault_point(rng, 5.0, 55.0))
    normal = rng.normal(size=3)
    normal -= normal @ center / (center @ center) * center
    normal /= np.linalg.norm(normal)
    reach = float(rng.uniform(20, 45))
    low, high = center - reach, center + reach
    box = grid.box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    offsets = [axis[box] - np.float32(at) for axis, at in zip((grid.x, grid.y, grid.z), center, strict=True)]
    plane = sum(each * np.float32(part) for each, part in zip(offsets, normal, strict=True))
    plane = np.abs(plane + 1.5 * texture.read(grid, 8.0, box))
    through = np.minimum(-depth_mm[box], depth_mm[box] + bone_mm[box])
    depth = np.minimum(float(rng.uniform(0.5, 1.2)) - plane, through)
    near = sum(np.square(each) for each in offsets) < reach**2
    blend(hu[box], grid.coverage(np.asarray(depth, dtype=np.float32)) * near, 30.0)
