"""Studies as lines of CSV, read page by page, so that any number of them takes the same memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from triage_node.core.csv_cell import csv_cell
from triage_node.core.finding import SUBTYPES
from triage_node.core.ports import Worklist
from triage_node.core.worklist_order import WorklistFilter

_PLAIN = (
    "study_instance_uid",
    "patient_id",
    "patient_name",
    "accession_number",
    "study_date",
    "study_time",
    "study_description",
    "state",
    "reason",
    "detail",
    "priority",
    "flagged",
    "ich_probability",
    "received_at",
    "released_at",
    "classified_at",
    "forwarded_at",
    "series_count",
    "instance_count",
)
_READING = (
    "state",
    "acknowledged_by",
    "acknowledged_at",
    "performer",
    "taken_at",
    "completed_by",
    "completed_at",
)
COLUMNS = (
    *_PLAIN,
    *(f"{name.lower()}_probability" for name in SUBTYPES),
    "subtypes_present",
    *(f"reading_{name}" for name in _READING),
    "deliveries",
)


def csv_lines(worklist: Worklist, wanted: WorklistFilter, page_size: int) -> Iterator[str]:
    """Yield the header, then the studies of one page after the other."""
    yield _text([COLUMNS])
    after = None
    while True:
        page = worklist.page(wanted, limit=page_size, after=after)
        if page.rows:
            yield _text([_cells(row.entry) for row in page.rows])
            after = page.rows[-1].place
        if not page.more:
            return


def _text(rows: Any) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([csv_cell(value) for value in row] for row in rows)
    return written.getvalue()


def _cells(entry: Mapping[str, Any]) -> list[Any]:
    subtypes = entry["subtypes"] or {}
    return [
        *(entry[name] for name in _PLAIN),
        *(subtypes.get(name) for name in SUBTYPES),
        " ".join(entry["subtypes_present"] or ()),
        *(entry["reading"][name] for name in _READING),
        "; ".join(_delivered(destination, counts) for destination, counts in entry["deliveries"].items()),
    ]


def _delivered(destination: str, counts: Mapping[str, int]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{destination}: {states}"
