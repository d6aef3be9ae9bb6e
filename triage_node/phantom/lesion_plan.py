"""Which bleeds a head gets and where: compartments, and plans that obey each kind's anatomy.

In: where skull, falx, tentorium, CSF and ventricles lie, and the kinds wanted. Out: plans (kind, volume, HU, place).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.phantom.geometry import FloatArray, HeadGrid, Point
from triage_node.phantom.lesion_statistics import drawn_count, drawn_hu, drawn_spot, drawn_volume_ml


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
        return ball_radius_mm(self.volume_ml)


SLANT_MM = 3.5
"""Bleeds under the skull start where it changes by less than this between slices: elsewhere bone hides them."""

PARENCHYMAL_SHARE: Mapping[str, float] = {"": 0.57, "posterior": 0.15, "spot": 0.16, "brainstem": 0.12}
"""Shares of parenchymal bleeds: anywhere, of any size in cerebellum and brainstem, and spots where shearing tears vessels, where
grey meets white matter and in the brainstem (grades 1 and 3 of Adams et al., Histopathology 1989, 15:49-59). With them half of
those planned are smaller than 1 mL, as in the published distribution."""

SPOTS = frozenset({"spot", "brainstem"})

LARGEST_POSTERIOR_ML = 8.0

SUBCORTICAL_MM = 25.0
"""So far below the inner table grey matter meets white."""

STEM_HALF_WIDTH_MM = 12.0
STEM_Y_MM, STEM_Z_MM = (0.0, 25.0), (-40.0, 0.0)
"""Where midbrain and pons lie."""

POSTERIOR_Y_MM = -5.0
"""In front of this nothing lies below the tentorium: frontal and temporal lobes rest on the skull base."""

CISTERNS_UP_TO_MM = 12.0
"""Deep CSF outside the ventricles that lies higher is the fissure between the hemispheres, and no basal cistern."""

LOWEST_MM = -45.0
"""No bleed starts lower than the pons: around the cord in the foramen magnum there is room, but no head bleeds there alone."""

SATELLITE = 0.5
"""The largest share of the main bleed's volume that another of its kind has."""


def ball_radius_mm(volume_ml: float) -> float:
    """Radius of the ball of this volume."""
    return 10.0 * math.cbrt(3 * volume_ml / (4 * math.pi))


def planned_bleeds(rng: np.random.Generator, kinds: Iterable[str], where: Compartments) -> list[LesionPlan]:
    """Plan every bleed of the wanted kinds: one of each that can be seen, often smaller ones beside it."""
    plans = []
    for kind in kinds:
        main = planned(rng, kind, where)
        if main is None:
            continue
        plans.append(main)
        for _ in range(drawn_count(rng, kind) - 1):
            beside = planned(rng, kind, where, largest_ml=SATELLITE * main.volume_ml)
            if beside is not None:
                plans.append(beside)
    return plans


def planned(
    rng: np.random.Generator, kind: str, where: Compartments, *, largest_ml: float = math.inf
) -> LesionPlan | None:
    """Choose volume, HU and place of a bleed; None where the head offers no place for it.

    A patient's main bleed has no limit and is large enough to be seen; others are at most ``largest_ml``.
    """
    volume_ml = min(drawn_volume_ml(rng, kind, main=math.isinf(largest_ml)), largest_ml)
    hu = drawn_hu(rng, kind, volume_ml)
    variant = _variant(rng, kind)
    if variant in ("falx", "tentorium"):
        volume_ml = min(volume_ml, 12.0)
    elif variant == "posterior":
        volume_ml = min(volume_ml, LARGEST_POSTERIOR_ML)
    elif variant in SPOTS:
        spot_ml, hu = drawn_spot(rng)
        volume_ml = min(spot_ml, largest_ml)
    for found, allowed in _places(kind, variant, volume_ml, where):
        place = _place(rng, where.grid, allowed & (where.grid.z > LOWEST_MM))
        if place is not None:
            return LesionPlan(kind, volume_ml, hu, place, found)
    return None


def _variant(rng: np.random.Generator, kind: str) -> str:
    if kind == "SDH":
        return str(rng.choice(["convexity", "falx", "tentorium"], p=[0.78, 0.13, 0.09]))
    if kind == "CPH":
        return str(rng.choice(list(PARENCHYMAL_SHARE), p=list(PARENCHYMAL_SHARE.values())))
    if kind == "SAH":
        return "cisterns" if rng.random() < 0.3 else "sulci"
    if kind == "IVH":
        return "layer" if rng.random() < 0.7 else "clot"
    return ""


def _places(kind: str, variant: str, volume_ml: float, where: Compartments) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Where the centre of a bleed may lie and which variant it is there, the better choice first."""
    depth, m = where.depth_mm, np.abs(where.midline_mm)
    above = where.above_tentorium_mm > 4.0
    wall = (np.abs(depth - 1.5) < 1.5) & above
    upright = wall & (np.abs(np.gradient(depth, axis=0)) < SLANT_MM)
    if kind == "EDH":
        return [(variant, upright & (m > 22.0)), (variant, wall & (m > 22.0))]
    if kind == "SDH":
        sheet = where.falx_mm if variant == "falx" else where.tentorium_mm
        convexity = [("convexity", upright & (m > 28.0)), ("convexity", wall & (m > 28.0))]
        return convexity if variant == "convexity" else [(variant, (sheet < 2.0) & (depth > 4.0)), *convexity]
    if kind == "CPH":
        radius = ball_radius_mm(volume_ml)
        dry = (where.csf < 0.2) & (where.ventricle < 0.2)
        anywhere = [
            ("", dry & (depth > min(radius * 0.8 + 3.0, 30.0)) & (m > min(radius * 0.9, 22.0))),
            ("", dry & (depth > 6.0)),
        ]
        if variant == "posterior":
            chosen = where.above_tentorium_mm < -4.0
        elif variant == "spot":
            chosen = above & (depth < SUBCORTICAL_MM)
        elif variant == "brainstem":
            stem = _between(where.grid.y, STEM_Y_MM) & _between(where.grid.z, STEM_Z_MM)
            chosen = (m < STEM_HALF_WIDTH_MM) & stem
        else:
            return anywhere
        return [(variant, dry & chosen & (depth > 6.0)), *anywhere]
    if kind == "SAH":
        space = where.csf > 0.3
        basal = (depth > 18.0) & (m < 42.0) & (where.grid.z < CISTERNS_UP_TO_MM)
        near = (depth > 2.0) & (depth < 16.0) & above if variant == "sulci" else basal
        return [(variant, space & near), (variant, space & (depth > 2.0))]
    return [(variant, where.ventricle > 0.6)]


def _between(values: FloatArray, limits: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (values > limits[0]) & (values < limits[1])


def _place(rng: np.random.Generator, grid: HeadGrid, allowed: npt.NDArray[np.bool_]) -> Point | None:
    """A random voxel among those allowed, as head coordinates."""
    found = np.flatnonzero(allowed)
    if not len(found):
        return None
    at = np.unravel_index(int(found[int(rng.integers(len(found)))]), grid.shape)
    return float(grid.x[at]), float(grid.y[at]), float(grid.z[at])
