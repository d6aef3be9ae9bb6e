"""What an evaluation judges, wherever it came from: tables of predictions, or a data set that is read first.

In: a labelled data set and who reads it. Out: predictions with all that is known beyond the labels. The predictions are kept
as tables beside the report, so that it can be made again without reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from triage_node.training.datasets.ct_ich import SOURCE as CT_ICH
from triage_node.training.datasets.labelled_dataset import LabelledDataset
from triage_node.training.datasets.labelled_folder import SOURCE as FOLDER
from triage_node.training.datasets.labelled_scan import TARGETS, LabelledScan
from triage_node.training.datasets.lesion_table import LesionTable, read_lesion_table
from triage_node.training.evaluate import Thresholds
from triage_node.training.fold_reading import FoldReader
from triage_node.training.heatmap_scores import HeatmapEvaluation, score_heatmaps
from triage_node.training.output_folder import output_folder
from triage_node.training.predictions import Predictions, subject_names, write_predictions
from triage_node.training.region_masks import TABLE as REGIONS
from triage_node.training.region_masks import read_region_masks
from triage_node.training.release_reading import ScanReader, masked_slices, read_dataset, thresholds_of

LONGEST_LIST = 20
"""Scans left out that are named one by one."""
REGION_WORDS = {CT_ICH: "regions drawn by radiologists", FOLDER: "the masks of the data set"}

ShowProgress = Callable[[Sequence[LabelledScan], str], Iterable[LabelledScan]]


@dataclass(frozen=True)
class JudgedMaterial:
    """What ``evaluate`` is given.

    Attributes
    ----------
    models
        The first is the one that is looked at closely.
    shadow
        Compared with the first.
    thresholds
        Of the release that read; for tables what the first one says, else the paper's.
    warnings, seen_in_training, heatmaps
        As in ``evaluate.Evaluation``.
    lesions
        By the subjects of the first model.
    """

    models: Sequence[Predictions]
    shadow: Predictions | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    warnings: Sequence[str] = ()
    seen_in_training: Sequence[str] = ()
    heatmaps: HeatmapEvaluation | None = None
    lesions: LesionTable | None = None

    def without_thresholds_of(self, targets: Sequence[str]) -> JudgedMaterial:
        """The same, where no model says by itself at which score it calls these targets."""
        models = [_without_thresholds_of(each, targets) for each in self.models]
        return replace(
            self, models=models, shadow=_without_thresholds_of(self.shadow, targets) if self.shadow else None
        )


def _without_thresholds_of(model: Predictions, targets: Sequence[str]) -> Predictions:
    if model.thresholds is None:
        return model
    return replace(model, thresholds=np.where(np.isin(TARGETS, targets), np.nan, model.thresholds))


def judged_tables(models: Sequence[Predictions], shadow: Predictions | None) -> JudgedMaterial:
    """Judge tables of predictions by the threshold that the first one names, else by the paper's."""
    own = models[0].thresholds
    if own is None:
        return JudgedMaterial(models, shadow)
    return JudgedMaterial(models, shadow, Thresholds(subject=float(np.nanmedian(own[:, 0]))))


def read_material(
    dataset: LabelledDataset,
    folder: Path,
    readers: Sequence[ScanReader],
    regions: Path | None,
    out: Path,
    show_progress: ShowProgress,
) -> JudgedMaterial:
    """Read a data set with one reader, or with a second in its shadow.

    Parameters
    ----------
    dataset, folder
        What is read, and where it lies: tables of lesions and masks are looked for there.
    readers
        One, or two.
    regions
        A folder of regions to score heatmaps with; masks of the data set's own are found without it.
    out
        Where the predictions are kept; made where it is missing.
    show_progress
        Wraps the scans of one pass, which it is told the name of.

    Raises
    ------
    DatasetRejected
        A table beside the data, or an image, cannot be used.
    ConfigurationRejected
        Nothing can be written to ``out``; nothing was read.
    """
    lesions = _lesions_by_subject(dataset, folder) if dataset.source == FOLDER else None
    if regions is None and dataset.source == FOLDER and (folder / REGIONS).is_file():
        regions = folder
    drawn = read_region_masks(regions, dataset.source) if regions else []
    found = []
    with output_folder(out):
        for reader, kind in zip(readers, ("predictions", "shadow_predictions"), strict=False):
            found.append(read_dataset(reader, show_progress(dataset.scans, f"reading with {reader.name}")))
            write_predictions(out / f"{kind}_{_file_name(reader.name)}.csv", found[-1])
    heatmaps = None
    if drawn:
        concerned = {each.series for each in drawn}
        scans = [scan for scan in dataset.scans if scan.series in concerned]
        slices = masked_slices(readers[0], show_progress(scans, "explaining"), drawn)
        heatmaps = score_heatmaps(slices, regions=REGION_WORDS.get(dataset.source, "drawn regions"))
    return JudgedMaterial(
        models=found[:1],
        shadow=found[1] if len(found) > 1 else None,
        thresholds=thresholds_of(readers[0].operating_point),
        warnings=_warnings(dataset, readers[0]),
        heatmaps=heatmaps,
        lesions=lesions,
    )


def _lesions_by_subject(dataset: LabelledDataset, folder: Path) -> LesionTable | None:
    """Read the tables and call subjects as the predictions do."""
    labelled = {*(scan.series for scan in dataset.scans), *(each.series for each in dataset.excluded)}
    table = read_lesion_table(folder, labelled)
    if table is None:
        return None
    series = [scan.series for scan in dataset.scans]
    names = dict(zip(series, subject_names([scan.subject for scan in dataset.scans], series), strict=True))
    return replace(
        table,
        volume_ml={names[each]: volumes for each, volumes in table.volume_ml.items() if each in names},
        mimics={names[each]: mimics for each, mimics in table.mimics.items() if each in names},
    )


def _warnings(dataset: LabelledDataset, reader: ScanReader) -> list[str]:
    said = [f"left out: {each.series}, {each.reason}" for each in dataset.excluded[:LONGEST_LIST]]
    if len(dataset.excluded) > LONGEST_LIST:
        said.append(f"left out: {len(dataset.excluded) - LONGEST_LIST} more scans")
    if isinstance(reader, FoldReader):
        said.append(
            "Each patient was read by networks that did not see it, but calibration and thresholds were fitted to all of these "
            "out-of-fold scores together."
        )
    return said


def _file_name(name: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name).replace("__", "_")
