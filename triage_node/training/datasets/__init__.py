"""Labelled head CT: the public data sets in their published layouts, and a hospital's own folder.

``ct_ich``           CT-ICH, 82 patients, slice labels, screen exports or NIfTI
``rsna_2019``        RSNA 2019 challenge, slice labels, DICOM
``cq500``            CQ500, scan labels of three readers, DICOM
``labelled_folder``  ``labels.csv`` beside DICOM series

Every adapter gives ``LabelledScan``; a data set that contradicts itself is refused with ``DatasetRejected``.
"""

from triage_node.training.datasets.labelled_dataset import Exclusion, LabelledDataset, subject_digest
from triage_node.training.datasets.labelled_scan import (
    TARGETS,
    DatasetRejected,
    LabelledScan,
    ScanVolume,
    check_folds,
    check_scans,
    scan_labels,
)
from triage_node.training.datasets.sources import SOURCES, open_dataset

__all__ = [
    "SOURCES",
    "TARGETS",
    "DatasetRejected",
    "Exclusion",
    "LabelledDataset",
    "LabelledScan",
    "ScanVolume",
    "check_folds",
    "check_scans",
    "open_dataset",
    "scan_labels",
    "subject_digest",
]
