"""What the scanner adds: beam hardening, streaks, metal, motion, the kernel's blur and grain, table and head holder.

In: a head in HU on its grid. Out: the same array as a scanner would show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from triage_node.phantom.geometry import FloatArray, HeadGrid, Scan

KERNELS: Mapping[str, tuple[float, float, float]] = {
    "soft": (0.75, 0.75, 3.2),
    "standard": (0.6, 0.6, 4.0),
    "sharp": (0.35, 0.4, 5.8),
}
"""Blur (mm), size of the grain (mm) and its SD (HU) at 5 mm and 0.46 mm pixels."""

_REFERENCE_PIXEL_MM = 0.46

SCANNER_SIZE = 512
"""Rows and columns of head CT."""

INTERPOLATION_VARIANCE, PIXEL_VARIANCE = 1 / 6, 1 / 12
"""By how much linear interpolation, and the pixel, blur: of a triangle and of a box, per squared pixel."""

RIM_HU, RIM_SD_HU, LARGEST_RIM_HU = 13.5, 4.0, 24.0
"""How much brighter brain is beside the skull: 2 to 4 mm below it 30 heads of CT-ICH lie 5 to 18 HU above their own depths, one
head of a GE HiSpeed 19. With this strength the medians of made-up heads are within 1.4 HU of those 30 at every depth."""

RIM_MM, RIM_POWER = 20.0, 1.5
"""How it fades with depth: by half 16 mm below the skull, as in the same heads."""


def drawn_rim_hu(rng: np.random.Generator) -> float:
    """Draw how strongly a scanner's beam hardening brightens what lies beside bone, HU."""
    return float(np.clip(rng.normal(RIM_HU, RIM_SD_HU), 0.0, LARGEST_RIM_HU))


def rim(depth_mm: FloatArray, strength_hu: float) -> FloatArray:
    """What beam hardening adds below the inner table, HU; ``depth_mm`` is positive inside the cavity."""
    fade = np.exp(-np.power(np.maximum(depth_mm, 0.0) * np.float32(1 / RIM_MM), np.float32(RIM_POWER)))
    return np.asarray(np.float32(strength_hu) * fade, dtype=np.float32)


def beam_hardening(hu: FloatArray, grid: HeadGrid, strength_hu: float) -> None:
    """Darken and brighten the bands between the petrous bones, in place."""
    box = grid.box((-46.0, -30.0, -62.0), (46.0, 62.0, -8.0))
    x, y, z = grid.x[box], grid.y[box], grid.z[box]
    band = np.exp(-np.square((z + 0.15 * (y - 15.0) + 33.0) / 9.0)) * np.clip((44.0 - np.abs(x)) / 6.0, 0.0, 1.0)
    across = np.cos((y - 12.0) * np.float32(2 * math.pi / 22.0)) * np.exp(-np.square((y - 14.0) / 22.0))
    hu[box] -= np.float32(strength_hu) * band * (0.6 + across) * (np.abs(hu[box]) < 120)


def streaks(
    hu: FloatArray, rng: np.random.Generator, slices: range, center: tuple[float, float], strength_hu: float
) -> None:
    """Draw fine streaks fanning out from a dense point (row, column) over some slices, in place."""
    rows, columns = hu.shape[1:]
    r, c = np.ogrid[:rows, :columns]
    dr, dc = (r - center[0]).astype(np.float32), (c - center[1]).astype(np.float32)
    bearing = np.arctan2(dr, dc)
    fade = np.float32(strength_hu) / (1.0 + np.sqrt(dr * dr + dc * dc) / np.float32(0.12 * rows))
    for at in slices:
        phase = rng.uniform(0, 2 * math.pi, 6)
        turns = rng.integers(5, 40, 6)
        wave = sum(np.sin(np.float32(t) * bearing + np.float32(p)) for t, p in zip(turns, phase, strict=True))
        hu[at] += fade * wave * (hu[at] > -500)


def metal(hu: FloatArray, rng: np.random.Generator, inside_mm: FloatArray, pixel_mm: float) -> None:
    """Draw a clip deep in the head, or a dental filling in the lowest slice, with its streaks, in place."""
    if rng.random() < 0.5:
        found = np.flatnonzero(inside_mm.ravel() > 20.0)
        if not len(found):
            return
        s, r, c = (int(each) for each in np.unravel_index(int(found[int(rng.integers(len(found)))]), hu.shape))
        reach, size_mm = 1, float(rng.uniform(1.0, 2.0))
    else:
        s, r, c = 0, int(hu.shape[1] * 0.25), int(hu.shape[2] * rng.uniform(0.4, 0.6))
        reach, size_mm = 2, float(rng.uniform(2.0, 4.0))
    streaks(hu, rng, range(max(s - reach, 0), min(s + reach + 1, len(hu))), (r, c), float(rng.uniform(20, 60)))
    rr, cc = np.ogrid[: hu.shape[1], : hu.shape[2]]
    hu[s][((rr - r) ** 2 + (cc - c) ** 2) * pixel_mm**2 < size_mm**2] = 3000.0


def motion(hu: FloatArray, rng: np.random.Generator, pixel_mm: float) -> None:
    """Double a few slices by the head's movement during the turn, in place."""
    first = int(rng.integers(0, max(len(hu) - 4, 1)))
    for at in range(first, min(first + int(rng.integers(2, 7)), len(hu))):
        ghost = ndimage.shift(hu[at], rng.normal(0.0, 2.0, 2) / pixel_mm, order=1, mode="nearest")
        hu[at] += np.float32(rng.uniform(0.2, 0.5)) * (ghost - hu[at])


def spot_mm2(kernel: str, pixel_mm: float) -> float:
    """Area over which grain is alike: its power spectrum at zero over its variance, mm2."""
    return 4 * math.pi * KERNELS[kernel][1] ** 2 + pixel_mm**2


def grain_sd_hu(kernel: str, pixel_mm: float, thickness_mm: float) -> float:
    """The grain's usual standard deviation, HU: thin slices and small pixels have more."""
    thinner = min(math.pow(5.0 / thickness_mm, 0.35), 1.6)
    smaller = math.sqrt(spot_mm2(kernel, _REFERENCE_PIXEL_MM) / spot_mm2(kernel, pixel_mm))
    return KERNELS[kernel][2] * thinner * smaller


def reconstructed(hu: FloatArray, rng: np.random.Generator, kernel: str, scan: Scan) -> FloatArray:
    """Blur by the kernel and add correlated grain.

    Scanners reconstruct 512 x 512 pixels. A smaller matrix, which costs less to paint, is brought to that size by linear
    interpolation before anything is read from it, and blurs by its larger pixels: so much less the kernel blurs then.
    """
    pixel_mm = scan.pixel_spacing_mm
    larger_mm2 = pixel_mm**2 * max(1.0 - (scan.size / SCANNER_SIZE) ** 2, 0.0)
    blur_mm, grain_mm, _ = KERNELS[kernel]
    sigma = _narrowed(blur_mm, larger_mm2 * (INTERPOLATION_VARIANCE + PIXEL_VARIANCE)) / pixel_mm
    if sigma > 0.4:  # below this the voxel itself blurs more
        hu = np.asarray(ndimage.gaussian_filter(hu, (0, sigma, sigma), truncate=2.5), dtype=np.float32)
    level_hu = grain_sd_hu(kernel, pixel_mm, scan.thickness_mm) * float(rng.uniform(0.75, 1.25))
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = max(_narrowed(grain_mm, larger_mm2 * INTERPOLATION_VARIANCE) / pixel_mm, 0.3)
    grain = ndimage.gaussian_filter(white, (0, sigma, sigma), truncate=2.5)
    coarsest_hu_mm = level_hu * math.sqrt(spot_mm2(kernel, pixel_mm))  # the filter leaves these waves as they are
    grain *= np.float32(coarsest_hu_mm / pixel_mm)
    hu += grain
    return hu


def _narrowed(sd_mm: float, variance_mm2: float) -> float:
    """What blur (SD, mm) is left to do after another of this variance."""
    return math.sqrt(max(sd_mm**2 - variance_mm2, 0.0))


def head_holder(rng: np.random.Generator, size: int, pixel_mm: float) -> FloatArray:
    """A slice of air (HU) with the table or the head holder, (rows, columns)."""
    air = np.full((size, size), -1000.0, dtype=np.float32)
    kind = float(rng.random())
    if kind < 0.35:
        return air
    at = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(pixel_mm)
    x, y = at[None, :], at[:, None]
    wide, deep = (float(rng.uniform(92, 112)), float(rng.uniform(95, 108)))
    if kind < 0.7:
        ring = np.sqrt(np.square(x / wide) + np.square((y - 8.0) / deep)) - 1.0
        shell = np.abs(ring) * wide
        low = y > float(rng.uniform(-10, 50))
    else:
        shell = np.abs(np.abs(x) - float(rng.uniform(60, 80)) - 0.35 * (118.0 - y)) * 0.94
        low = y > float(rng.uniform(60, 85))
    air += np.clip(float(rng.uniform(0.9, 1.8)) - shell + 0.5, 0.0, 1.0) * low * np.float32(rng.uniform(900, 1250))
    return air
