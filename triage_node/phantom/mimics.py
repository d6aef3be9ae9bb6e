"""What looks like blood and is not: drawn alike in bleeding and in other heads.

In: a made-up head before its noise. Out: the same head with calcium, dense vessels, old infarcts, swollen scalps,
fractures, metal, streaks, beam hardening and motion. None of these ever sets a mask bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from triage_node.phantom.geometry import FloatArray, HeadGrid, blend, smooth_field
from triage_node.phantom.ventricles import ATRIUM, ellipsoid_depth

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
"""Probability of each negative in any head, whether it bleeds or not."""


def drawn_mimics(rng: np.random.Generator, age: int) -> frozenset[str]:
    """Choose the negatives of one head; calcium and infarcts come with age."""
    elder = float(np.clip((age - 15) / 45, 0.1, 1.3))
    aged = ("choroid_calcium", "pineal_calcium", "falx_calcium", "ganglia_calcium", "old_infarct")
    return frozenset(
        name for name, chance in CHANCE.items() if rng.random() < chance * (elder if name in aged else 1.0)
    )


def calcify(
    hu: FloatArray,
    grid: HeadGrid,
    where: tuple[FloatArray, FloatArray, FloatArray],
    falx: FloatArray,
    chosen: frozenset[str],
    rng: np.random.Generator,
) -> None:
    """Draw calcium inside the brain, in place."""
    x, y, z = where

    def spot(center: tuple[float, float, float], radii: tuple[float, float, float], value_hu: float) -> None:
        reach = max(radii) + 12.0
        low, high = ((center[0] - reach, center[1] - reach, center[2] - reach), tuple(c + reach for c in center))
        box = grid.box((low, (high[0], high[1], high[2])))
        if x[box].size:
            part = hu[box]
            blend(part, grid.coverage(ellipsoid_depth(x[box], y[box], z[box], center, radii)), value_hu)

    if "choroid_calcium" in chosen:
        for side in (-1, 1):
            for _ in range(int(rng.integers(1, 4))):
                at = rng.normal((side * (ATRIUM[0] - 2.0), ATRIUM[1] - 3.0, ATRIUM[2] + 2.0), (1.5, 3.0, 3.0))
                radii = rng.uniform(1.2, 3.5, 3)
                spot((at[0], at[1], at[2]), (radii[0], radii[1], radii[2]), float(rng.uniform(70, 350)))
    if "pineal_calcium" in chosen:
        at, radii = rng.normal((0.0, 25.0, 5.0), 1.0), rng.uniform(1.5, 3.8, 3)
        spot((at[0], at[1], at[2]), (radii[0], radii[1], radii[2]), float(rng.uniform(80, 350)))
    if "ganglia_calcium" in chosen:
        radii, value = rng.uniform(2.0, 5.0, 3), float(rng.uniform(50, 110))
        for side in (-1, 1):
            spot((side * 21.0, -3.0, 2.0), (radii[0] * 0.6, radii[1], radii[2]), value * float(rng.uniform(0.8, 1.1)))
    if "falx_calcium" in chosen:
        patch = np.clip(grid.sampled(smooth_field(rng, 9.0)) - 1.1, 0.0, 1.0)
        hu += patch * falx * float(rng.uniform(80, 400))


def infarct(
    hu: FloatArray,
    grid: HeadGrid,
    where: tuple[FloatArray, FloatArray, FloatArray],
    csf_hu: float,
    rng: np.random.Generator,
) -> None:
    """Draw an old infarct: a wedge or a lacune as dark as fluid, in place."""
    x, y, z = where
    side = 1.0 if rng.random() < 0.5 else -1.0
    if rng.random() < 0.5:
        center = (side * float(rng.uniform(30, 55)), float(rng.uniform(-45, 55)), float(rng.uniform(0, 45)))
        radii = tuple(float(each) for each in rng.uniform(9, 24, 3))
    else:
        center = (side * float(rng.uniform(10, 28)), float(rng.uniform(-20, 20)), float(rng.uniform(-4, 20)))
        radii = tuple(float(each) for each in rng.uniform(2, 6, 3))
    depth = ellipsoid_depth(x, y, z, center, (radii[0], radii[1], radii[2])) + 2.0 * grid.sampled(
        smooth_field(rng, 6.0)
    )
    blend(hu, grid.coverage(depth, 3.0), float(rng.uniform(csf_hu + 2, 20)))


def swell_scalp(hu: FloatArray, grid: HeadGrid, skull_outer_mm: FloatArray, rng: np.random.Generator) -> None:
    """Draw a swollen or bruised scalp outside the skull, in place; half of them as bright as fresh blood."""
    angle, height = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(-5, 60))
    center = (70 * math.cos(angle), 88 * math.sin(angle), height)
    away2 = (grid.x - center[0]) ** 2 + (grid.y - center[1]) ** 2 + (grid.z - center[2]) ** 2
    reach = float(rng.uniform(18, 42))
    thick = float(rng.uniform(6, 16)) * (1.0 - away2 / reach**2)
    outside = -skull_outer_mm
    depth = np.minimum(thick - outside, outside)
    bright = float(rng.uniform(48, 75) if rng.random() < 0.5 else rng.uniform(15, 40))
    blend(hu, grid.coverage(np.asarray(depth, dtype=np.float32), 1.0), bright)


def fracture(
    hu: FloatArray, grid: HeadGrid, depth_mm: FloatArray, bone_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Draw a thin dark line through the vault, in place."""
    angle, height = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(5, 55))
    center = np.array([66 * math.cos(angle), 83 * math.sin(angle), height])
    normal = rng.normal(size=3)
    normal -= normal @ center / (center @ center) * center
    normal /= np.linalg.norm(normal)
    dx, dy, dz = grid.x - center[0], grid.y - center[1], grid.z - center[2]
    wave = 1.5 * grid.sampled(smooth_field(rng, 8.0))
    plane = np.abs(dx * normal[0] + dy * normal[1] + dz * normal[2] + wave)
    reach = float(rng.uniform(20, 45))
    depth = np.minimum(float(rng.uniform(0.5, 1.2)) - plane, np.minimum(-depth_mm, depth_mm + bone_mm))
    near = dx * dx + dy * dy + dz * dz < reach**2
    blend(hu, grid.coverage(np.asarray(depth, dtype=np.float32)) * near, 30.0)


def beam_hardening(hu: FloatArray, grid: HeadGrid, strength: float) -> None:
    """Draw the dark band between the petrous bones and the bright cup under the vault, in place."""
    z_at = grid.z + 0.15 * (grid.y - 15.0)
    band = np.exp(-np.square((z_at + 33.0) / 9.0)) * (np.abs(grid.x) < 42)
    across = np.cos((grid.y - 12.0) * np.float32(2 * math.pi / 22.0)) * np.exp(-np.square((grid.y - 14.0) / 22.0))
    hu -= np.asarray(strength * band * (0.6 + across), dtype=np.float32) * (np.abs(hu) < 120)


def streaks(
    hu: FloatArray, rng: np.random.Generator, slices: range, center: tuple[float, float], strength: float
) -> None:
    """Draw fine streaks fanning out from a dense point over some slices, in place."""
    rows, columns = hu.shape[1:]
    r, c = np.mgrid[:rows, :columns].astype(np.float32)
    dr, dc = r - center[0], c - center[1]
    bearing = np.arctan2(dr, dc)
    fade = 1 / (1.0 + np.sqrt(dr * dr + dc * dc) / (0.12 * rows))
    for at in slices:
        phase = rng.uniform(0, 2 * math.pi, 6)
        turns = rng.integers(5, 40, 6)
        wave = sum(np.sin(float(t) * bearing + float(p)) for t, p in zip(turns, phase, strict=True))
        hu[at] += np.asarray(strength * fade * wave, dtype=np.float32) * (hu[at] > -500)


def metal(hu: FloatArray, rng: np.random.Generator, inside: FloatArray, grid: HeadGrid) -> None:
    """Draw a clip or dental filling with its streaks, in place."""
    if rng.random() < 0.5:
        found = np.flatnonzero(inside.ravel() > 20.0)
        if not len(found):
            return
        s, r, c = np.unravel_index(int(found[int(rng.integers(len(found)))]), hu.shape)
        reach, size_mm = 1, float(rng.uniform(1.0, 2.0))
    else:
        s, r, c = 0, int(hu.shape[1] * 0.3), int(hu.shape[2] * rng.uniform(0.42, 0.58))
        reach, size_mm = 2, float(rng.uniform(2.0, 4.0))
    first, last = max(int(s) - reach, 0), min(int(s) + reach + 1, len(hu))
    streaks(hu, rng, range(first, last), (float(r), float(c)), float(rng.uniform(40, 120)))
    rr, cc = np.ogrid[: hu.shape[1], : hu.shape[2]]
    hu[int(s)][((rr - r) ** 2 + (cc - c) ** 2) * grid.pixel_mm**2 < size_mm**2] = 3000.0


def motion(hu: FloatArray, rng: np.random.Generator, pixel_mm: float) -> None:
    """Blur a few slices by the head's movement during the turn, in place."""
    first = int(rng.integers(0, max(len(hu) - 4, 1)))
    for at in range(first, min(first + int(rng.integers(2, 7)), len(hu))):
        shift = rng.normal(0.0, 2.0, 2) / pixel_mm
        ghost = ndimage.shift(hu[at], shift, order=1, mode="nearest")
        hu[at] += float(rng.uniform(0.2, 0.5)) * (ghost - hu[at])
