"""Does a heatmap point at the blood: the pointing game and the energy inside a drawn region.

In: slices with a heatmap and a mask, from phantoms or from radiologists. Out: how often the peak lies in the mask (Zhang et
al., ECCV 2016, section 4) and what share of the heat does (Wang et al., CVPR-W 2020, section 4.2), beside what chance gives
and what the brightest tissue gives: blood is bright, so a heatmap that does not beat brightness shows nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from triage_node.training.bootstrap import bootstrap_estimate
from triage_node.training.datasets.labelled_scan import DatasetRejected
from triage_node.training.estimates import Estimate

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

TOLERANCE_PIXELS = 15
"""The pointing game's own tolerance; 7 mm at 0.46 mm a pixel, two cells of a 16 x 16 map are 29 mm."""
SOFT_TISSUE_HU = (-100.0, 100.0)
BONE_HU = 150.0
BONE_MARGIN_PIXELS = 9
"""Partial volume beside the skull is as bright as blood."""
BRIGHTNESS_HU = (35.0, 85.0)
"""From dark grey matter to dense clot."""
MOST_EXAMPLES = 12
BASELINES = ("random point", "brightest tissue")


@dataclass(frozen=True, eq=False)
class MaskedSlice:
    """One slice to score.

    Attributes
    ----------
    patient
        Intervals draw whole patients.
    slice_hu : (rows, columns), HU
    heatmaps
        By name, (rows, columns) each, 0 or above; every slice has the same names.
    mask : (rows, columns), the blood
    """

    patient: str
    slice_hu: npt.NDArray[np.generic]
    heatmaps: Mapping[str, FloatArray]
    mask: BoolArray


@dataclass(frozen=True)
class HeatmapScore:
    """One way to point at blood, over all slices.

    Attributes
    ----------
    empty
        Slices on which it points nowhere: they miss, and hold no energy.
    """

    name: str
    pointing: Estimate
    energy: Estimate
    empty: int


@dataclass(frozen=True)
class HeatmapEvaluation:
    """A model's heatmaps beside chance and brightness.

    Attributes
    ----------
    regions
        What they are held against, in words.
    scores
        The model's first, then ``BASELINES``.
    examples
        The slice with the largest region of each of some patients, to be looked at.
    """

    regions: str
    slices: int
    patients: int
    tolerance_pixels: int
    scores: tuple[HeatmapScore, ...]
    examples: tuple[MaskedSlice, ...] = field(default=(), repr=False, metadata={"in_json": False})


def pointing_hit(heatmap: FloatArray, mask: BoolArray, tolerance_pixels: int = TOLERANCE_PIXELS) -> bool:
    """Tell whether the heatmap's peak lies within a distance of the mask; an empty heatmap never does.

    Examples
    --------
    >>> heatmap = np.zeros((9, 9)); heatmap[4, 4] = 1
    >>> mask = np.zeros((9, 9), dtype=bool); mask[4, 7] = True
    >>> pointing_hit(heatmap, mask, 2), pointing_hit(heatmap, mask, 3)
    (False, True)
    """
    if not heatmap.max() > 0:
        return False
    row, column = np.unravel_index(int(np.argmax(heatmap)), heatmap.shape)
    rows, columns = np.nonzero(mask)
    return bool((((rows - row) ** 2 + (columns - column) ** 2) <= tolerance_pixels**2).any())


def energy_inside(heatmap: FloatArray, mask: BoolArray) -> float:
    """Give the share of a heatmap's sum that lies in the mask; 0 for an empty heatmap.

    Examples
    --------
    >>> energy_inside(np.array([[1.0, 3.0]]), np.array([[False, True]]))
    0.75
    """
    total = float(heatmap.sum())
    return float(heatmap[mask].sum()) / total if total > 0 else 0.0


def brightness(slice_hu: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Make a heatmap of how bright soft tissue is, away from bone: (rows, columns), 0 to 1."""
    hu = np.asarray(slice_hu, dtype=np.float64)
    low, high = BRIGHTNESS_HU
    grey = np.clip((hu - low) / (high - low), 0.0, 1.0)
    smooth = np.asarray(_filtered(grey * 255, ImageFilter.GaussianBlur(3)), dtype=np.float64) / 255
    return np.where(inner_tissue(hu), smooth, 0.0)


def inner_tissue(slice_hu: npt.NDArray[np.generic]) -> BoolArray:
    """Mark soft tissue that is not beside bone, (rows, columns): where blood could be, found without any model."""
    hu = np.asarray(slice_hu, dtype=np.float64)
    soft = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    bone = _filtered((hu >= BONE_HU) * 255.0, ImageFilter.MaxFilter(BONE_MARGIN_PIXELS)) > 0
    return np.asarray(soft & ~bone)


def _filtered(values: FloatArray, rule: ImageFilter.Filter) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(np.round(values).astype(np.uint8)).filter(rule))


def score_heatmaps(
    slices: Iterable[MaskedSlice], tolerance_pixels: int = TOLERANCE_PIXELS, regions: str = "drawn regions"
) -> HeatmapEvaluation:
    """Score a model's heatmaps beside chance and brightness.

    Parameters
    ----------
    slices
        Each is taken once, so they may be read as they are asked for.
    tolerance_pixels
        How far from the mask the peak may lie.
    regions
        What the masks are, in words.

    Raises
    ------
    DatasetRejected
        There is no slice with a mask.
    """
    patients: list[str] = []
    found: dict[str, list[tuple[float, float, bool]]] = {}
    examples: dict[str, MaskedSlice] = {}
    for each in slices:
        if each.mask.any():
            patients.append(each.patient)
            _keep_example(examples, each)
            for name, figures in _figures(each, tolerance_pixels).items():
                found.setdefault(name, []).append(figures)
    if not patients:
        raise DatasetRejected("the regions", "none lies on a slice that was read", "Name the regions of this data set")
    clusters = np.unique(patients, return_inverse=True)[1]

    def mean(values: FloatArray) -> Estimate:
        return bootstrap_estimate(lambda drawn: float(values[drawn].mean()), clusters)

    return HeatmapEvaluation(
        regions=regions,
        slices=len(patients),
        patients=len(set(patients)),
        tolerance_pixels=tolerance_pixels,
        scores=tuple(
            HeatmapScore(name, mean(columns[0]), mean(columns[1]), int(columns[2].sum()))
            for name, columns in ((name, np.array(figures).T) for name, figures in found.items())
        ),
        examples=tuple(examples.values()),
    )


def _keep_example(examples: dict[str, MaskedSlice], each: MaskedSlice) -> None:
    """Keep a slice where its patient has none yet, or one with less blood."""
    kept = examples.get(each.patient)
    if (kept is None and len(examples) < MOST_EXAMPLES) or (kept is not None and each.mask.sum() > kept.mask.sum()):
        examples[each.patient] = each


def _figures(each: MaskedSlice, tolerance_pixels: int) -> dict[str, tuple[float, float, bool]]:
    """Give pointing, energy and emptiness of each heatmap, of chance (its exact expectation) and of brightness."""
    tissue, bright = inner_tissue(each.slice_hu), brightness(each.slice_hu)
    near = _grown(each.mask, tolerance_pixels)
    area = max(1, int(tissue.sum()))
    by_chance = int((near & tissue).sum()) / area, int((each.mask & tissue).sum()) / area, False

    def of(heatmap: FloatArray) -> tuple[float, float, bool]:
        hit = pointing_hit(heatmap, each.mask, tolerance_pixels)
        return float(hit), energy_inside(heatmap, each.mask), not heatmap.max() > 0

    own = {name: of(heatmap) for name, heatmap in each.heatmaps.items()}
    return own | dict(zip(BASELINES, (by_chance, of(bright)), strict=True))


def _grown(mask: BoolArray, pixels: int) -> BoolArray:
    """Mark every pixel within a distance of the mask: one row of the disc after the other, each a running sum."""
    rows = len(mask)
    grown = np.zeros_like(mask)
    for offset in range(-min(pixels, rows - 1), min(pixels, rows - 1) + 1):
        half_width = int(np.sqrt(pixels**2 - offset**2))
        sums = np.cumsum(np.pad(mask, ((0, 0), (half_width + 1, half_width))), axis=1)
        widened = sums[:, 2 * half_width + 1 :] > sums[:, : -2 * half_width - 1]
        source = slice(max(0, -offset), rows - max(0, offset))
        target = slice(max(0, offset), rows - max(0, -offset))
        grown[target] |= widened[source]
    return grown
