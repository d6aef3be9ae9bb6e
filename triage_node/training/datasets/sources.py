"""The data sets by name, as commands and run configurations write them: ``ct-ich:FOLDER``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from triage_node.training.datasets.cq500 import SOURCE as CQ500
from triage_node.training.datasets.cq500 import cq500_dataset
from triage_node.training.datasets.ct_ich import SOURCE as CT_ICH
from triage_node.training.datasets.ct_ich import ct_ich_scans
from triage_node.training.datasets.labelled_dataset import LabelledDataset
from triage_node.training.datasets.labelled_folder import SOURCE as FOLDER
from triage_node.training.datasets.labelled_folder import labelled_folder_dataset
from triage_node.training.datasets.labelled_scan import DatasetRejected
from triage_node.training.datasets.rsna_2019 import SOURCE as RSNA_2019
from triage_node.training.datasets.rsna_2019 import rsna_2019_dataset


def _ct_ich_dataset(folder: Path) -> LabelledDataset:
    return LabelledDataset(CT_ICH, tuple(ct_ich_scans(folder)))


SOURCES: Mapping[str, Callable[[Path], LabelledDataset]] = {
    CT_ICH: _ct_ich_dataset,
    RSNA_2019: rsna_2019_dataset,
    CQ500: cq500_dataset,
    FOLDER: labelled_folder_dataset,
}


def open_dataset(named: str) -> LabelledDataset:
    """Index the data set written as ``source:folder``.

    Raises
    ------
    DatasetRejected
        The source is unknown, the folder is missing, or the data set contradicts itself.
    """
    source, separator, folder = named.partition(":")
    if not separator or source not in SOURCES:
        raise DatasetRejected(named, "it names no data set", f"Write SOURCE:FOLDER, SOURCE being {', '.join(SOURCES)}")
    if not Path(folder).is_dir():
        raise DatasetRejected(folder, "the folder is missing", f"Name the folder of the {source} data set")
    return SOURCES[source](Path(folder))
