"""RSNA 2019 intracranial hemorrhage challenge: slice labels for 752,803 images (Flanders et al., Radiol AI 2020).

Layout: ``stage_2_train.csv`` (``ID,Label``, rows ``ID_<hex>_<type>,0|1``) beside ``stage_2_train/ID_<hex>.dcm``. The table
names neither study nor position, so every header is read once and images are grouped by their Study and Series UID.

Known defects, handled here: four images have their rows twice; UIDs are ``ID_...``; InstanceNumber, SliceThickness and
SOPClassUID are missing; some 12-bit values are wrapped; one image is cut short. The terms are non-commercial: weights
trained on it are the user's own.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.training.datasets.dicom_series import (
    NotAnAxialStack,
    SliceHeader,
    ordered_slices,
    read_series,
    slice_spacing_mm,
)
from triage_node.training.datasets.image_placements import ImagePlacement, image_placements
from triage_node.training.datasets.labelled_dataset import Exclusion, LabelledDataset
from triage_node.training.datasets.labelled_scan import (
    TARGETS,
    DatasetRejected,
    LabelledScan,
    ScanVolume,
    check_scans,
    scan_labels,
)

SOURCE = "rsna-2019"
LABELS = "stage_2_train.csv"
IMAGES = "stage_2_train"
TARGET_OF_TYPE = {
    "any": "any",
    "intraparenchymal": "CPH",
    "intraventricular": "IVH",
    "subdural": "SDH",
    "epidural": "EDH",
    "subarachnoid": "SAH",
}
HEADER_INDEX = "triage_node_headers.csv"
CUT_SHORT_IN_THE_RELEASE = frozenset({"ID_6431af929"})
UNKNOWN = 255
"""A cell of the label table that no row has filled."""


@dataclass(frozen=True)
class ImageLabels:
    """Labels of every image, held as numbers: the table has 4.5 million rows.

    Attributes
    ----------
    images : (images,), the hexadecimal part of the image's name as a number, ascending
    labels : (images, 6) in the order of ``TARGETS``, 0 or 1
    rows : (images,), line of the table that names the image first
    """

    images: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]

    def of(self, names: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return (images, 6) for images named ``ID_<hex>``, all of which must be in the table."""
        wanted = np.array([int(name[3:], 16) for name in names], dtype=np.uint64)
        return self.labels[np.searchsorted(self.images, wanted)].astype(np.float32)

    def __contains__(self, name: str) -> bool:
        wanted = np.uint64(int(name[3:], 16))
        index = int(np.searchsorted(self.images, wanted))
        return index < len(self.images) and bool(self.images[index] == wanted)


def rsna_2019_dataset(folder: Path) -> LabelledDataset:
    """Index the challenge's training set; one scan for each series.

    The headers are kept in ``triage_node_headers.csv`` beside the table, where the folder can be written, because reading
    three quarters of a million of them takes many minutes.

    Raises
    ------
    DatasetRejected
        The table is malformed or contradicts itself, an image has no labels, labels have no image, or a header cannot
        be read.
    """
    labels = read_image_labels(folder / LABELS)
    names = _image_names(folder / IMAGES)
    _refuse_unmatched(folder, labels, names)
    usable = [name for name in names if name not in CUT_SHORT_IN_THE_RELEASE]
    by_series: dict[tuple[str, str, str], list[ImagePlacement]] = defaultdict(list)
    for placement in image_placements(folder / IMAGES, usable, folder / HEADER_INDEX):
        by_series[placement.patient, placement.study, placement.series].append(placement)
    scans = []
    cut_short = sorted(CUT_SHORT_IN_THE_RELEASE.intersection(names))
    excluded = [Exclusion(name, "the image is cut short in the release") for name in cut_short]
    for (_, _, series), placements in sorted(by_series.items()):
        try:
            slices = ordered_slices([each.header(folder / IMAGES) for each in placements])
        except NotAnAxialStack as problem:
            excluded.append(Exclusion(series, str(problem)))
            continue
        scans.append(_scan(slices, labels, folder / LABELS))
    check_scans(scans)
    return LabelledDataset(SOURCE, tuple(scans), tuple(excluded))


def read_image_labels(file: Path) -> ImageLabels:
    """Read the label table in one pass.

    Raises
    ------
    DatasetRejected
        The header or a row is not as published, one image has two different labels, or one of its six labels is missing.
    """
    images, columns, values = array("Q"), array("B"), array("B")
    for image, column, value in _cells(file):
        images.append(image)
        columns.append(column)
        values.append(value)
    unique, first, inverse = np.unique(np.frombuffer(images, dtype=np.uint64), return_index=True, return_inverse=True)
    labels = np.full((len(unique), len(TARGETS)), UNKNOWN, dtype=np.uint8)
    column_of, value_of = np.frombuffer(columns, dtype=np.uint8), np.frombuffer(values, dtype=np.uint8)
    labels[inverse, column_of] = value_of
    clash = np.flatnonzero(labels[inverse, column_of] != value_of)  # duplicates may repeat, never contradict
    if len(clash):
        same = np.flatnonzero((inverse == inverse[clash[0]]) & (column_of == column_of[clash[0]]))
        problem = f"image ID_{unique[inverse[clash[0]]]:09x} has another label of this type in row {same[0] + 2}"
        raise DatasetRejected(file, problem, "Keep the right one", int(same[-1]) + 2)
    incomplete = np.flatnonzero((labels == UNKNOWN).any(axis=1))
    if len(incomplete):
        image = incomplete[0]
        lacking = [name for name, value in zip(TARGETS, labels[image], strict=True) if value == UNKNOWN]
        problem = f"image ID_{unique[image]:09x} has no label for {', '.join(lacking)}"
        raise DatasetRejected(file, problem, "Download the table again", int(first[image]) + 2)
    contradicting = np.flatnonzero((labels[:, 0] == 0) & (labels[:, 1:] == 1).any(axis=1))
    if len(contradicting):
        image = contradicting[0]
        problem = f"image ID_{unique[image]:09x} has a subtype where 'any' is 0"
        raise DatasetRejected(file, problem, "Download the table again, or set 'any' to 1", int(first[image]) + 2)
    return ImageLabels(unique, labels, first.astype(np.int64) + 2)


def _cells(file: Path) -> Iterator[tuple[int, int, int]]:
    column_of = {kind: TARGETS.index(target) for kind, target in TARGET_OF_TYPE.items()}
    try:
        stream = file.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise DatasetRejected(file, problem, f"Name the folder that holds {LABELS}") from error
    with stream:
        reader = csv.reader(stream)
        if next(reader, None) != ["ID", "Label"]:
            raise DatasetRejected(file, "the header is not ID,Label", f"Use {LABELS} as published", 1)
        for row, cells in enumerate(reader, start=2):
            try:
                name, label = cells
                prefix, image, kind = name.split("_")
                if prefix != "ID":
                    raise ValueError(name)
                yield int(image, 16), column_of[kind], ("0", "1").index(label)
            except (ValueError, KeyError) as error:
                problem = f"{','.join(cells)!r} is not ID_<hex>_<type>,0 or 1"
                raise DatasetRejected(file, problem, f"The types are {', '.join(TARGET_OF_TYPE)}", row) from error


def _image_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DatasetRejected(folder, "the folder is missing", "Unpack the challenge's archive beside the table")
    with os.scandir(folder) as entries:
        return sorted(entry.name[:-4] for entry in entries if entry.name.endswith(".dcm"))


def _refuse_unmatched(folder: Path, labels: ImageLabels, names: list[str]) -> None:
    for name in names:
        try:
            known = name in labels
        except ValueError:
            known = False
        if not known:
            problem = f"image {name}.dcm has no row in {LABELS}"
            raise DatasetRejected(folder / IMAGES, problem, "Move it away or use the table it belongs to")
    # Who has deleted an image that nobody can read has done no harm.
    present = np.array([int(name[3:], 16) for name in {*names, *CUT_SHORT_IN_THE_RELEASE}], dtype=np.uint64)
    missing = np.flatnonzero(~np.isin(labels.images, present))
    if len(missing):
        problem = f"image ID_{labels.images[missing[0]]:09x} has labels and no file ({len(missing)} such images)"
        remedy = "Finish the download, or delete the rows of images you leave out"
        raise DatasetRejected(folder / LABELS, problem, remedy, int(labels.rows[missing].min()))


def _scan(slices: list[SliceHeader], labels: ImageLabels, file: Path) -> LabelledScan:
    names = tuple(each.path.stem for each in slices)
    slice_labels = labels.of(names)
    return LabelledScan(
        subject=slices[0].patient,
        series=slices[0].series,
        source=SOURCE,
        labels=scan_labels(slice_labels),
        slice_labels=slice_labels,
        slice_ids=names,
        reader=partial(_read_images, slices[0].path.parent, names, slice_spacing_mm(slices)),
        label_file=file,
    )


def _read_images(folder: Path, names: tuple[str, ...], spacing_mm: float) -> ScanVolume:
    return read_series([folder / f"{name}.dcm" for name in names], spacing_mm)
