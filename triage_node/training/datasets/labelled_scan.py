"""One labelled head CT, whichever public data set or hospital folder it came from.

In: what an adapter read from a label table and found on disk. Out: scans that cannot be built inconsistent, whose
voxels are read only when asked for. A data set that contradicts itself is refused as a whole with the file, the row
and the remedy; it is never repaired by guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES

TARGETS = ("any", *SUBTYPES)
"""Order of every label vector: any hemorrhage, then the subtypes in the order of stage two's outputs."""

FloatArray = npt.NDArray[np.float32]


class DatasetRejected(ConfigurationRejected, ValueError):
    """A data set or a table made from one cannot be used as it lies on disk.

    Parameters
    ----------
    file
        The file or folder at fault.
    problem
        What is wrong.
    remedy
        What the reader of the message should do.
    row
        Line of the file, where 1 is the header; None where no line is at fault.
    """

    def __init__(self, file: Path | str, problem: str, remedy: str, row: int | None = None) -> None:
        where = f"{file}, row {row}" if row is not None else f"{file}"
        super().__init__(f"{where}: {problem}. {remedy}.")
        self.file = Path(file)
        self.row = row
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Self], tuple[Path | str, str, str, int | None]]:
        """Travel whole from a worker process: an exception that cannot be built again there breaks the whole pool."""
        return type(self), (self.file, self.problem, self.remedy, self.row)


@dataclass(frozen=True, eq=False)
class ScanVolume:
    """Voxels of one series.

    Attributes
    ----------
    volume_hu : (slices, rows, columns), HU, slice 0 the most inferior
    pixel_spacing_mm : (between rows, between columns), mm
    slice_spacing_mm : mm between neighbouring slices
    """

    volume_hu: npt.NDArray[np.int16]
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float

    def __post_init__(self) -> None:
        if self.volume_hu.ndim != 3 or self.volume_hu.dtype != np.int16:
            raise ValueError(
                f"a volume is (slices, rows, columns) int16, not {self.volume_hu.shape} {self.volume_hu.dtype}"
            )
        if not (min(self.pixel_spacing_mm) > 0 and self.slice_spacing_mm > 0):
            raise ValueError(f"spacings are above 0 mm, not {self.pixel_spacing_mm} and {self.slice_spacing_mm}")


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One series with its labels; the voxels stay on disk until ``load`` is called.

    Attributes
    ----------
    subject
        The patient: the key that keeps all of a patient's scans on one side of every split.
    series
        Unique within its source.
    source
        Name of the data set.
    labels : (6,) in the order of ``TARGETS``, 0 or 1, NaN where unknown
    slice_labels : (slices, 6), 0 or 1, NaN where unknown; None where the source labels whole scans only
    slice_ids
        One name for each slice, from inferior to superior.
    reader
        Reads the voxels. A module's function or a partial of one, so that worker processes can be handed scans.
    fold
        The fold the source assigns to the scan, None where it assigns none.
    label_file
        Where the labels come from, for messages.
    notes
        What the adapter had to decide about this scan, in words.
    """

    subject: str
    series: str
    source: str
    labels: FloatArray
    slice_labels: FloatArray | None = field(repr=False)
    slice_ids: tuple[str, ...] = field(repr=False)
    reader: Callable[[], ScanVolume] = field(repr=False)
    fold: str | None = None
    label_file: Path = Path()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.slice_ids:
            raise DatasetRejected(
                self.label_file, f"scan {self.series} has no slices", "Bring its images or drop its labels"
            )
        if self.labels.shape != (len(TARGETS),):
            raise ValueError(f"labels are {(len(TARGETS),)}, not {self.labels.shape}")
        if self.slice_labels is not None and self.slice_labels.shape != (len(self.slice_ids), len(TARGETS)):
            raise ValueError(f"slice labels are {(len(self.slice_ids), len(TARGETS))}, not {self.slice_labels.shape}")

    @property
    def slice_count(self) -> int:
        """Number of slices."""
        return len(self.slice_ids)

    def load(self) -> ScanVolume:
        """Read the voxels.

        Raises
        ------
        DatasetRejected
            The images do not give the number of slices the labels were made for, or cannot be read.
        """
        scan = self.reader()
        if len(scan.volume_hu) != self.slice_count:
            problem = f"scan {self.series} has {len(scan.volume_hu)} slices on disk and {self.slice_count} in the index"
            raise DatasetRejected(
                self.label_file, problem, "Index the folder again: it changed while it was being read"
            )
        return scan


def scan_labels(slice_labels: FloatArray) -> FloatArray:
    """Label a scan by its slices: present where one slice shows it, unknown where a slice is and none does.

    Parameters
    ----------
    slice_labels : (slices, 6)

    Returns
    -------
    (6,)

    Examples
    --------
    >>> import numpy as np
    >>> scan_labels(np.array([[1, 0, 0, 0, 0, 0], [1, np.nan, 1, 0, 0, 0]], dtype=np.float32)).tolist()
    [1.0, nan, 1.0, 0.0, 0.0, 0.0]
    """
    present = (slice_labels == 1).any(axis=0)
    unknown = np.isnan(slice_labels).any(axis=0)
    return np.where(present, 1.0, np.where(unknown, np.nan, 0.0)).astype(np.float32)


def check_scans(scans: Iterable[LabelledScan]) -> None:
    """Refuse a collection of scans that cannot be trained on or judged honestly.

    Raises
    ------
    DatasetRejected
        There is no scan, a series occurs twice, a label is neither 0, 1 nor unknown, a subtype is present in a scan
        labelled free of blood, scan and slice labels contradict each other, or a patient is in two folds.
    """
    series_seen: set[tuple[str, str]] = set()
    fold_of: dict[tuple[str, str], str] = {}
    count = 0
    for scan in scans:
        count += 1
        key = (scan.source, scan.series)
        if key in series_seen:
            raise DatasetRejected(scan.label_file, f"series {scan.series} occurs twice", "Keep one of the two")
        series_seen.add(key)
        _check_labels(scan)
        _check_fold(scan, fold_of)
    if not count:
        raise DatasetRejected("the data set", "it holds no scan", "Check the folder that was named")


def _check_labels(scan: LabelledScan) -> None:
    vectors = scan.labels[None] if scan.slice_labels is None else np.vstack([scan.labels[None], scan.slice_labels])
    if not (np.isnan(vectors) | (vectors == 0) | (vectors == 1)).all():
        problem = f"scan {scan.series} has a label that is neither 0 nor 1"
        raise DatasetRejected(scan.label_file, problem, "Write 0, 1, or leave the cell empty for unknown")
    if ((vectors[:, 0] == 0) & (vectors[:, 1:] == 1).any(axis=1)).any():
        problem = f"scan {scan.series} names a subtype where 'any' is 0"
        raise DatasetRejected(scan.label_file, problem, "Set 'any' to 1 or the subtype to 0")
    if scan.slice_labels is not None and ((scan.labels == 0) & (scan.slice_labels == 1).any(axis=0)).any():
        problem = f"scan {scan.series} is labelled free of what one of its slices shows"
        raise DatasetRejected(scan.label_file, problem, "Make the scan's label the largest of its slices'")


def _check_fold(scan: LabelledScan, fold_of: dict[tuple[str, str], str]) -> None:
    if scan.fold is None:
        return
    fold = fold_of.setdefault((scan.source, scan.subject), scan.fold)
    if fold != scan.fold:
        problem = f"patient {scan.subject} is in fold {fold} and in fold {scan.fold}"
        raise DatasetRejected(scan.label_file, problem, "Give all scans of a patient the same fold")


def check_folds(scans: Iterable[LabelledScan], fold_of_series: dict[str, int]) -> None:
    """Refuse a split that puts scans of one patient on two sides or forgets a scan.

    Parameters
    ----------
    fold_of_series
        Fold of each series, by its name.

    Raises
    ------
    DatasetRejected
        A patient is in two folds, or a series in none.
    """
    fold_of: dict[tuple[str, str], int] = {}
    for scan in scans:
        if scan.series not in fold_of_series:
            raise DatasetRejected(
                scan.label_file, f"series {scan.series} is in no fold", "Assign every series to a fold"
            )
        mine = fold_of_series[scan.series]
        theirs = fold_of.setdefault((scan.source, scan.subject), mine)
        if mine != theirs:
            problem = f"patient {scan.subject} is in fold {theirs} and in fold {mine}"
            raise DatasetRejected(scan.label_file, problem, "Split by patient: all scans of a patient go to one fold")
