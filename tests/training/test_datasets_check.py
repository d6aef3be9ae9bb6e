"""What no data set may contain."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from triage_node.training.datasets import DatasetRejected, LabelledScan, ScanVolume, check_folds, check_scans


def volume(slices: int) -> ScanVolume:
    return ScanVolume(np.zeros((slices, 4, 4), dtype=np.int16), (0.5, 0.5), 5.0)


@pytest.fixture
def scan() -> LabelledScan:
    slice_labels = np.array([[0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]], dtype=np.float32)
    return LabelledScan(
        subject="A",
        series="A-1",
        source="made-up",
        labels=slice_labels.max(axis=0),
        slice_labels=slice_labels,
        slice_ids=("1", "2"),
        reader=partial(volume, 2),
        label_file=Path("labels.csv"),
    )


def test_a_consistent_collection_passes(scan: LabelledScan) -> None:
    check_scans([scan, replace(scan, series="A-2")])
    assert scan.load().volume_hu.shape == (2, 4, 4)


def test_images_that_changed_since_indexing_are_refused(scan: LabelledScan) -> None:
    with pytest.raises(DatasetRejected, match="3 slices on disk and 2 in the index"):
        replace(scan, reader=partial(volume, 3)).load()


def test_a_patient_in_two_folds_is_refused(scan: LabelledScan) -> None:
    with pytest.raises(DatasetRejected, match=r"labels.csv: patient A is in fold 0 and in fold 1\. Give all scans"):
        check_scans([replace(scan, fold="0"), replace(scan, series="A-2", fold="1")])
    with pytest.raises(DatasetRejected, match="patient A is in fold 0 and in fold 1"):
        check_folds([scan, replace(scan, series="A-2")], {"A-1": 0, "A-2": 1})
    with pytest.raises(DatasetRejected, match="series A-1 is in no fold"):
        check_folds([scan], {})


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([2, 0, 0, 0, 0, 0], "neither 0 nor 1"),
        ([0, 0, 1, 0, 0, 0], "names a subtype where 'any' is 0"),
        ([1, 0, 1, 0, 0, 0], "labelled free of what one of its slices shows"),
    ],
)
def test_contradicting_labels_are_refused(scan: LabelledScan, labels: list[float], said: str) -> None:
    with pytest.raises(DatasetRejected, match=said):
        check_scans([replace(scan, labels=np.array(labels, dtype=np.float32))])


def test_unknown_labels_are_allowed(scan: LabelledScan) -> None:
    check_scans([replace(scan, labels=np.array([1, 1, np.nan, np.nan, 0, 0], dtype=np.float32))])


def test_an_empty_collection_and_a_repeated_series_are_refused(scan: LabelledScan) -> None:
    with pytest.raises(DatasetRejected, match="holds no scan"):
        check_scans([])
    with pytest.raises(DatasetRejected, match="series A-1 occurs twice"):
        check_scans([scan, scan])
