"""The five kinds of blood, each by its anatomical rule, in any head whose compartments are known.

In: where skull, falx, tentorium, CSF and ventricles lie, and a plan (kind, volume, HU, place). Out: coverage 0 to 1
per voxel. The same shapes serve made-up heads and real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.phantom.geometry import Box, FloatArray, HeadGrid, Point
from triage_node.phantom.lesion_statistics import drawn_hu, drawn_volume_ml
from triage_node.phantom.texture import Texture

CORONAL_Y_MM, LAMBDOID_Y_MM = -24.0, 56.0
"""Sutures that stop an epidural bleed, because the dura is fixed there."""


@dataclass(frozen=True)
class Compartments:
    """What a head offers to a bleed; arrays are (slices, rows, columns).

    Attributes
    ----------
    depth_mm
        Distance below the inner table, positive inside the cavity.
    midline_mm
        Signed distance from the midline, positive to the left.
    above_tentorium_mm
        Height above the tentorium (large where it is unknown).
    csf, ventricle : 0 to 1
        Coverage by CSF outside and inside the ventricles.
    falx_mm, tentorium_mm
        Distance from these sheets, large where they do not reach.
    """

    grid: HeadGrid
    depth_mm: FloatArray
    midline_mm: FloatArray
    above_tentorium_mm: FloatArray
    csf: FloatArray
    ventricle: FloatArray
    falx_mm: FloatArray
    tentorium_mm: FloatArray


@dataclass(frozen=True)
class LesionPlan:
    """A bleed before it is drawn: HU and mL, and where its centre lies in head coordinates (mm)."""

    kind: str
    volume_ml: float
    hu: float
    center_mm: Point
    variant: str = ""

    @property
    def radius_mm(self) -> float:
        """Radius of the ball of this volume."""
        return 10.0 * (3 * self.volume_ml / (4 * math.pi)) ** (1 / 3)


@dataclass(frozen=True)
class Drawn:
    """A drawn bleed: the part of the volume it lies in, its coverage (0 to 1) and its HU there."""

    box: Box
    amount: FloatArray
    value_hu: FloatArray


def planned(rng: np.random.Generator, kind: str, where: Compartments) -> LesionPlan | None:
    """Choose volume, HU and place of a bleed; None where the head offers no place for it."""
    volume_ml, hu = drawn_volume_ml(rng, kind), drawn_hu(rng, kind)
    variant = _variant(rng, kind)
    if variant in ("falx", "tentorium"):
        volume_ml = min(volume_ml, 12.0)
    for allowed in _places(kind, variant, volume_ml, where):
        place = _place(rng, where.grid, allowed)
        if place is not None:
            return LesionPlan(kind, volume_ml, hu, place, variant)
    return None


def _variant(rng: np.random.Generator, kind: str) -> str:
    if kind == "SDH":
        return str(rng.choice(["convexity", "falx", "tentorium"], p=[0.78, 0.13, 0.09]))
    if kind == "SAH":
        return "cisterns" if rng.random() < 0.3 else "sulci"
    if kind == "IVH":
        return "layer" if rng.random() < 0.7 else "clot"
    return ""


def _places(kind: str, variant: str, volume_ml: float, where: Compartments) -> list[npt.NDArray[np.bool_]]:
    """Where the centre of a bleed may lie, the better choice first."""
    depth, m = where.depth_mm, np.abs(where.midline_mm)
    above = where.above_tentorium_mm > 4.0
    wall = (np.abs(depth - 1.5) < 1.5) & above
    if kind == "EDH":
        return [wall & (m > 22.0)]
    if kind == "SDH":
        sheet = where.falx_mm if variant == "falx" else where.tentorium_mm
        convexity = wall & (m > 28.0)
        return [convexity] if variant == "convexity" else [(sheet < 2.0) & (depth > 4.0), convexity]
    if kind == "CPH":
        radius = 10.0 * (3 * volume_ml / (4 * math.pi)) ** (1 / 3)
        dry = (where.csf < 0.2) & (where.ventricle < 0.2)
        return [
            dry & (depth > min(radius * 0.8 + 3.0, 30.0)) & (m > min(6.0 + radius * 0.6, 22.0)),
            dry & (depth > 6.0),
        ]
    if kind == "SAH":
        space = where.csf > 0.4
        near = (depth < 16.0) & above if variant == "sulci" else (depth > 18.0) & (m < 42.0)
        return [space & near, space & (depth > 0.0)]
    return [where.ventricle > 0.6]


def _place(rng: np.random.Generator, grid: HeadGrid, allowed: npt.NDArray[np.bool_]) -> Point | None:
    """A random voxel among those allowed, as head coordinates."""
    found = np.flatnonzero(allowed)
    if not len(found):
        return None
    at = np.unravel_index(int(found[int(rng.integers(len(found)))]), grid.shape)
    return float(grid.x[at]), float(grid.y[at]), float(grid.z[at])


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
    grid: HeadGrid, score_mm: FloatArray, allowed: FloatArray, volume_ml: float, softness_mm: float
) -> FloatArray:
    """Lower a level until the voxels above it, where allowed, hold ``volume_ml``."""
    voxels = volume_ml / grid.voxel_ml
    usable = np.where(allowed > 0.05, score_mm, np.float32(-1e3)).ravel()
    count = min(max(round(voxels), 1), max(usable.size - 1, 1))
    level = float(np.partition(usable, usable.size - count)[usable.size - count])
    for _ in range(3):  # soft edges hold less or more than the sharp count
        held = float((grid.coverage(score_mm - np.float32(level), softness_mm) * allowed).sum())
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
    allowed = np.clip(where.depth_mm[box] * 0.5, 0.0, 1.0) * (1.0 - 0.8 * where.csf[box])
    side = where.midline_mm[box] * np.sign(plan.center_mm[0])
    if abs(plan.center_mm[0]) > 8:
        allowed = allowed * (side > -2.0)
    score = -distance * (1.0 + rough)
    return box, _filled(grid, np.asarray(score, np.float32), np.asarray(allowed, np.float32), plan.volume_ml, 0.9)


def _lens(rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture) -> tuple[Box, FloatArray]:
    """EDH: biconvex under the skull, stopped by sutures, free to cross the midline."""
    flatness = float(rng.uniform(0.35, 0.6))
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
            score = score - 3.0 * np.maximum(past, 0.0)
    allowed = np.clip(where.depth_mm[box] / np.float32(where.grid.pixel_mm) + 0.5, 0.0, 1.0)
    return box, _filled(grid, np.asarray(score, dtype=np.float32), allowed, plan.volume_ml, 0.5)


def _crescent(
    rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture
) -> tuple[Box, FloatArray]:
    """SDH: a thin shell along skull, falx or tentorium that crosses sutures but not the midline."""
    reach_y = float(np.clip(16.0 + 17.0 * plan.volume_ml**0.4 * rng.uniform(0.8, 1.3), 14.0, 85.0))
    reach_z = float(np.clip(reach_y * rng.uniform(0.4, 0.8), 10.0, 55.0))
    box = _around(
        where.grid, plan.center_mm, (16.0 if plan.variant == "falx" else max(reach_y, 40.0), reach_y, reach_z)
    )
    grid = where.grid.part(box)
    _, dy, dz = _offsets(grid, plan.center_mm)
    away2 = np.square(dy * np.float32(1 / reach_y)) + np.square(dz * np.float32(1 / reach_z))
    thickness = 16.0 * plan.volume_ml / (math.pi * reach_y * reach_z / 100.0)
    side = where.midline_mm[box] * math.copysign(1.0, plan.center_mm[0])
    walls = {"convexity": where.depth_mm, "falx": where.falx_mm, "tentorium": where.tentorium_mm}
    wall = np.maximum(walls[plan.variant or "convexity"][box], -1.0)
    lumps = 1.0 + 0.25 * texture.read(grid, 14.0)
    score = max(thickness, 1.5) * (1.0 - away2 * away2) * lumps - wall
    score = np.where(away2 < 1.0, score, np.float32(-50.0))
    allowed = np.clip(where.depth_mm[box] / np.float32(where.grid.pixel_mm) + 0.5, 0.0, 1.0) * np.clip(
        side + 0.5, 0.0, 1.0
    )
    allowed = allowed * np.clip(where.above_tentorium_mm[box], 0.0, 1.0)
    return box, _filled(grid, np.asarray(score, dtype=np.float32), np.asarray(allowed, np.float32), plan.volume_ml, 0.6)


def _sheets(
    rng: np.random.Generator, plan: LesionPlan, where: Compartments, texture: Texture
) -> tuple[Box, FloatArray]:
    """SAH: CSF outside the ventricles, filled outward from one place."""
    reach = 1.3 * float(np.clip(30.0 * plan.volume_ml**0.4, 16.0, 75.0))
    box = _around(where.grid, plan.center_mm, (reach, reach, reach))
    grid = where.grid.part(box)
    dx, dy, dz = _offsets(grid, plan.center_mm)
    order = np.sqrt(dx * dx + dy * dy + dz * dz) + 5.0 * texture.read(grid, 8.0)
    space = np.clip(where.csf[box] * 1.5, 0.0, 1.0)
    return box, _gated(np.asarray(order, dtype=np.float32), space, plan.volume_ml / grid.voxel_ml, 6.0)


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
