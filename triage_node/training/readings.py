"""What human readers called, to stand beside the model.

CSV: ``subject,reader,any,cph,ivh,sdh,edh,sah``, one row for each subject and reader, 0 or 1, empty where not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected

COLUMNS = ("subject", "reader", *(target.lower() for target in TARGETS))


@dataclass(frozen=True, eq=False)
class Readings:
    """Calls of several readers on the same subjects.

    Attributes
    ----------
    readers
        In the order of the file.
    calls : (readers, subjects, 6) in the order of ``TARGETS``, 0 or 1, NaN where not read
    """

    readers: tuple[str, ...]
    calls: npt.NDArray[np.float64]


def read_readings(file: Path, subjects: Sequence[str]) -> Readings:
    """Read the calls on the given subjects.

    Raises
    ------
    DatasetRejected
        A column is missing, a call is neither 0 nor 1, a reader read a subject twice or one that is not evaluated, or
        names a subtype while calling the subject free of blood.
    """
    index_of: Mapping[str, int] = {subject: index for index, subject in enumerate(subjects)}
    calls: dict[str, npt.NDArray[np.float64]] = {}
    seen: set[tuple[str, str]] = set()
    for row, cells in table_rows(file, COLUMNS):
        subject, reader = cells["subject"].strip(), cells["reader"].strip()
        if subject not in index_of:
            problem = f"subject {subject!r} is not among the predictions"
            raise DatasetRejected(file, problem, "Delete the row, or predict the subject too", row)
        if not reader:
            raise DatasetRejected(file, "the reader is empty", "Name the reader", row)
        if (subject, reader) in seen:
            raise DatasetRejected(file, f"{reader} read {subject} twice", "Keep one of the rows", row)
        seen.add((subject, reader))
        called = [label_of(cells, column, file, row, unknown_allowed=True) for column in COLUMNS[2:]]
        if called[0] == 0 and 1.0 in called[1:]:
            raise DatasetRejected(
                file, "a subtype is called where 'any' is 0", "Set 'any' to 1 or the subtype to 0", row
            )
        mine = calls.setdefault(reader, np.full((len(subjects), len(TARGETS)), np.nan))
        mine[index_of[subject]] = called
    if not calls:
        raise DatasetRejected(file, "it has no readings", "Write one row for each subject and reader")
    return Readings(tuple(calls), np.stack(list(calls.values())))
