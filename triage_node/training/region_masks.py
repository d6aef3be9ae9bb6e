"""Hemorrhage regions drawn by radiologists on slices of CT-ICH, to score heatmaps with.

Layout: ``masks.csv`` (``PatientNumber,SliceNumber,file,mask_pixels,match_distance``) beside the PNG files it names. The
regions were matched to slices by image hash, so one can be a slice off. They are for scoring, never for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.training.datasets.label_table import table_rows, whole_number
from triage_node.training.datasets.labelled_scan import DatasetRejected

TABLE = "masks.csv"
COLUMNS = ("PatientNumber", "SliceNumber", "file")


@dataclass(frozen=True)
class RegionMask:
    """One drawn slice; ``slice_id`` is as in ``LabelledScan.slice_ids``."""

    series: str
    slice_id: str
    path: Path

    def load(self, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Read the region on a grid of (rows, columns).

        Raises
        ------
        DatasetRejected
            The image cannot be read.
        """
        try:
            with Image.open(self.path) as image:
                resized = image.convert("L").resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        except OSError as error:
            problem = f"the mask cannot be read ({error})"
            raise DatasetRejected(self.path, problem, "Fetch the file again or delete its row") from error
        return np.asarray(resized) >= 128


def read_region_masks(folder: Path) -> list[RegionMask]:
    """List the drawn slices.

    Raises
    ------
    DatasetRejected
        The table lacks a column, a slice occurs twice, or a file is missing.
    """
    table = folder / TABLE
    masks: dict[tuple[int, int], RegionMask] = {}
    for row, cells in table_rows(table, COLUMNS):
        patient = whole_number(cells, "PatientNumber", table, row)
        number = whole_number(cells, "SliceNumber", table, row)
        path = folder / cells["file"].strip()
        if (patient, number) in masks:
            raise DatasetRejected(table, f"patient {patient} slice {number} occurs twice", "Keep one of the rows", row)
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise DatasetRejected(table, f"{cells['file']} is missing", "Fetch the file again or delete its row", row)
        masks[patient, number] = RegionMask(f"{patient:03d}", str(number), path)
    return list(masks.values())
