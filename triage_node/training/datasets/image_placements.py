"""Where each image of a very large set lies: read from the headers once, then from a table.

In: a folder of ``<name>.dcm``. Out: for every image its series and its place in space, in a few hundred bytes each. The
table is written whole or not at all, and images that were added since are read and added to it.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from triage_node.training.datasets.dicom_series import SliceHeader, slice_header
from triage_node.training.datasets.label_table import table_rows
from triage_node.training.datasets.labelled_scan import DatasetRejected

BATCH = 4096
"""Images handed to the reading threads at a time, so that memory stays bounded."""
READING_THREADS = 8


class ImagePlacement(NamedTuple):
    """One image's series and place.

    ``position``, ``orientation``, ``spacing`` and ``shape`` are as in ``SliceHeader``, numbers joined by blanks, because equal
    texts can be shared between the images of a series; empty where missing.
    """

    name: str
    patient: str
    study: str
    series: str
    position: str
    orientation: str
    spacing: str
    shape: str

    def header(self, folder: Path) -> SliceHeader:
        """Give the header that ordering needs, for the image in ``folder``."""
        rows, columns = _numbers(self.shape)
        return SliceHeader(
            path=folder / f"{self.name}.dcm",
            patient=self.patient,
            study=self.study,
            series=self.series,
            position_mm=_numbers(self.position) or None,  # type: ignore[arg-type]  # three numbers or none
            orientation=_numbers(self.orientation) or None,  # type: ignore[arg-type]
            pixel_spacing_mm=_numbers(self.spacing) or None,  # type: ignore[arg-type]
            shape=(int(rows), int(columns)),
        )


@lru_cache(maxsize=65536)
def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split())


def image_placements(folder: Path, names: Sequence[str], table: Path) -> list[ImagePlacement]:
    """Give the placement of every named image, in the order of ``names``.

    Parameters
    ----------
    folder
        Holds ``<name>.dcm``.
    table
        Read where it exists; written where images are missing from it and its folder is writable.

    Raises
    ------
    DatasetRejected
        A header cannot be read, or the table is malformed.
    """
    known = {each.name: each for each in _from_table(table)} if table.is_file() else {}
    missing = [name for name in names if name not in known]
    for start in range(0, len(missing), BATCH):
        with ThreadPoolExecutor(READING_THREADS) as threads:
            batch = [folder / f"{name}.dcm" for name in missing[start : start + BATCH]]
            known.update((each.name, each) for each in map(_placement, threads.map(slice_header, batch)))
    placements = [known[name] for name in names]
    if missing and os.access(table.parent, os.W_OK):
        _write(table, placements)
    return placements


def _from_table(table: Path) -> Iterator[ImagePlacement]:
    for row, cells in table_rows(table, ImagePlacement._fields):
        placement = _shared(*(cells[name] for name in ImagePlacement._fields))
        try:
            placement.header(table.parent)
        except ValueError as error:
            problem = f"image {placement.name} has no place in space that can be read"
            raise DatasetRejected(table, problem, "Delete the file: it is made again", row) from error
        yield placement


def _placement(header: SliceHeader) -> ImagePlacement:
    def joined(values: Sequence[float] | None) -> str:
        return " ".join(f"{value:.10g}" for value in values or ())

    return _shared(
        header.path.stem,
        header.patient,
        header.study,
        header.series,
        joined(header.position_mm),
        joined(header.orientation),
        joined(header.pixel_spacing_mm),
        joined(header.shape),
    )


def _shared(name: str, patient: str, study: str, series: str, position: str, *repeated: str) -> ImagePlacement:
    """Keep one copy of each text that a series' images have in common."""
    patient, study, series = sys.intern(patient), sys.intern(study), sys.intern(series)
    return ImagePlacement(name, patient, study, series, position, *(sys.intern(each) for each in repeated))


def _write(table: Path, placements: Sequence[ImagePlacement]) -> None:
    partial = table.with_name(f"{table.name}.{os.getpid()}.part")
    try:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(ImagePlacement._fields)
            writer.writerows(placements)
        partial.replace(table)
    finally:
        partial.unlink(missing_ok=True)
