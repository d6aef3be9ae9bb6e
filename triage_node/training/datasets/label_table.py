"""Reading label tables (CSV) so that every complaint names the file, the row and the remedy.

In: a CSV file. Out: rows as dictionaries with their line numbers, cells as labels. A table is never held whole.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from triage_node.training.datasets.labelled_scan import DatasetRejected


def table_rows(file: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, cells by column name) of a CSV; the header is line 1.

    Parameters
    ----------
    required
        Columns the table must have; others may be there too.

    Raises
    ------
    DatasetRejected
        The file is missing, is not text, lacks a column or has a row of another length.
    """
    try:
        stream = file.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise DatasetRejected(file, problem, "Check the path") from error
    with stream:
        reader = csv.reader(stream)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(file, header, required)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    problem = f"{len(cells)} cells where the header names {len(header)} columns"
                    raise DatasetRejected(file, problem, "Complete or delete the row", reader.line_num)
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetRejected(file, f"it is not CSV text ({error})", "Save it as UTF-8 CSV") from error


def _check_header(file: Path, header: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing and len(header) == 1 and ";" in header[0]:  # spreadsheets of half of Europe save so
        raise DatasetRejected(file, "its cells are separated by semicolons", "Save it with commas", 1)
    if missing:
        problem = f"column {', '.join(missing)} is missing (found: {', '.join(header) or 'nothing'})"
        raise DatasetRejected(file, problem, f"The header must name {', '.join(required)}", 1)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DatasetRejected(file, f"column {', '.join(twice)} occurs twice", "Keep one of the two", 1)


def label_of(cells: Mapping[str, str], column: str, file: Path, row: int, unknown_allowed: bool = False) -> float:
    """Read one cell as 0, 1 or, where allowed and the cell is empty, NaN.

    Raises
    ------
    DatasetRejected
        The cell holds anything else.
    """
    text = cells[column].strip()
    if text in {"0", "0.0"}:
        return 0.0
    if text in {"1", "1.0"}:
        return 1.0
    if unknown_allowed and text.lower() in {"", "nan"}:
        return float("nan")
    remedy = "Write 0 or 1, or leave the cell empty for unknown" if unknown_allowed else "Write 0 or 1"
    raise DatasetRejected(file, f"unknown label {text!r} in column {column}", remedy, row)


def whole_number(cells: Mapping[str, str], column: str, file: Path, row: int) -> int:
    """Read one cell as a whole number of at least 0.

    Raises
    ------
    DatasetRejected
        It is not one.
    """
    text = cells[column].strip()
    if not text.isascii() or not text.isdigit():
        raise DatasetRejected(file, f"{text!r} in column {column} is not a whole number", "Write a whole number", row)
    return int(text)
