"""The five kinds of blood, each by its anatomical rule, in any head whose compartments are known.

In: where skull, falx, tentorium, CSF and ventricles lie, and a plan (kind, volume, HU, place). Out: coverage 0 to 1
per voxel. The same shapes serve made-up heads and real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.phantom.geometry import FloatArray, HeadGrid, smooth_field
from triage_node.phantom.lesion_statistics import drawn_hu, drawn_volume_ml

Box = tuple[slice, slice, slice]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Compartments:
    """What a head offers to a bleed; arrays are (slices, rows, columns).

    Attributes
    ----------
    depth_mm
        Distance below the inner table, positive inside the cavity.
    midline_mm
        Signed distance from the falx, positive to the left.
    above_tentorium_mm
        Height above the tentorium (large where it is unknown).
    csf, ventricle : 0 to 1
        Coverage by CSF outside and inside the ventricles.
    falx_mm
        Distance from falx or tentorium.
    """

    grid: HeadGrid
    depth_mm: FloatArray
    midline_mm: FloatArray
    above_tentorium_mm: FloatArray
    csf: FloatArray
    ventricle: FloatArray
    falx_mm: FloatArray


@dataclass(frozen=True)
class LesionPlan:
    """A bleed before it is drawn: HU and mL, and where its centre lies in head coordinates (mm)."""

    kind: str
    volume_ml: float
    hu: float
    center_mm: Point
    variant: str = ""


@dataclass(frozen=True)
class Drawn:
    """A drawn bleed: the part of the volume it lies in, its coverage (0 to 1) and its HU there."""

    box: Box
    amount: FloatArray
    value_hu: FloatArray


def _filled(
    grid: HeadGrid, score_mm: FloatArray, allowed: FloatArray, volume_ml: float, softness_mm: float
) -> FloatArray:
    """Raise a level until the voxels above it, where allowed, hold ``volume_ml``."""
    voxels = volume_ml / grid.voxel_ml
    usable = np.where(allowed > 0.05, score_mm, np.float32(-1e3)).ravel()
    count = min(max(round(voxels), 1), max(usable.size - 1, 1))
    level = float(np.partition(usable, usable.size - count)[usable.size - count])
    for _ in range(3):  # soft edges hold less or more than the sharp count
        amount = grid.coverage(score_mm - np.float32(level), softness_mm) * allowed
        held = float(amount.sum())
        level += 0.6 * math.log(max(held, 0.3) / voxels) * max(volume_ml, 0.2) ** (1 / 3)
    return np.asarray(grid.coverage(score_mm - np.float32(level), softness_mm) * allowed, dtype=np.float32)


def _gated(order_mm: FloatArray, space: FloatArray, voxels: float, softness_mm: float) -> FloatArray:
    """Fill a space (0 to 1) in rising ``order_mm`` until it holds ``voxels``."""
    inside = space > 0.1
    if not inside.any():
        return np.zeros_like(space)
    values, amounts = order_mm[inside], space[inside]
    rank = np.argsort(values, kind="stable")
    held = np.cumsum(amounts[rank], dtype=np.float64)
    at = min(int(np.searchsorted(held, voxels)), len(rank) - 1)
    gate = np.clip((values[rank[at]] - order_mm) / np.float32(softness_mm) + 0.5, 0.0, 1.0)
    return np.asarray(space * gate, dtype=np.float32)


def _around(grid: HeadGrid, center: Point, reach_mm: float) -> Box:
    low = tuple(each - reach_mm for each in center)
    high = tuple(each + reach_mm for each in center)
    return grid.box(((low[0], low[1], low[2]), (high[0], high[1], high[2])))


def _place(rng: np.random.Generator, grid: HeadGrid, allowed: npt.NDArray[np.bool_]) -> Point | None:
    """A random voxel among those allowed, as head coordinates."""
    found = np.flatnonzero(allowed)
    if not len(found):
        return None
    at = int(found[int(rng.integers(len(found)))])
    return float(grid.x.ravel()[at]), float(grid.y.ravel()[at]), float(grid.z.ravel()[at])


def planned(rng: np.random.Generator, kind: str, where: Compartments, center: Point | None = None) -> LesionPlan | None:
    """Choose volume, HU and place of a bleed; None where the head offers no place for it."""
    grid, depth = where.grid, where.depth_mm
    volume_ml, hu, variant = drawn_volume_ml(rng, kind), drawn_hu(rng, kind), ""
    above = where.above_tentorium_mm > 4.0
    if kind == "EDH":
        place = _place(rng, grid, (np.abs(depth - 1.5) < 1.5) & above & (np.abs(where.midline_mm) > 22.0))
    elif kind == "SDH":
        variant = str(rng.choice(["convexity", "falx", "tentorium"], p=[0.78, 0.13, 0.09]))
        if variant == "convexity":
            place = _place(rng, grid, (np.abs(depth - 1.5) < 1.5) & above & (np.abs(where.midline_mm) > 28.0))
        else:
            sheet = (where.falx_mm < 2.0) & (depth > 4.0)
            upper = np.abs(where.midline_mm) < 3.0
            place = _place(rng, grid, sheet & (upper if variant == "falx" else ~upper))
            volume_ml = min(volume_ml, 12.0)
    elif kind == "CPH":
        radius = (3 * volume_ml / (4 * math.pi)) ** (1 / 3) * 10
        deep = (depth > min(radius * 0.8 + 3.0, 30.0)) & (np.abs(where.midline_mm) > min(6.0 + radius * 0.6, 22.0))
        place = center or _place(rng, grid, deep & (where.csf < 0.2) & (where.ventricle < 0.2))
    elif kind == "SAH":
        variant = "cisterns" if rng.random() < 0.3 else "sulci"
        space = where.csf > 0.4
        near = (depth < 16.0) & above if variant == "sulci" else (depth > 18.0) & (np.abs(where.midline_mm) < 42.0)
        place = _place(rng, grid, space & near) or _place(rng, grid, space)
    else:
        variant = "layer" if rng.random() < 0.7 else "clot"
        place = center or _place(rng, grid, where.ventricle > 0.6)
    return None if place is None else LesionPlan(kind, volume_ml, hu, place, variant)


def drawn(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> Drawn:
    """Draw a planned bleed."""
    shape = {"CPH": _blob, "EDH": _lens, "SDH": _crescent, "SAH": _sheets, "IVH": _layer}[plan.kind]
    box, amount = shape(rng, plan, where)
    grid = where.grid
    mottle = grid.sampled(smooth_field(rng, 5.0), box)
    value = plan.hu + 2.0 * mottle
    if plan.kind == "SDH" and rng.random() < 0.3:  # older blood floats on fresh blood
        level = grid.y[box] - plan.center_mm[1] + 6.0 * mottle
        value = value + np.clip(level * 0.5, -14.0, 8.0)
    return Drawn(box, amount, np.asarray(np.maximum(value, 20.0), dtype=np.float32))


def _part(where: Compartments, box: Box) -> HeadGrid:
    return where.grid.part(box)


def _blob(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> tuple[Box, FloatArray]:
    radius = (3 * plan.volume_ml / (4 * math.pi)) ** (1 / 3) * 10
    box = _around(where.grid, plan.center_mm, 2.4 * radius + 6.0)
    grid = _part(where, box)
    axes = np.exp(rng.normal(0.0, 0.2, 3)).astype(np.float32)
    turn = float(rng.uniform(0, math.pi))
    dx, dy, dz = (axis - np.float32(at) for axis, at in zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True))
    u, v = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    distance = np.sqrt((u * axes[0]) ** 2 + (v * axes[1]) ** 2 + (dz * axes[2]) ** 2)
    rough = grid.sampled(smooth_field(rng, 4.5)) * 0.16 + grid.sampled(smooth_field(rng, 10.0)) * 0.18
    score = -distance * (1.0 + rough)
    allowed = np.clip(where.depth_mm[box] * 0.5, 0.0, 1.0) * (1.0 - 0.8 * where.csf[box])
    allowed *= (where.midline_mm[box] * np.sign(plan.center_mm[0]) > -4.0) | (abs(plan.center_mm[0]) < 8)
    return box, _filled(grid, score, np.asarray(allowed, dtype=np.float32), plan.volume_ml, 0.9)


def _lens(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> tuple[Box, FloatArray]:
    flatness = float(rng.uniform(0.35, 0.6))
    radius = 10 * (2 * plan.volume_ml / (math.pi * flatness)) ** (1 / 3)
    height = flatness * radius
    box = _around(where.grid, plan.center_mm, 1.5 * radius + 8.0)
    grid = _part(where, box)
    dx, dy, dz = (axis - np.float32(at) for axis, at in zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True))
    away2 = (dx * dx + dy * dy + dz * dz) / np.float32(radius * radius)
    score = height * (1.0 - away2) - where.depth_mm[box]
    for suture_y in (-24.0, 56.0):  # coronal and lambdoid: the dura is fixed there
        if abs(plan.center_mm[1] - suture_y) > 6.0:
            past = (grid.y - suture_y) * np.sign(suture_y - plan.center_mm[1])
            score = score - 3.0 * np.maximum(past, 0.0)
    allowed = np.clip(where.depth_mm[box] / where.grid.pixel_mm + 0.5, 0.0, 1.0)
    return box, _filled(grid, np.asarray(score, dtype=np.float32), allowed, plan.volume_ml, 0.5)


def _crescent(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> tuple[Box, FloatArray]:
    reach_y = float(np.clip(16.0 + 17.0 * plan.volume_ml**0.4 * rng.uniform(0.8, 1.3), 14.0, 85.0))
    reach_z = float(np.clip(reach_y * rng.uniform(0.4, 0.8), 10.0, 55.0))
    x0, y0, z0 = plan.center_mm
    reach_x = reach_y if plan.variant != "falx" else 16.0
    box = where.grid.box(((x0 - reach_x, y0 - reach_y, z0 - reach_z), (x0 + reach_x, y0 + reach_y, z0 + reach_z)))
    grid = _part(where, box)
    away2 = ((grid.y - np.float32(y0)) / reach_y) ** 2 + ((grid.z - np.float32(z0)) / reach_z) ** 2
    thickness = 10.0 * plan.volume_ml / (math.pi * reach_y * reach_z / 100.0) * 1.6
    side = where.midline_mm[box] * (1.0 if x0 > 0 else -1.0)
    wall = where.depth_mm[box] if plan.variant == "convexity" else np.maximum(where.falx_mm[box], 0.0)
    lumps = 1.0 + 0.25 * grid.sampled(smooth_field(rng, 14.0))
    score = max(thickness, 1.5) * (1.0 - away2 * away2) * lumps - wall
    score = np.where(away2 < 1.0, score, np.float32(-50.0))
    allowed = np.clip(where.depth_mm[box] / where.grid.pixel_mm + 0.5, 0.0, 1.0) * np.clip(side + 0.5, 0.0, 1.0)
    if plan.variant != "tentorium":
        allowed = allowed * np.clip(where.above_tentorium_mm[box], 0.0, 1.0)
    return box, _filled(grid, np.asarray(score, dtype=np.float32), allowed, plan.volume_ml, 0.6)


def _sheets(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> tuple[Box, FloatArray]:
    reach = float(np.clip(30.0 * plan.volume_ml**0.4, 16.0, 75.0))
    box = _around(where.grid, plan.center_mm, reach * 1.3)
    grid = _part(where, box)
    dx, dy, dz = (axis - np.float32(at) for axis, at in zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True))
    order = np.sqrt(dx * dx + dy * dy + dz * dz) + 5.0 * grid.sampled(smooth_field(rng, 8.0))
    space = np.clip(where.csf[box] * 1.5, 0.0, 1.0)
    return box, _gated(order, space, plan.volume_ml / grid.voxel_ml, 6.0)


def _layer(rng: np.random.Generator, plan: LesionPlan, where: Compartments) -> tuple[Box, FloatArray]:
    whole = (slice(None), slice(None), slice(None))
    grid = where.grid
    if plan.variant == "layer":
        uneven = float(rng.uniform(0.0, 16.0)) * (1 if plan.center_mm[0] > 0 else -1)
        order = -grid.y - np.where(where.midline_mm * uneven > 0, np.float32(abs(uneven)), np.float32(0.0))
        softness = 1.2
    else:
        dx, dy, dz = (axis - np.float32(at) for axis, at in zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True))
        order = np.sqrt(dx * dx + dy * dy + dz * dz) + 2.0 * grid.sampled(smooth_field(rng, 5.0))
        softness = 2.0
    return whole, _gated(np.asarray(order, dtype=np.float32), where.ventricle, plan.volume_ml / grid.voxel_ml, softness)
