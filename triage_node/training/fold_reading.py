"""Read patients with the networks of a training run that did not see them: out of fold, as the node would read.

In: the folder of a finished `triage-node train`, which keeps one network a fold and member. Out: a cascade for each scan,
with the run's calibration and thresholds. What a run's own ``out_of_fold.csv`` cannot give, heatmaps above all, comes from
here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch

from triage_node.cascade.runner import Cascade
from triage_node.cascade.weights import OperatingPoint, Release, load_networks, read_release, release_names
from triage_node.training.datasets.labelled_dataset import LabelledDataset
from triage_node.training.datasets.labelled_scan import DatasetRejected, LabelledScan
from triage_node.training.job import MEMBER_NAME, TrainingJob
from triage_node.training.predictions import read_predictions
from triage_node.training.train import OUT_OF_FOLD_NAME

JOBS, RELEASES = "jobs", "release"
"""Folders of a run: one folder a job, and the release that it ended in."""


class FoldReader:
    """A run's networks, each fold's made resident when its first patient is read.

    Parameters
    ----------
    run
        The run's folder.
    release
        What the run ended in: architecture, calibration and operating points are its own.
    fold_of_subject
        Which fold kept each subject aside, by the names of ``out_of_fold.csv``.
    operating_point
        Of the release.
    """

    def __init__(
        self, run: Path, release: Release, fold_of_subject: dict[str, str], operating_point: OperatingPoint
    ) -> None:
        self.name = f"{release.name}, out of fold"
        self.operating_point = operating_point
        self._run, self._release, self._fold_of_subject = run, release, fold_of_subject
        self._cascades: dict[str, Cascade] = {}

    @classmethod
    def open(cls, run: Path, dataset: LabelledDataset, operating_point: str) -> Self:
        """Check that the run was finished and kept every patient of the data set aside once.

        Raises
        ------
        DatasetRejected
            The run is not finished or was not trained on these patients.
        WeightsRejected
            Its release is broken or lacks the operating point.
        """
        names = release_names(run / RELEASES)
        if len(names) != 1 or not (run / OUT_OF_FOLD_NAME).is_file():
            problem = f"it does not hold {OUT_OF_FOLD_NAME} and one release, so it is no finished run"
            raise DatasetRejected(
                run, problem, "Name the --out folder of `triage-node train`, or go on with it by --resume"
            )
        release = read_release(run / RELEASES / names[0])
        sources = release.manifest.get("training", {}).get("sources", {})
        if dataset.source not in sources:
            problem = f"the run was trained on {', '.join(sources) or 'nothing that it names'}, not on {dataset.source}"
            raise DatasetRejected(run, problem, "Read other data with --release: no fold of the run belongs to them")
        predicted = read_predictions(run / OUT_OF_FOLD_NAME)
        folds = dict(zip(predicted.subjects, predicted.folds, strict=True))
        reader = cls(run, release, folds, release.operating_point(operating_point))
        for scan in dataset.scans:
            reader.fold_of(scan)
        return reader

    def fold_of(self, scan: LabelledScan) -> str:
        """Name the fold that kept the scan's patient aside."""
        folds = self._fold_of_subject
        fold = folds.get(scan.subject) or folds.get(f"{scan.subject}/{scan.series}")
        if not fold:
            problem = f"patient {scan.subject} was kept aside in no fold"
            raise DatasetRejected(self._run / OUT_OF_FOLD_NAME, problem, "Name the data that the run was trained on")
        return fold

    def cascade_for(self, scan: LabelledScan) -> Cascade:
        """Give the networks that were trained without the scan's patient."""
        fold = self.fold_of(scan)
        if fold not in self._cascades:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            release = self._release_of_fold(int(fold))
            self._cascades[fold] = Cascade(release, load_networks(release), self.operating_point, device)
        return self._cascades[fold]

    def _release_of_fold(self, fold: int) -> Release:
        """Describe the fold's members as if they had been released, so that they are checked alike."""
        jobs = [TrainingJob(member, fold).name for member in range(len(self._release.members))]
        return replace(
            self._release,
            folder=self._run / JOBS,
            members=tuple((f"{job}/{MEMBER_NAME}", "") for job in jobs),
        )
