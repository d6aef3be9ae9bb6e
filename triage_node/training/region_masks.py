"""Regions of blood on slices, to score heatmaps with: drawn by radiologists on CT-ICH, or the masks of phantoms.

Both lie in a ``masks.csv`` beside the PNG files that it names. CT-ICH's has ``PatientNumber,SliceNumber,file``; its regions
were matched to slices by image hash, so one can be a slice off. A folder's has ``subject,slice,file``, ``slice`` being the
SOP Instance UID; `triage-node phantom --masks` writes it. They are for scoring, never for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.training.datasets.ct_ich import SOURCE as CT_ICH
from triage_node.training.datasets.label_table import table_rows, whole_number
from triage_node.training.datasets.labelled_scan import DatasetRejected

TABLE = "masks.csv"
CT_ICH_COLUMNS = ("PatientNumber", "SliceNumber", "file")
FOLDER_COLUMNS = ("subject", "slice", "file")


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
                # the values of a palette image are bits, one for each kind of blood, and no brightness
                white = image.point(lambda value: 255 if value else 0, "L") if image.mode == "P" else image.convert("L")
                resized = white.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        except OSError as error:
            problem = f"the mask cannot be read ({error})"
            raise DatasetRejected(self.path, problem, "Fetch the file again or delete its row") from error
        return np.asarray(resized) >= 128


def read_region_masks(folder: Path, source: str) -> list[RegionMask]:
    """List the drawn slices.

    Parameters
    ----------
    source
        Name of the data set that the regions belong to, which tells the layout.

    Raises
    ------
    DatasetRejected
        The table lacks a column, a slice occurs twice, or a file is missing.
    """
    table = folder / TABLE
    masks: dict[tuple[str, str], RegionMask] = {}
    for row, cells in table_rows(table, CT_ICH_COLUMNS if source == CT_ICH else FOLDER_COLUMNS):
        series, slice_id = _slice_of(cells, table, row, source)
        path = folder / cells["file"].strip()
        if (series, slice_id) in masks:
            raise DatasetRejected(table, f"{series} slice {slice_id} occurs twice", "Keep one of the rows", row)
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise DatasetRejected(table, f"{cells['file']} is missing", "Fetch the file again or delete its row", row)
        masks[series, slice_id] = RegionMask(series, slice_id, path)
    return list(masks.values())


def _slice_of(cells: Mapping[str, str], table: Path, row: int, source: str) -> tuple[str, str]:
    if source == CT_ICH:
        patient, number = (whole_number(cells, column, table, row) for column in CT_ICH_COLUMNS[:2])
        return f"{patient:03d}", str(number)
    return cells["subject"].strip(), cells["slice"].strip()
