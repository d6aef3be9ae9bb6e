"""Scans that never were: phantoms, and real heads without blood that get some.

In: seeds, and real scans labelled free of blood. Out: scans for a bank, with masks and slice labels that cost no
radiologist's time. A pasted copy keeps its patient's name, so that it stays on the patient's side of every split.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from triage_node.core.finding import SUBTYPES
from triage_node.phantom import NoCavityFound, find_compartments, make_head, paste_blood
from triage_node.training.datasets import LabelledScan
from triage_node.training.freed_memory import keep_freed_memory
from triage_node.training.orphans import end_with_parent
from triage_node.training.slice_bank import BankedScan, banked

SHOWN_MM2 = 16.0
"""Area of blood from which a slice is labelled as showing it."""
HINT_MM2 = 1.0
"""Between this area and ``SHOWN_MM2`` nobody could say: the label is unknown."""
LEAST_SIGNAL_TO_NOISE = 7.0
"""What stands out less from its grain nobody could say is there: Rose's criterion, 5 (J Opt Soc Am 1948, 38:196-208), is for even
grain."""

Work = TypeVar("Work")
Made = TypeVar("Made")


def mask_labels(masks: npt.NDArray[np.uint8], pixel_mm2: float) -> npt.NDArray[np.float32]:
    """Label slices by the area of blood that they show.

    Parameters
    ----------
    masks : (slices, rows, columns), bit n set where ``SUBTYPES[n]`` is
    pixel_mm2
        Area of a pixel, mm2.

    Returns
    -------
    (slices, 6), 1 where shown, 0 where absent, NaN where too small to tell
    """
    areas = np.stack([((masks >> bit) & 1).sum(axis=(1, 2)) for bit in range(len(SUBTYPES))], axis=1) * pixel_mm2
    areas = np.concatenate([areas.sum(axis=1, keepdims=True), areas], axis=1)
    return np.where(areas >= SHOWN_MM2, 1.0, np.where(areas > HINT_MM2, np.nan, 0.0)).astype(np.float32)


def faint_slices(
    rise_hu: npt.NDArray[np.generic], masks: npt.NDArray[np.uint8], least_rise_hu: float
) -> npt.NDArray[np.bool_]:
    """Tell the slices whose blood hardly stands out from what was there before : (slices,).

    Thin blood beside the skull takes the place of bone's blur, and old blood is as dark as brain: nobody could say that the
    slice shows it, and a network that is told so learns to see blood in heads without any.

    Parameters
    ----------
    rise_hu : (slices, rows, columns)
        What pasting added to each voxel, HU.
    masks : (slices, rows, columns)
        Above 0 where blood was pasted.
    least_rise_hu
        The median rise of a slice's blood that is enough; 0 calls no slice faint.
    """
    medians = [np.median(rise[mask > 0]) if mask.any() else np.inf for rise, mask in zip(rise_hu, masks, strict=True)]
    return np.asarray(medians) < least_rise_hu if least_rise_hu > 0 else np.zeros(len(masks), dtype=bool)


def subject_labels(slice_labels: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Label a scan: it shows what a slice shows, and is free of what was not made up, whatever could hide it.

    Parameters
    ----------
    slice_labels : (slices, 6)
    masks : (slices, rows, columns), bit n set where ``SUBTYPES[n]`` is

    Returns
    -------
    (6,), NaN where blood was made up, no slice shows it, and one may
    """
    shown = (slice_labels == 1).any(axis=0)
    drawn = np.bitwise_or.reduce(masks, axis=None)
    made = np.array([drawn > 0, *(drawn >> bit & 1 for bit in range(len(SUBTYPES)))], dtype=bool)
    unsure = made & np.isnan(slice_labels).any(axis=0)
    return np.where(shown, 1.0, np.where(unsure, np.nan, 0.0)).astype(np.float32)


def seen_labels(labels: npt.NDArray[np.float32], signal_to_noise: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Call unknown what a slice shows by its mask and nobody sees, and all of a slice that shows nothing else.

    Parameters
    ----------
    labels : (slices, 6), as ``mask_labels`` gives them
    signal_to_noise : (slices, 5), as ``PhantomHead`` has it

    Returns
    -------
    (slices, 6)
    """
    kinds = np.where(
        (labels[:, 1:] == 1) & (signal_to_noise < LEAST_SIGNAL_TO_NOISE), np.float32(np.nan), labels[:, 1:]
    )
    hidden = (labels[:, 0] == 1) & ~(kinds == 1).any(axis=1)
    seen = np.concatenate([labels[:, :1], kinds], axis=1)
    return np.where(hidden[:, None], np.float32(np.nan), seen).astype(np.float32)


def phantom_scans(work: tuple[int, int]) -> list[BankedScan]:
    """Make one phantom of (seed, rows and columns)."""
    seed, size = work
    head = make_head(seed, size=size)
    labels = seen_labels(
        mask_labels(head.masks, head.pixel_spacing_mm[0] * head.pixel_spacing_mm[1]), head.signal_to_noise
    )
    name = f"phantom-{seed}"
    spacing = (head.slice_spacing_mm, *head.pixel_spacing_mm)
    return [
        banked(name, name, "phantom", head.volume_hu, spacing, labels, subject_labels(labels, head.masks), head.masks)
    ]


def pasted_scans(work: tuple[LabelledScan, int, int], least_rise_hu: float) -> list[BankedScan]:
    """Paste blood into (a real scan without any, so many copies, from this seed on).

    The labels of slices whose blood rises by less than ``least_rise_hu`` are unknown, and copies without any other left out.

    Every other copy draws its kinds as they come together in patients; the rest show one kind each in turn, since the
    rare ones have to be learned too. A head without a closed skull gives no copies.
    """
    scan, copies, first_seed = work
    source = scan.load()
    try:
        compartments = find_compartments(source.volume_hu, source.pixel_spacing_mm, source.slice_spacing_mm)
    except NoCavityFound:
        return []
    made = []
    for copy in range(copies):
        kinds = None if copy % 2 else (SUBTYPES[(copy // 2) % len(SUBTYPES)],)
        volume_hu, masks, _ = paste_blood(
            source.volume_hu,
            source.pixel_spacing_mm,
            source.slice_spacing_mm,
            first_seed + copy,
            kinds,
            compartments=compartments,
        )
        labels = mask_labels(masks, source.pixel_spacing_mm[0] * source.pixel_spacing_mm[1])
        rise_hu = volume_hu.astype(np.int32) - source.volume_hu
        labels[faint_slices(rise_hu, masks, least_rise_hu)] = np.nan
        of_subject = subject_labels(labels, masks)
        if of_subject[0] != 1:
            continue
        spacing = (source.slice_spacing_mm, *source.pixel_spacing_mm)
        name = f"{scan.series}-pasted-{copy}"
        made.append(banked(name, scan.subject, "pasted", volume_hu, spacing, labels, of_subject, masks))
    return made


def real_scans(scan: LabelledScan) -> list[BankedScan]:
    """Bring a patient's own scan to the grid."""
    source = scan.load()
    labels = scan.slice_labels
    if labels is None:
        labels = np.where(scan.labels == 0, np.float32(0), np.float32(np.nan)) * np.ones(
            (scan.slice_count, 1), np.float32
        )
    spacing = (source.slice_spacing_mm, *source.pixel_spacing_mm)
    return [
        banked(scan.series, scan.subject, "real", source.volume_hu, spacing, labels, scan.labels, None, scan.slice_ids)
    ]


def _prepare_worker() -> None:
    end_with_parent()
    torch.set_num_threads(1)
    keep_freed_memory()


def made_in_parallel(make: Callable[[Work], Made], works: Sequence[Work], processes: int) -> Iterator[Made]:
    """Make many, in order, on several processes of one thread each."""
    if processes <= 1:
        yield from map(make, works)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare_worker) as pool:
        yield from pool.map(make, works)
