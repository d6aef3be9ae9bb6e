"""Scans on the network's grid, kept on disk so that training reads slices in any order at memory speed.

In: volumes with labels, real or made up. Out: a folder of arrays that are mapped into memory, never loaded whole. A
bank holds what ``cascade.preprocessing`` makes and nothing is resampled again but by augmentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triage_node.cascade.network import CLASS_ORDER
from triage_node.cascade.preprocessing import INPUT_SIZE, Grid, beside, fractions_on_network_grid, on_network_grid
from triage_node.core.finding import SUBTYPES

MASK_SIZE = 64
"""Rows and columns that masks are kept at; the location head sees them at 16."""
INDEX_NAME, LABELS_NAME, VOLUMES_NAME, MASKS_NAME = "index.json", "labels.npy", "volume_hu.raw", "masks.raw"


@dataclass(frozen=True)
class BankedScan:
    """One scan on its way into a bank.

    Attributes
    ----------
    scan, subject, kind
        Unique name; patient that decides the fold; ``real``, ``pasted`` or ``phantom``.
    volume_hu : (slices, 256, 256), int16 HU
    labels : (slices, 6), 0 or 1, NaN where unknown, in the order of ``CLASS_ORDER``
    subject_labels : (6,)
    masks : (slices, 5, 64, 64), uint8, 255 where a cell holds that subtype everywhere; None where there are none
    slice_ids
        One a slice.
    """

    scan: str
    subject: str
    kind: str
    volume_hu: npt.NDArray[np.int16]
    labels: npt.NDArray[np.float32]
    subject_labels: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8] | None
    slice_ids: tuple[str, ...]


def labels_on_grid(labels: npt.NDArray[np.float32], grid: Grid) -> npt.NDArray[np.float32]:
    """A network slice shows what any of its source slices shows : (source slices, 6) -> (network slices, 6)."""
    return np.stack([labels[start:stop].max(axis=0) for start, stop in grid.slices_of_group])


def masks_on_grid(masks: npt.NDArray[np.uint8], grid: Grid) -> npt.NDArray[np.uint8]:
    """Bring a bit field of subtypes (slices, rows, columns) to (network slices, 5, 64, 64), 0 to 255."""
    per_cell = INPUT_SIZE // MASK_SIZE
    planes = []
    for bit in range(len(SUBTYPES)):
        fractions = fractions_on_network_grid(((masks >> bit) & 1).astype(np.float32), grid)
        cells = fractions.reshape(-1, MASK_SIZE, per_cell, MASK_SIZE, per_cell).mean(axis=(2, 4))
        planes.append(np.round(np.clip(cells, 0.0, 1.0) * 255).astype(np.uint8))
    return np.stack(planes, axis=1)


def banked(
    scan: str,
    subject: str,
    kind: str,
    volume_hu: npt.NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    labels: npt.NDArray[np.float32],
    subject_labels: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8] | None = None,
    slice_ids: tuple[str, ...] | None = None,
) -> BankedScan:
    """Bring a source volume to the grid exactly as the node does.

    Parameters
    ----------
    scan, subject, kind
        See ``BankedScan``.
    volume_hu : (slices, rows, columns), HU
    spacing_mm : between slices, rows, columns
    labels : (slices, 6)
    subject_labels : (6,)
    masks : (slices, rows, columns), bit n set where ``SUBTYPES[n]`` is
    slice_ids
        Names of the source slices; a group of averaged slices takes the first one's.
    """
    grid_hu, grid = on_network_grid(volume_hu, spacing_mm[0], (spacing_mm[1], spacing_mm[2]))
    ids = slice_ids or tuple(str(number) for number in range(1, volume_hu.shape[0] + 1))
    return BankedScan(
        scan=scan,
        subject=subject,
        kind=kind,
        volume_hu=np.round(grid_hu).astype(np.int16),
        labels=labels_on_grid(labels, grid),
        subject_labels=subject_labels,
        masks=None if masks is None else masks_on_grid(masks, grid),
        slice_ids=tuple(ids[start] for start, _ in grid.slices_of_group),
    )


class SliceBank:
    """A bank on disk.

    Attributes
    ----------
    volume_hu : (slices, 256, 256), int16 HU, mapped
    labels : (slices, 6)
    scan_of_slice : (slices,)
        Index into ``scans``.
    scans, subjects, kinds
        One entry a scan.
    subject_labels : (scans, 6)
    ranges
        Half-open ranges of slices, one a scan.
    made_by
        The settings that made-up scans came from; empty for real ones.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        entries = index["scans"]
        self.folder = folder
        self.made_by: Mapping[str, Any] = index.get("made_by", {})
        self.labels: npt.NDArray[np.float32] = np.load(folder / LABELS_NAME)
        count = len(self.labels)
        self.volume_hu = np.memmap(folder / VOLUMES_NAME, dtype="<i2", mode="r", shape=(count, INPUT_SIZE, INPUT_SIZE))
        self.scans = [str(entry["scan"]) for entry in entries]
        self.subjects = [str(entry["subject"]) for entry in entries]
        self.kinds = [str(entry["kind"]) for entry in entries]
        self.ranges = [(int(entry["start"]), int(entry["stop"])) for entry in entries]
        self.slice_ids = [tuple(entry["slice_ids"]) for entry in entries]
        self.subject_labels = np.array(
            [[np.nan if value is None else value for value in entry["subject_labels"]] for entry in entries],
            dtype=np.float32,
        )
        self.scan_of_slice = np.repeat(np.arange(len(entries)), [stop - start for start, stop in self.ranges])
        self._mask_row = np.full(count, -1, dtype=np.int64)
        for entry, (start, stop) in zip(entries, self.ranges, strict=True):
            if entry["first_mask"] is not None:
                self._mask_row[start:stop] = entry["first_mask"] + np.arange(stop - start)
        shape = (int(self._mask_row.max()) + 1, len(SUBTYPES), MASK_SIZE, MASK_SIZE)
        self._masks = np.memmap(folder / MASKS_NAME, dtype=np.uint8, mode="r", shape=shape) if shape[0] else None

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether a whole bank lies in this folder."""
        return (folder / INDEX_NAME).is_file()

    def __len__(self) -> int:
        return len(self.labels)

    def planes_hu(self, slices: npt.NDArray[np.int64], neighbours: bool) -> npt.NDArray[np.float32]:
        """Some slices, with the ones below and above in their scan where wanted : (slices, 1 or 3, 256, 256), HU."""
        if not neighbours:
            return self.volume_hu[slices][:, None].astype(np.float32)
        first, stop = np.array(self.ranges)[self.scan_of_slice[slices]].T
        return self.volume_hu[beside(slices, first, stop - 1)].astype(np.float32)

    def has_mask(self, slices: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each of some slices has a mask : (slices,)."""
        return np.asarray(self._mask_row[slices] >= 0)

    def masks(self, slices: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Masks of any blood and of each subtype : (slices, 6, 64, 64), 0 to 1; 0 where a slice has none."""
        found = np.zeros((len(slices), len(CLASS_ORDER), MASK_SIZE, MASK_SIZE), dtype=np.float32)
        rows = self._mask_row[slices]
        if self._masks is not None and (rows >= 0).any():
            found[rows >= 0, 1:] = self._masks[rows[rows >= 0]].astype(np.float32) / 255.0
            found[:, 0] = found[:, 1:].max(axis=1)
        return found
