"""Made-up head CT: one seed, one head, with the blood that was asked for and masks that tell where it is.

In: a seed and wishes. Out: a volume in HU, a bit field of masks and what was drawn. The same seed gives the same head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES
from triage_node.phantom import artefacts, mimics
from triage_node.phantom.brain import BrainTraits, paint_brain
from triage_node.phantom.dura import callosal_depth, falx_distance, tentorium_distance, tentorium_height
from triage_node.phantom.face import bone_thickness, paint_face
from triage_node.phantom.geometry import FloatArray, HeadGrid, Point, Scan, blend, smoothly
from triage_node.phantom.lesion_plan import POSTERIOR_Y_MM, Compartments, LesionPlan, planned_bleeds
from triage_node.phantom.lesion_shapes import drawn, oedema
from triage_node.phantom.lesion_statistics import drawn_kinds
from triage_node.phantom.scans import Lesion, PhantomHead
from triage_node.phantom.shapes import Space
from triage_node.phantom.skull import Cavity, cavity
from triage_node.phantom.texture import Texture
from triage_node.phantom.traits import drawn_brain, drawn_face, drawn_patient, drawn_scan

VISIBLE = 0.4
"""Coverage from which a voxel belongs to a mask."""

SEEN_SIGNAL_TO_NOISE = 10.0
"""A kind of blood is seen where on one slice it stands out from grey matter so many times as much as the grain does. Rose's
criterion for one disc in even grain is 5 (J Opt Soc Am 1948, 38:196-208); a head has folds, sheets and bone: of six bleeds
at 8 to 9 the eye found three, of those from 10 on nearly all."""

LEAST_RISE_HU = 6.0
"""Blood that rises by less above the grey matter beside it passes for grey matter, however large it is."""

BLUR_OF_BONE_MM, CLEAR_OF_BONE = 2.0, 0.95
"""So near the skull, and where less than so much of a voxel lies farther in, blood cannot be told from the blur of the bone."""

LEAST_ML = 0.005
"""A bleed for which there was less room than this is none."""

TRIES = 20
"""How often bleeds are planned at most; the plan whose faintest kind stands out most is kept."""

OUTSHONE_HU = 110.0
"""A voxel brighter than this holds bone too, which outshines the blood: it is in no mask."""

_HEAD = (-84.0, -112.0, -170.0), (84.0, 104.0, 92.0)
_BRAIN = (-76.0, -90.0, -112.0), (76.0, 92.0, 80.0)


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
        The same seed and wishes give the same head, byte for byte on processors with the same vector instructions; on
        others sums round otherwise, and a few voxels in a head may differ by 1 HU; a bleed on the very verge of being seen
        may be planned again on one and not on the other.
    kinds
        Kinds of blood to draw; None draws them (half of all heads bleed), an empty sequence makes a head without.
    size
        Rows and columns.
    slice_spacing_mm, tilt_deg
        Fixed where given, drawn where None.

    Raises
    ------
    ValueError
        A kind is unknown.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    wanted = _wanted(rng, kinds)
    patient = drawn_patient(rng)
    scan, pose, kernel = drawn_scan(rng, patient, size, slice_spacing_mm, tilt_deg)
    chosen = mimics.drawn_mimics(rng, patient.age)
    texture = Texture(rng)
    whole = HeadGrid(scan, pose)
    box = whole.box(*_HEAD)
    grid = whole.part(box)
    rim_hu = artefacts.drawn_rim_hu(rng.spawn(1)[0])
    making = _Making(rng, texture, grid, cavity(grid, _bulge(grid, texture)), chosen, patient.age, scan, kernel, rim_hu)
    painted = _painted(making, wanted)

    volume = np.repeat(artefacts.head_holder(rng, size, scan.pixel_spacing_mm)[None], scan.slices, axis=0)
    hu = np.maximum(volume[box], painted.hu, out=painted.hu)
    volume[box] = artefacts.reconstructed(hu, rng, kernel, scan)
    masks = np.zeros(whole.shape, dtype=np.uint8)
    masks[box] = np.where(volume[box] > OUTSHONE_HU, 0, painted.masks)
    stands_out = np.zeros((len(volume), len(SUBTYPES)), dtype=np.float32)
    stands_out[box[0]] = painted.signal_to_noise
    return PhantomHead(
        volume_hu=np.clip(np.rint(volume), -1024, 3071).astype(np.int16),
        masks=masks,
        signal_to_noise=stands_out,
        pixel_spacing_mm=(scan.pixel_spacing_mm, scan.pixel_spacing_mm),
        slice_spacing_mm=scan.slice_spacing_mm,
        thickness_mm=scan.thickness_mm,
        tilt_deg=scan.tilt_deg,
        kernel=kernel,
        age=patient.age,
        sex=patient.sex,
        lesions=painted.lesions,
        mimics=chosen,
    )


@dataclass(frozen=True)
class _Making:
    """A head while it is made: randomness, its grid and cavity, its negatives, its age in years and how it is scanned.

    ``rim_hu`` is by how much the scanner brightens what lies beside bone.
    """

    rng: np.random.Generator
    texture: Texture
    grid: HeadGrid
    hollow: Cavity
    chosen: frozenset[str]
    age: int
    scan: Scan
    kernel: str
    rim_hu: float


@dataclass(frozen=True)
class _Inside:
    """A painted part of a head: HU, masks, how far each kind stands out on each slice, and the bleeds."""

    hu: FloatArray
    masks: npt.NDArray[np.uint8]
    signal_to_noise: FloatArray
    lesions: tuple[Lesion, ...]

    @property
    def least_seen(self) -> float:
        """How far the faintest kind stands out on its best slice; infinite where nothing bleeds."""
        best = self.signal_to_noise.max(axis=0)
        return min((float(best[SUBTYPES.index(lesion.kind)]) for lesion in self.lesions), default=math.inf)


def _wanted(rng: np.random.Generator, kinds: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds to draw, in the order of ``SUBTYPES``."""
    if kinds is None:
        return drawn_kinds(rng)
    unknown = [kind for kind in kinds if kind not in SUBTYPES]
    if unknown:
        raise ValueError(f"unknown kinds of blood: {', '.join(unknown)}; choose from {', '.join(SUBTYPES)}")
    return tuple(kind for kind in SUBTYPES if kind in kinds)


def _painted(making: _Making, wanted: tuple[str, ...]) -> _Inside:
    """The head before it is scanned, with artefacts but without blur and grain."""
    grid, hollow, rng = making.grid, making.hollow, making.rng
    traits = drawn_face(rng)
    bone_mm = bone_thickness(grid, traits)
    hu = paint_face(grid, hollow, bone_mm, traits, making.texture)
    brain = grid.box(*_BRAIN)
    inside = _inside(making, wanted)
    blend(hu[brain], grid.coverage(hollow.depth_mm)[brain], inside.hu)
    masks = np.zeros(grid.shape, dtype=np.uint8)
    masks[brain] = np.where(hollow.depth_mm[brain] > 0, inside.masks, 0)
    stands_out = np.zeros((len(masks), len(SUBTYPES)), dtype=np.float32)
    stands_out[brain[0]] = inside.signal_to_noise
    if "scalp_swelling" in making.chosen:
        mimics.swell_scalp(hu, grid, hollow.dome_mm + bone_mm, rng)
    if "fracture" in making.chosen:
        mimics.fracture(hu, grid, hollow.depth_mm, bone_mm, rng, making.texture)
    _disturb(hu, grid, hollow, making.chosen, rng)
    return _Inside(hu, masks, stands_out, inside.lesions)


def _bulge(grid: HeadGrid, texture: Texture) -> FloatArray:
    """How far (mm) the inner table lies outside a smooth egg: waves, less the crests in front and behind."""
    bulge = 1.3 * texture.read(grid, 32.0) + 0.5 * texture.read(grid, 13.0)
    box = grid.box((-20.0, -95.0, -70.0), (20.0, 95.0, 60.0))
    x, y, z = grid.x[box], grid.y[box], grid.z[box]
    crests = np.where(y > 0, 3.2 * np.exp(-np.square((z + 8.0) / 14.0)), 1.8 * np.exp(-np.square((z - 5.0) / 25.0)))
    bulge[box] -= crests * np.exp(-np.square(x / 6.0))
    return np.asarray(bulge, dtype=np.float32)


def _inside(making: _Making, wanted: tuple[str, ...]) -> _Inside:
    """Paint brain and bleeds in the box of the brain; what nobody would see nobody would label, and is planned again."""
    hollow, box = making.hollow, making.grid.box(*_BRAIN)
    grid = making.grid.part(box)
    cropped = Cavity(hollow.depth_mm[box], hollow.dome_mm[box], hollow.above_base_mm[box])
    traits = drawn_brain(making.rng, making.age, "dense_sinus" in making.chosen)
    best = _planned_brain(making, wanted, grid, cropped, traits)
    latest = best
    for _ in range(TRIES - 1):
        if latest.least_seen >= SEEN_SIGNAL_TO_NOISE:
            break
        latest = _planned_brain(making, wanted, grid, cropped, traits)
        best = max(best, latest, key=lambda each: each.least_seen)
    return replace(best, lesions=tuple(each for each in best.lesions if each.volume_ml >= LEAST_ML))


def _planned_brain(
    making: _Making, wanted: tuple[str, ...], grid: HeadGrid, hollow: Cavity, traits: BrainTraits
) -> _Inside:
    """Plan bleeds, and paint the brain that they push, then them."""
    rng, texture = making.rng, making.texture
    plans = _pushing_plans(rng, wanted, grid, hollow)
    space = _bent(grid, plans, making.age, texture)
    hu, compartments = paint_brain(space, hollow, traits, texture)
    mimics.calcify(hu, space, compartments.falx_mm, making.chosen, rng, texture)
    if "old_infarct" in making.chosen:
        mimics.infarct(hu, space, traits.csf_hu, rng, texture)
    rim_hu = artefacts.rim(hollow.depth_mm, making.rim_hu)
    hu += rim_hu  # before the blood, whose HU are those that were measured in patients, rim and all
    plans += planned_bleeds(rng, (kind for kind in ("SAH", "IVH") if kind in wanted), compartments)
    beside = np.maximum(hu, np.float32(traits.grey_hu) + rim_hu)
    masks = np.zeros(hu.shape, dtype=np.uint8)
    lesions = tuple(_bleed(hu, masks, plan, compartments, rng, texture) for plan in plans)
    return _Inside(hu, masks, _signal_to_noise(hu - beside, masks, making, hollow), lesions)


def _signal_to_noise(rise_hu: FloatArray, masks: npt.NDArray[np.uint8], making: _Making, hollow: Cavity) -> FloatArray:
    """How far each kind stands out from grey matter on each slice, to a matched filter in the grain : (slices, subtypes)."""
    pixel_mm = making.grid.pixel_mm
    clear = making.grid.coverage(hollow.depth_mm - np.float32(BLUR_OF_BONE_MM)) > CLEAR_OF_BONE
    energy = np.square(np.where(rise_hu < LEAST_RISE_HU, np.float32(0.0), rise_hu)) * clear
    of_kind = [(energy * ((masks >> bit) & 1)).sum(axis=(1, 2)) for bit in range(len(SUBTYPES))]
    spots = pixel_mm**2 / artefacts.spot_mm2(making.kernel, pixel_mm)
    noise_hu = artefacts.grain_sd_hu(making.kernel, pixel_mm, making.scan.thickness_mm)
    return np.asarray(np.sqrt(np.stack(of_kind, axis=1) * spots) / noise_hu, dtype=np.float32)


def _pushing_plans(
    rng: np.random.Generator, wanted: tuple[str, ...], grid: HeadGrid, hollow: Cavity
) -> list[LesionPlan]:
    """Plan the bleeds that push the brain, before the brain is drawn."""
    kinds = [kind for kind in ("CPH", "SDH", "EDH") if kind in wanted]
    if not kinds:
        return []
    m, tent = np.abs(grid.x), grid.z - tentorium_height(grid.x, grid.y)
    callosal = callosal_depth(grid.y, grid.z)
    dry = np.zeros(grid.shape, dtype=np.float32)
    tentorium_mm = tentorium_distance(m, grid.y, tent)
    above = np.where(grid.y > POSTERIOR_Y_MM, tent, np.float32(40.0))
    rough = Compartments(grid, hollow.depth_mm, grid.x, above, dry, dry, falx_distance(m, callosal, tent), tentorium_mm)
    return planned_bleeds(rng, kinds, rough)


def _bent(grid: HeadGrid, plans: list[LesionPlan], age: int, texture: Texture) -> Space:
    """Brain coordinates: bent a little everywhere, and pushed across the midline by large bleeds."""
    x = grid.x + 1.8 * texture.read(grid, 15.0)
    y = grid.y + 2.2 * texture.read(grid, 15.0)
    z = grid.z + 1.8 * texture.read(grid, 15.0)
    room = 1.3 - 0.6 * min(max(age - 30, 0) / 60, 1.0)
    pushed = 0.0
    for plan in plans:
        if plan.volume_ml < 4:
            continue
        push = min(0.13 * plan.volume_ml * room, 11.0)

        def fade(at_x: FloatArray, at_y: FloatArray, at_z: FloatArray, center: Point = plan.center_mm) -> FloatArray:
            away2 = np.square((at_y - center[1]) / 60) + np.square((at_z - center[2]) / 45)
            return np.asarray(np.exp(-away2) / (1.0 + np.square((at_x - 0.6 * center[0]) / 55.0)), dtype=np.float32)

        side = math.copysign(push, plan.center_mm[0])
        x += np.float32(side) * smoothly(fade, (grid.x, grid.y, grid.z), grid.pixel_mm)
        pushed += push
    return Space(grid, x, y, z, 5.0 + pushed)


def _bleed(
    hu: FloatArray,
    masks: npt.NDArray[np.uint8],
    plan: LesionPlan,
    where: Compartments,
    rng: np.random.Generator,
    texture: Texture,
) -> Lesion:
    """Draw one bleed into HU and masks, in place."""
    bleed = drawn(rng, plan, where, texture)
    part = hu[bleed.box]
    if plan.kind == "CPH" and rng.random() < 0.75:
        blend(part, oedema(rng, plan, where, bleed.box, texture), float(rng.uniform(14, 24)))
    blend(part, bleed.amount, bleed.value_hu)
    masks[bleed.box] |= ((bleed.amount > VISIBLE) << SUBTYPES.index(plan.kind)).astype(np.uint8)
    return Lesion(plan.kind, float(bleed.amount.sum()) * where.grid.voxel_ml, plan.hu, plan.variant)


def _disturb(hu: FloatArray, grid: HeadGrid, hollow: Cavity, chosen: frozenset[str], rng: np.random.Generator) -> None:
    """Add the artefacts that were chosen, in place."""
    if "beam_hardening" in chosen:
        artefacts.beam_hardening(hu, grid, float(rng.uniform(3, 14)))
    if "streaks" in chosen:
        first = int(rng.integers(0, max(len(hu) // 3, 1)))
        middle = (hu.shape[1] * float(rng.uniform(0.4, 0.6)), hu.shape[2] * float(rng.uniform(0.2, 0.8)))
        artefacts.streaks(hu, rng, range(first, min(first + 4, len(hu))), middle, float(rng.uniform(2, 7)))
    if "metal" in chosen:
        artefacts.metal(hu, rng, hollow.depth_mm, grid.pixel_mm)
    if "motion" in chosen:
        artefacts.motion(hu, rng, grid.pixel_mm)
