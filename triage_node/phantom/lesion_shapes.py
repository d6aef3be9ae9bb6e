"""The five kinds of blood, each drawn by its anatomical rule, in any head whose compartments are known.

In: compartments and a plan. Out: coverage (0 to 1) and HU per voxel. The same shapes serve made-up heads and real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from triage_node.phantom.geometry import Box, FloatArray, HeadGrid, Point
from triage_node.phantom.lesion_plan import Compartments, LesionPlan
from triage_node.phantom.texture import Texture

CORONAL_Y_MM, LAMBDOID_Y_MM = -24.0, 56.0
"""Sutures that stop an epidural bleed, because the dura is fixed there."""

PAST_SUTURE = 1.2
"""How much an epidural bleed thins for each mm past a suture, mm."""


SWELLING = 3.0
"""Blood widens the sulci that it fills."""

FLATNESS = 0.25, 0.8
"""Height of an epidural lens over its radius: many are thin."""

THINNEST_MM, THICKEST_MM = 3.0, 15.0
"""A subdural bleed that would be thinner than this keeps together, one that would be thicker spreads."""

THINNEST_BESIDE_SHEET_MM = 4.5
"""The same along falx and tentorium: thinner blood is taken for the sheet itself, which is as bright."""

SDH_MARGIN_MM = 2.0
"""A subdural bleed may be this much thicker than planned to hold its volume."""

FLOOR_RISE, STEEP_MM = 0.2, 60.0
"""Where depth grows faster than the first with height, the wall is the skull's base. It counts as up to the second farther away,
so that a convexity bleed does not follow it."""


@dataclass(frozen=True)
class Drawn:
    """A drawn bleed: the part of the volume it lies in, its coverage (0 to 1) and its HU there."""

    box: Box
    amount: FloatArray
    value_hu: FloatArray


def drawn(rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture) -> Drawn:
    """Draw a planned bleed."""
    shape = {"CPH": _blob, "EDH": _lens, "SDH": _crescent, "SAH": _sheets, "IVH": _pool}[plan.kind]
    box, amount = shape(rng, plan, where, texture)
    part = where.grid.part(box)
    mottle = texture.read(part, 6.0)
    value = plan.hu + 1.8 * mottle
    if plan.kind == "SDH" and rng.random() < 0.3:  # older blood floats on fresh blood
        level = part.y - np.float32(plan.center_mm[1]) + 6.0 * mottle
        value = value + np.clip(level * 0.5, -14.0, 8.0)
    elif plan.kind in ("SDH", "EDH") and plan.volume_ml > 5 and rng.random() < 0.35:  # unclotted blood swirls
        value = value - 16.0 * np.clip(texture.read(part, 9.0) - 0.6, 0.0, 1.0)
    return Drawn(box, amount, np.asarray(np.maximum(value, 20.0), dtype=np.float32))


def _filled(
    grid: HeadGrid,
    score_mm: FloatArray,
    allowed: FloatArray,
    volume_ml: float,
    softness_mm: float,
    lowest_mm: float = -math.inf,
) -> FloatArray:
    """Lower a level until the voxels above it, where allowed, hold ``volume_ml``, or until it is at ``lowest_mm``."""
    voxels = volume_ml / grid.voxel_ml
    usable = np.where(allowed > 0.05, score_mm, np.float32(-1e3)).ravel()
    count = min(max(round(voxels), 1), max(usable.size - 1, 1))
    level = float(np.partition(usable, usable.size - count)[usable.size - count])
    for _ in range(3):  # soft edges hold less or more than the sharp count
        held = float((grid.coverage(score_mm - np.float32(level), softness_mm) * allowed).sum())
        level += 0.6 * math.log(max(held, 0.3) / voxels) * max(volume_ml, 0.2) ** (1 / 3)
    level = max(level, lowest_mm)
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


def _around(grid: HeadGrid, center: Point, reach: Point) -> Box:
    x, y, z = center
    return grid.box((x - reach[0], y - reach[1], z - reach[2]), (x + reach[0], y + reach[1], z + reach[2]))


def _offsets(grid: HeadGrid, center: Point) -> tuple[FloatArray, FloatArray, FloatArray]:
    return grid.x - np.float32(center[0]), grid.y - np.float32(center[1]), grid.z - np.float32(center[2])


def _blob(rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture) -> tuple[Box, FloatArray]:
    """CPH: a rough ellipsoid in brain tissue, on one side of the midline unless it lies in the middle."""
    reach = 2.4 * plan.radius_mm + 6.0
    box = _around(where.grid, plan.center_mm, (reach, reach, reach))
    grid = where.grid.part(box)
    axes = np.exp(rng.normal(0.0, 0.22, 3)).astype(np.float32)
    turn = float(rng.uniform(0, math.pi))
    dx, dy, dz = _offsets(grid, plan.center_mm)
    u, v = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    distance = np.sqrt(np.square(u * axes[0]) + np.square(v * axes[1]) + np.square(dz * axes[2]))
    rough = 0.15 * texture.read(grid, 5.0) + 0.18 * texture.read(grid, max(0.6 * plan.radius_mm, 5.0))
    allowed = np.clip(where.depth_mm[box] * 0.5, 0.0, 1.0) * (
        1.0 - (0.8 if plan.volume_ml < 5 else 0.2) * where.csf[box] - 0.6 * where.ventricle[box]
    )
    side = where.midline_mm[box] * np.sign(plan.center_mm[0])
    if abs(plan.center_mm[0]) > 8:
        allowed = allowed * (side > -2.0)
    score = -distance * (1.0 + rough)
    return box, _filled(grid, np.asarray(score, np.float32), np.asarray(allowed, np.float32), plan.volume_ml, 0.9)


def _lens(rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture) -> tuple[Box, FloatArray]:
    """EDH: biconvex under the skull, stopped by sutures, free to cross the midline."""
    flatness = float(rng.uniform(*FLATNESS))
    radius = 10 * (2 * plan.volume_ml / (math.pi * flatness)) ** (1 / 3)
    reach = 1.5 * radius + 8.0
    box = _around(where.grid, plan.center_mm, (reach, reach, reach))
    grid = where.grid.part(box)
    dx, dy, dz = _offsets(grid, plan.center_mm)
    away2 = (dx * dx + dy * dy + dz * dz) / np.float32(radius * radius)
    height = flatness * radius * (1.0 + 0.08 * texture.read(grid, 10.0))
    score = height * (1.0 - away2) - where.depth_mm[box]
    for suture_y in (CORONAL_Y_MM, LAMBDOID_Y_MM):
        if abs(plan.center_mm[1] - suture_y) > 6.0:
            past = (grid.y - np.float32(suture_y)) * math.copysign(1.0, suture_y - plan.center_mm[1])
            score = score - PAST_SUTURE * np.maximum(past, 0.0)
    allowed = np.clip(where.depth_mm[box] / np.float32(where.grid.pixel_mm) + 0.5, 0.0, 1.0)
    return box, _filled(grid, np.asarray(score, dtype=np.float32), allowed, plan.volume_ml, 0.5)


def _crescent(
    rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture
) -> tuple[Box, FloatArray]:
    """SDH: a thin shell along skull, falx or tentorium that crosses sutures but not the midline."""
    reach_y = float(np.clip(12.0 + 11.0 * plan.volume_ml**0.4 * rng.uniform(0.8, 1.35), 14.0, 80.0))
    reach_z = float(np.clip(reach_y * rng.uniform(0.4, 0.8), 10.0, 50.0))
    thickness = 16.0 * plan.volume_ml / (math.pi * reach_y * reach_z / 100.0)
    thinnest = THINNEST_BESIDE_SHEET_MM if plan.variant in ("falx", "tentorium") else THINNEST_MM
    if thickness > THICKEST_MM:
        reach_z *= thickness / THICKEST_MM
        thickness = THICKEST_MM
    elif thickness < thinnest:
        shrink = math.sqrt(thickness / thinnest)
        reach_y, reach_z, thickness = reach_y * shrink, reach_z * shrink, thinnest
    box = _around(
        where.grid, plan.center_mm, (16.0 if plan.variant == "falx" else max(reach_y, 40.0), reach_y, reach_z)
    )
    grid = where.grid.part(box)
    _, dy, dz = _offsets(grid, plan.center_mm)
    away2 = np.square(dy * np.float32(1 / reach_y)) + np.square(dz * np.float32(1 / reach_z))
    side = where.midline_mm[box] * math.copysign(1.0, plan.center_mm[0])
    walls = {"convexity": where.depth_mm, "falx": where.falx_mm, "tentorium": where.tentorium_mm}
    wall = np.maximum(walls[plan.variant or "convexity"][box], -1.0)
    if plan.variant == "convexity" and len(wall) > 1:
        rise = np.gradient(wall, axis=0) / np.gradient(grid.z, axis=0)
        wall = wall + STEEP_MM * np.clip(rise - FLOOR_RISE, 0.0, 1.0)
    lumps = 1.0 + 0.25 * texture.read(grid, 14.0)
    score = thickness * (1.0 - away2 * away2) * lumps - wall
    score = np.where(away2 < 1.0, score, np.float32(-50.0))
    allowed = np.clip(where.depth_mm[box] / np.float32(where.grid.pixel_mm) + 0.5, 0.0, 1.0) * np.clip(
        side + 0.5, 0.0, 1.0
    )
    allowed = allowed * np.clip(where.above_tentorium_mm[box], 0.0, 1.0)
    # Where there is less room than planned the bleed stays smaller, or it would take the shape of its bounds.
    score, allowed = np.asarray(score, dtype=np.float32), np.asarray(allowed, dtype=np.float32)
    return box, _filled(grid, score, allowed, plan.volume_ml, 0.6, lowest_mm=-SDH_MARGIN_MM)


def _sheets(
    rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture
) -> tuple[Box, FloatArray]:
    """SAH: CSF outside the ventricles, filled outward from one place."""
    reach = 1.3 * float(np.clip(30.0 * plan.volume_ml**0.4, 16.0, 75.0))
    box = _around(where.grid, plan.center_mm, (reach, reach, reach))
    grid = where.grid.part(box)
    dx, dy, dz = _offsets(grid, plan.center_mm)
    order = np.sqrt(dx * dx + dy * dy + dz * dz) + 5.0 * texture.read(grid, 8.0)
    space = np.clip(where.csf[box] * SWELLING, 0.0, 1.0)
    return box, _gated(
        np.asarray(order, dtype=np.float32), space, plan.volume_ml / grid.voxel_ml, min(0.08 * reach, 6.0)
    )


def _pool(rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture) -> tuple[Box, FloatArray]:
    """IVH: a level in the most posterior part of the ventricles, or a clot that fills them from one place."""
    box = where.grid.box((-60.0, -65.0, -60.0), (60.0, 90.0, 60.0))
    grid = where.grid.part(box)
    if plan.variant == "clot":
        dx, dy, dz = _offsets(grid, plan.center_mm)
        order = np.sqrt(dx * dx + dy * dy + dz * dz) + 2.0 * texture.read(grid, 6.0)
        softness_mm = 2.0
    else:
        uneven = float(rng.uniform(0.0, 16.0))
        fuller = where.midline_mm[box] * math.copysign(1.0, plan.center_mm[0]) > 0
        order = np.where(fuller, np.float32(-uneven), np.float32(0.0)) - grid.y
        softness_mm = 1.2
    space = where.ventricle[box]
    return box, _gated(np.asarray(order, dtype=np.float32), space, plan.volume_ml / grid.voxel_ml, softness_mm)


def oedema(rng: np.random.Generator, plan: LesionPlan, where: Compartments, box: Box, texture: Texture) -> FloatArray:
    """How much of each voxel is swollen tissue around a parenchymal bleed, 0 to 1.

    The rim of a small bleed is thin: a wide one would darken what a thick slice shows of the blood until it looks like brain.
    """
    grid = where.grid.part(box)
    axes = zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True)
    distance = np.sqrt(sum(np.square(axis - np.float32(at)) for axis, at in axes))
    width = min(plan.radius_mm * float(rng.uniform(0.3, 0.8)), 9.0)
    ragged = plan.radius_mm + width * (1.0 + 0.5 * texture.read(grid, 7.0))
    amount = np.clip((ragged - distance) / 4.0, 0.0, 0.85) * np.clip(where.depth_mm[box] - 1.0, 0.0, 1.0)
    return np.asarray(amount * (1.0 - where.ventricle[box]), dtype=np.float32)
