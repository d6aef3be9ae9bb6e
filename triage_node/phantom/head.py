"""Made-up head CT: one seed, one head, with the blood that was asked for and masks that tell where it is.

In: a seed and wishes. Out: a volume in HU, a bit field of masks and what was drawn. The same seed gives the same head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage_node.core.finding import SUBTYPES
from triage_node.phantom import mimics
from triage_node.phantom.brain import Brain, BrainTraits, dural_sheets, paint_brain, tentorium_height
from triage_node.phantom.face import FaceTraits, bone_thickness, paint_face
from triage_node.phantom.geometry import FloatArray, HeadGrid, Pose, Scan, blend, smooth_field
from triage_node.phantom.hemorrhage import Compartments, LesionPlan, drawn, planned
from triage_node.phantom.lesion_statistics import drawn_kinds
from triage_node.phantom.skull import Cavity, cavity
from triage_node.phantom.ventricles import VentricleSize

VISIBLE = 0.4
"""Coverage from which a voxel belongs to a mask."""

SHOWN_MM2 = 12.0
"""Area of blood from which a slice is said to show it."""


@dataclass(frozen=True)
class Lesion:
    """One bleed as drawn: its kind, volume in mL, mean HU and variant of the rule."""

    kind: str
    volume_ml: float
    hu: float
    variant: str = ""


@dataclass(frozen=True)
class PhantomHead:
    """A made-up head CT.

    Attributes
    ----------
    volume_hu : (slices, rows, columns) int16, HU
    masks : (slices, rows, columns) uint8
        Bit i is set where ``SUBTYPES[i]`` is.
    pixel_spacing_mm
        (row, column).
    mimics
        Negatives that were drawn.
    """

    volume_hu: npt.NDArray[np.int16]
    masks: npt.NDArray[np.uint8]
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    thickness_mm: float
    tilt_deg: float
    kernel: str
    age: int
    sex: str
    lesions: tuple[Lesion, ...]
    mimics: frozenset[str] = field(default_factory=frozenset)

    @property
    def slice_labels(self) -> npt.NDArray[np.bool_]:
        """Which slice shows which kind: (slices, subtypes) in the order of ``SUBTYPES``."""
        return slice_labels(self.masks, self.pixel_spacing_mm)

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Which kinds the head shows, in the order of ``SUBTYPES``."""
        return np.asarray(self.slice_labels.any(axis=0))


def slice_labels(masks: npt.NDArray[np.uint8], pixel_spacing_mm: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which slice shows which kind: (slices, subtypes) from a bit field of masks."""
    pixel_mm2 = pixel_spacing_mm[0] * pixel_spacing_mm[1]
    counts = np.stack([((masks >> bit) & 1).sum(axis=(1, 2)) for bit in range(len(SUBTYPES))], axis=1)
    return np.asarray(counts * pixel_mm2 >= SHOWN_MM2)


def make_head(
    seed: int,
    *,
    kinds: Sequence[str] | None = None,
    size: int = 512,
    slice_spacing_mm: float | None = None,
    tilt_deg: float | None = None,
) -> PhantomHead:
    """Make a head CT.

    Parameters
    ----------
    seed
        The same seed and wishes give the same head.
    kinds
        Kinds of blood to draw; None draws them (half of all heads bleed), an empty sequence makes a head without.
    size
        Rows and columns.
    slice_spacing_mm, tilt_deg
        Fixed where given, drawn where None.
    """
    unknown = [kind for kind in kinds or () if kind not in SUBTYPES]
    if unknown:
        raise ValueError(f"unknown kinds of blood {unknown}; choose from {', '.join(SUBTYPES)}")
    rng = np.random.Generator(np.random.PCG64(seed))
    wanted = drawn_kinds(rng) if kinds is None else tuple(kind for kind in SUBTYPES if kind in kinds)
    age, sex = int(np.clip(rng.normal(52, 22), 16, 97)), "F" if rng.random() < 0.47 else "M"
    scan, pose, kernel = _drawn_scan(rng, sex, size, slice_spacing_mm, tilt_deg)
    chosen = mimics.drawn_mimics(rng, age)
    grid = HeadGrid(scan, pose)
    hollow = cavity(grid, grid.sampled(smooth_field(rng, 30.0)) * 1.6)
    face = _drawn_face(rng)
    bone_mm = bone_thickness(grid, face)
    hu, _ = paint_face(grid, hollow, bone_mm, face, rng)
    traits = _drawn_brain(rng, age, "dense_sinus" in chosen)

    plans = _early_plans(rng, wanted, grid, hollow)
    where = _moved(grid, plans, age)
    brain_hu, brain = paint_brain(grid, where, hollow, traits, rng)
    mimics.calcify(brain_hu, grid, where, brain.falx, chosen, rng)
    if "old_infarct" in chosen:
        mimics.infarct(brain_hu, grid, where, traits.csf_hu, rng)
    space = _compartments(grid, brain)
    masks, lesions = _bleed(brain_hu, space, wanted, plans, rng)
    blend(hu, grid.coverage(hollow.depth_mm), brain_hu)
    masks[hollow.depth_mm < 0.0] = 0
    if "scalp_swelling" in chosen:
        mimics.swell_scalp(hu, grid, hollow.dome_mm + bone_mm, rng)
    if "fracture" in chosen:
        mimics.fracture(hu, grid, hollow.depth_mm, bone_mm, rng)
    _scanned(hu, grid, hollow, scan, kernel, chosen, rng)
    return PhantomHead(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        masks,
        (scan.pixel_spacing_mm,) * 2,
        scan.slice_spacing_mm,
        scan.thickness_mm,
        scan.tilt_deg,
        kernel,
        age,
        sex,
        lesions,
        chosen,
    )


def _drawn_scan(
    rng: np.random.Generator, sex: str, size: int, slice_spacing_mm: float | None, tilt_deg: float | None
) -> tuple[Scan, Pose, str]:
    spacing = float(
        rng.choice([5.0, 5.0, 5.0, 4.8, 4.0, 3.0, 2.5, 1.25], p=[0.25, 0.25, 0.2, 0.1, 0.08, 0.06, 0.04, 0.02])
    )
    tilt = 0.0 if rng.random() < 0.6 else float(rng.uniform(5, 22))
    kernel = str(rng.choice(["soft", "standard", "sharp"], p=[0.3, 0.6, 0.1]))
    spacing = slice_spacing_mm or spacing
    tilt = tilt if tilt_deg is None else tilt_deg
    build = 1.0 if sex == "M" else 0.965
    scale = tuple(float(each) for each in np.clip(rng.normal(build, [0.035, 0.04, 0.035]), 0.85, 1.12))
    pose = Pose(
        float(rng.normal(0, 5)),
        float(rng.normal(0, 2.5)),
        float(rng.normal(0, 6)) - 0.7 * tilt,
        (scale[0], scale[1], scale[2]),
    )
    first = float(rng.normal(-72, 8))
    last = 80.0 * scale[2] + float(rng.uniform(-2, 8))
    slices = max(int((last - first) / (spacing / math.cos(math.radians(tilt)))) + 1, 12)
    center = (float(rng.normal(0, 5)), float(rng.normal(-3, 7)))
    field_mm = float(np.clip(rng.normal(236, 11), 215, 260))
    scan = Scan(slices, size, field_mm / size, spacing, spacing, tilt, first, center)
    return scan, pose, kernel


def _drawn_face(rng: np.random.Generator) -> FaceTraits:
    return FaceTraits(
        float(rng.uniform(5.0, 8.5)),
        float(rng.uniform(3.5, 7.5)),
        float(rng.uniform(1250, 1750)),
        float(rng.uniform(450, 950)),
        float(rng.uniform(0.4, 1.4)),
        float(rng.uniform(0.2, 1.1)),
    )


def _drawn_brain(rng: np.random.Generator, age: int, dense_sinus: bool) -> BrainTraits:
    atrophy = float(np.clip((age - 35) / 45 + rng.normal(0, 0.35), -0.4, 1.6))
    white = float(rng.uniform(24.5, 30.0))
    widen = 0.6 + 1.6 * atrophy
    ventricles = VentricleSize(
        widen + float(rng.normal(0, 0.6)),
        widen + float(rng.normal(0, 0.6)),
        max(1.2 + 1.6 * atrophy, 0.6),
        float(rng.uniform(0.9, 1.1)),
    )
    return BrainTraits(
        white,
        white + float(rng.uniform(7.5, 10.5)),
        float(rng.uniform(4, 12)),
        max(0.7 + 1.1 * atrophy, 0.15),
        float(np.clip(0.55 + 0.55 * atrophy + rng.normal(0, 0.1), 0.12, 1.8)),
        float(np.clip(0.8 + 1.1 * atrophy, 0.4, 3.5)),
        ventricles,
        float(rng.uniform(42, 54)),
        float(rng.uniform(58, 76) if dense_sinus else rng.uniform(44, 58)),
        float(np.clip(rng.normal(0, 2) + 5 * (atrophy - 0.5), 0, 9)),
    )


def _early_plans(rng: np.random.Generator, wanted: tuple[str, ...], grid: HeadGrid, hollow: Cavity) -> list[LesionPlan]:
    """Plan the bleeds that push the brain, before the brain is drawn."""
    early = [kind for kind in ("CPH", "SDH", "EDH") if kind in wanted]
    if not early:
        return []
    tent = grid.z - tentorium_height(grid.x, grid.y)
    falx, tentorium = dural_sheets(grid.x, grid.y, grid.z, grid.x, tent)
    nothing = np.zeros(grid.shape, dtype=np.float32)
    tent_known = np.where((grid.y > -5) | (hollow.dome_mm < 0), tent, np.float32(40.0))
    rough = Compartments(grid, hollow.depth_mm, grid.x, tent_known, nothing, nothing, np.minimum(falx, tentorium))
    plans = [planned(rng, kind, rough) for kind in early]
    if "CPH" in wanted and rng.random() < 0.25:
        plans.append(planned(rng, "CPH", rough))
    return [plan for plan in plans if plan is not None]


def _moved(grid: HeadGrid, plans: list[LesionPlan], age: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Brain coordinates after mass effect: tissue moves away from the bleed, across the midline."""
    x, y, z = grid.x, grid.y, grid.z
    room = 1.3 - 0.6 * min(max(age - 30, 0) / 60, 1.0)
    for plan in plans:
        if plan.volume_ml < 4:
            continue
        push = min(0.13 * plan.volume_ml * room, 11.0)
        away2 = ((grid.y - plan.center_mm[1]) / 60) ** 2 + ((grid.z - plan.center_mm[2]) / 45) ** 2
        fade = np.exp(-away2) / (1.0 + np.square((grid.x - 0.6 * plan.center_mm[0]) / 55.0))
        x = x + np.asarray(np.sign(plan.center_mm[0]) * push * fade, dtype=np.float32)
    return x, y, z


def _compartments(grid: HeadGrid, brain: Brain) -> Compartments:
    return Compartments(
        grid, brain.depth_mm, brain.midline_mm, brain.tentorium_mm, brain.csf, brain.ventricle, brain.sheet_mm
    )


def _bleed(
    hu: FloatArray, space: Compartments, wanted: tuple[str, ...], plans: list[LesionPlan], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], tuple[Lesion, ...]]:
    """Draw all bleeds into the brain, in place; give masks and what was drawn."""
    masks = np.zeros(hu.shape, dtype=np.uint8)
    lesions = []
    late = [planned(rng, kind, space) for kind in ("SAH", "IVH") if kind in wanted]
    for plan in plans + [each for each in late if each is not None]:
        bleed = drawn(rng, plan, space)
        part = hu[bleed.box]
        if plan.kind == "CPH":
            _swell(part, space, plan, bleed.box, rng)
        blend(part, bleed.amount, bleed.value_hu)
        shown = bleed.amount > VISIBLE
        masks[bleed.box] |= (shown << SUBTYPES.index(plan.kind)).astype(np.uint8)
        held = float(bleed.amount.sum()) * space.grid.voxel_ml
        lesions.append(Lesion(plan.kind, held, plan.hu, plan.variant))
    return masks, tuple(lesions)


def _swell(
    part: FloatArray, space: Compartments, plan: LesionPlan, box: tuple[slice, slice, slice], rng: np.random.Generator
) -> None:
    """Draw oedema of 10 to 25 HU around a parenchymal bleed, in place."""
    if rng.random() < 0.25:
        return
    radius = (3 * plan.volume_ml / (4 * math.pi)) ** (1 / 3) * 10
    grid = space.grid.part(box)
    distance2 = sum(
        (axis - np.float32(at)) ** 2 for axis, at in zip((grid.x, grid.y, grid.z), plan.center_mm, strict=True)
    )
    width = float(rng.uniform(2.0, 4.0 + 0.35 * radius))
    ragged = radius + width * (1.0 + 0.5 * grid.sampled(smooth_field(rng, 7.0)))
    amount = np.clip((ragged - np.sqrt(distance2)) / 4.0, 0.0, 0.85) * np.clip(space.depth_mm[box] - 1.0, 0.0, 1.0)
    blend(part, np.asarray(amount, dtype=np.float32), float(rng.uniform(14, 24)))


def _scanned(
    hu: FloatArray,
    grid: HeadGrid,
    hollow: Cavity,
    scan: Scan,
    kernel: str,
    chosen: frozenset[str],
    rng: np.random.Generator,
) -> None:
    """Add what the scanner adds, in place: artefacts, blur and grain."""
    if "beam_hardening" in chosen:
        mimics.beam_hardening(hu, grid, float(rng.uniform(3, 14)))
    if "streaks" in chosen:
        first = int(rng.integers(0, max(len(hu) // 3, 1)))
        middle = (scan.size * float(rng.uniform(0.4, 0.6)), scan.size * float(rng.uniform(0.2, 0.8)))
        mimics.streaks(hu, rng, range(first, min(first + 4, len(hu))), middle, float(rng.uniform(2, 7)))
    if "metal" in chosen:
        mimics.metal(hu, rng, hollow.depth_mm, grid)
    if "motion" in chosen:
        mimics.motion(hu, rng, grid.pixel_mm)
    blur_mm = {"soft": 0.75, "standard": 0.6, "sharp": 0.35}[kernel]
    grain_mm = {"soft": 0.75, "standard": 0.6, "sharp": 0.4}[kernel]
    level_hu = {"soft": 3.2, "standard": 4.0, "sharp": 6.5}[kernel] * float(rng.uniform(0.8, 1.25))
    level_hu *= min((5.0 / scan.thickness_mm) ** 0.35, 1.6)
    pixel = grid.pixel_mm
    hu[:] = ndimage.gaussian_filter(hu, (0, blur_mm / pixel, blur_mm / pixel), truncate=3.0)
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = max(grain_mm / pixel, 0.3)
    grain = ndimage.gaussian_filter(white, (0, sigma, sigma), truncate=3.0)
    spot_mm2 = 4 * math.pi * grain_mm**2
    level_hu *= math.sqrt((spot_mm2 + 0.46**2) / (spot_mm2 + pixel**2))
    grain *= level_hu / float(grain[:1].std())
    hu += grain
