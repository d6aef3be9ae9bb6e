"""How much blood each subject of a folder has, and which look-alikes: ``lesions.csv`` and ``mimics.csv`` beside its labels.

``lesions.csv`` has ``subject,kind,volume_ml``, one row for each subject and kind; further columns are ignored. ``mimics.csv``
has ``subject`` and one column of 0 or 1 for each look-alike. `triage-node phantom` writes both; who has measured the blood
of patients may write them too. They are for judging, never for training.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_scan import DatasetRejected

LESIONS = "lesions.csv"
MIMICS = "mimics.csv"


@dataclass(frozen=True)
class LesionTable:
    """What is known of the subjects beyond their labels.

    Attributes
    ----------
    volume_ml
        By subject, then by kind; a subject without blood has none.
    mimics
        By subject, the look-alikes it carries; empty where there is no ``mimics.csv``.
    """

    volume_ml: Mapping[str, Mapping[str, float]]
    mimics: Mapping[str, frozenset[str]]


def read_lesion_table(folder: Path, subjects: Collection[str]) -> LesionTable | None:
    """Read the tables of a folder; None where there is no ``lesions.csv``.

    Parameters
    ----------
    subjects
        Those that ``labels.csv`` names.

    Raises
    ------
    DatasetRejected
        A column is missing, a kind, a volume or a subject is unknown, or a row occurs twice.
    """
    if not (folder / LESIONS).is_file():
        return None
    return LesionTable(_volumes(folder / LESIONS, subjects), _mimics(folder / MIMICS, subjects))


def _volumes(file: Path, subjects: Collection[str]) -> dict[str, dict[str, float]]:
    volumes: dict[str, dict[str, float]] = {}
    for row, cells in table_rows(file, ("subject", "kind", "volume_ml")):
        subject, kind = _subject(cells, file, row, subjects), cells["kind"].strip().upper()
        if kind not in SUBTYPES:
            raise DatasetRejected(file, f"{cells['kind']!r} is no kind of blood", f"Write {', '.join(SUBTYPES)}", row)
        of_subject = volumes.setdefault(subject, {})
        if kind in of_subject:
            raise DatasetRejected(file, f"{kind} of subject {subject} occurs twice", "Add the volumes up", row)
        of_subject[kind] = _volume(cells["volume_ml"], file, row)
    return volumes


def _volume(text: str, file: Path, row: int) -> float:
    try:
        volume_ml = float(text)
    except ValueError:
        volume_ml = math.nan
    if not 0.0 < volume_ml < math.inf:
        raise DatasetRejected(file, f"{text!r} is no volume", "Write millilitres, above 0", row)
    return volume_ml


def _mimics(file: Path, subjects: Collection[str]) -> dict[str, frozenset[str]]:
    mimics: dict[str, frozenset[str]] = {}
    if not file.is_file():
        return mimics
    for row, cells in table_rows(file, ("subject",)):
        subject = _subject(cells, file, row, subjects)
        if subject in mimics:
            raise DatasetRejected(file, f"subject {subject} occurs twice", "Keep one of the rows", row)
        names = [name for name in cells if name != "subject"]
        mimics[subject] = frozenset(name for name in names if label_of(cells, name, file, row) == 1)
    return mimics


def _subject(cells: Mapping[str, str], file: Path, row: int, subjects: Collection[str]) -> str:
    subject = cells["subject"].strip()
    if subject not in subjects:
        problem = f"subject {subject!r} is not in labels.csv"
        raise DatasetRejected(file, problem, "Label the subject, or delete the row", row)
    return subject
