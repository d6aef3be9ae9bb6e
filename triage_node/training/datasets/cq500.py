"""CQ500: 491 head CT studies, each read by three radiologists (Chilamkurthy et al., Lancet 2018).

Layout: ``reads.csv`` (``name,Category,R1:ICH,R1:IPH,...``) beside the unpacked archives,
``CQ500CT<n> CQ500CT<n>/Unknown Study/<series description>/CT000000.dcm``, at any depth. Labels are of the whole scan: what
two of three readers saw. Several series a study; one is chosen as the node chooses. CC BY-NC-SA 4.0: weights trained on
it are the user's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES
from triage_node.core.instance import InstanceHeader
from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_dataset import Exclusion, LabelledDataset
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected, LabelledScan, check_scans
from triage_node.training.datasets.series_choice import Instance, NoSuitableSeries, chosen_series, read_instances

SOURCE = "cq500"
LABELS = "reads.csv"
READERS = ("R1", "R2", "R3")
COLUMN_OF_TARGET = {"any": "ICH", "CPH": "IPH", "IVH": "IVH", "SDH": "SDH", "EDH": "EDH", "SAH": "SAH"}
STUDY_NAME = re.compile(r"CQ500-CT-(\d+)")
STUDY_FOLDER = re.compile(r"CQ500CT(\d+) CQ500CT\1")

CONTRAST_PHASE = re.compile(r"\b(post|contrast|cect|oral|c|\d+ ?cc)\b", re.IGNORECASE)
"""Names the set gives to series with contrast, such as ``CT C THIN`` and ``CT 4cc sec 150cc D3D on``."""
PLAIN_PHASE = re.compile(r"\b(pre|non|without|w/?o)[ -]*(contrast|c)\b", re.IGNORECASE)


def cq500_dataset(folder: Path) -> LabelledDataset:
    """Index a CQ500 folder; one scan for each study.

    Raises
    ------
    DatasetRejected
        The table is not as published, a study has images and no row, or a row and no images.
    """
    file = folder / LABELS
    reads = read_majorities(file)
    homes = dict(_study_folders(folder))
    for number in sorted(homes.keys() - reads.keys()):
        problem = f"study {number} has images in {homes[number]} and no row"
        raise DatasetRejected(file, problem, "Add the row or move the images away")
    scans, excluded = [], []
    for number, (row, labels, notes) in sorted(reads.items()):
        name = f"CQ500-CT-{number}"
        if number not in homes:
            raise DatasetRejected(file, f"{name} has a row and no images", "Unpack its archive or delete the row", row)
        try:
            chosen = chosen_series(_instances(homes[number]), contrast_phase)
        except NoSuitableSeries as problem:
            excluded.append(Exclusion(name, str(problem)))
            continue
        scans.append(
            LabelledScan(
                subject=name,
                series=name,
                source=SOURCE,
                labels=labels,
                slice_labels=None,
                slice_ids=chosen.slice_ids,
                reader=chosen.reader(),
                label_file=file,
                notes=(*notes, f"read: {chosen.description}"),
            )
        )
    check_scans(scans)
    return LabelledDataset(SOURCE, tuple(scans), tuple(excluded))


def read_majorities(file: Path) -> dict[int, tuple[int, npt.NDArray[np.float32], tuple[str, ...]]]:
    """Read ``reads.csv``: study number to (row, (6,) labels by majority of the readers, notes).

    Raises
    ------
    DatasetRejected
        A column is missing, a name or a reading is not as published, or a study occurs twice.
    """
    columns = ["name", *(f"{reader}:{column}" for reader in READERS for column in COLUMN_OF_TARGET.values())]
    reads: dict[int, tuple[int, npt.NDArray[np.float32], tuple[str, ...]]] = {}
    for row, cells in table_rows(file, columns):
        match = STUDY_NAME.fullmatch(cells["name"].strip())
        if match is None:
            raise DatasetRejected(file, f"{cells['name']!r} is not CQ500-CT-<number>", "Write the published name", row)
        number = int(match[1])
        if number in reads:
            raise DatasetRejected(file, f"{match[0]} occurs twice", "Keep one of the rows", row)
        labels, notes = _majority(cells, file, row)
        reads[number] = (row, labels, notes)
    return reads


def _majority(cells: Mapping[str, str], file: Path, row: int) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    votes = np.array(
        [
            [label_of(cells, f"{reader}:{COLUMN_OF_TARGET[target]}", file, row) for target in TARGETS]
            for reader in READERS
        ]
    )
    labels = (votes.sum(axis=0) * 2 > len(READERS)).astype(np.float32)
    if labels[0] == 0 and labels[1:].any():
        named = ", ".join(name for name, label in zip(SUBTYPES, labels[1:], strict=True) if label)
        labels[0] = 1.0
        return labels, (f"two readers name {named} but not ICH: the scan is taken to bleed",)
    return labels, ()


def contrast_phase(header: InstanceHeader) -> str | None:
    """Say so where a series' name is one that the set gives to series with contrast."""
    found = CONTRAST_PHASE.search(PLAIN_PHASE.sub("", header.series_description))
    return f"its name says {found.group()!r}, contrast" if found else None


def _instances(home: Path) -> list[Instance]:
    """Read a study's headers; the folder's name stands in for a description that was taken out."""
    return [
        (header if header.series_description else replace(header, series_description=path.parent.name), path)
        for header, path in read_instances(sorted(home.rglob("*.dcm")))
    ]


def _study_folders(folder: Path) -> Iterator[tuple[int, Path]]:
    for home, subfolders, _ in os.walk(folder):
        for name in sorted(subfolders):
            match = STUDY_FOLDER.fullmatch(name)
            if match is not None:
                yield int(match[1]), Path(home) / name
        subfolders[:] = [name for name in subfolders if STUDY_FOLDER.fullmatch(name) is None]
