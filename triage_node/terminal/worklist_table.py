"""The worklist as a table for the terminal. Nothing from a dataset is read as markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

_STATE_STYLE = {"FORWARDED": "green", "FAILED": "bold red", "NOT_ANALYSED": "yellow"}
_PRIORITY_STYLE = {"STAT": "bold white on red", "HIGH": "bold yellow"}
_SHOWN_SUBTYPE = 0.5
_COLUMNS = {"Priority": 0, "Patient": 8, "Accession": 8, "State": 0, "ICH": 0, "Subtypes or reason": 14, "Waiting": 0}
"""Each column with the least width to which it may be wrapped (characters); 0 is never wrapped."""


def worklist_table(rows: Sequence[Mapping[str, Any]], title: str = "Worklist, most urgent first") -> Table:
    """Lay out worklist rows."""
    caption = "Research use only. Not for diagnostic use."
    table = Table(title=title, caption=caption, header_style="bold", box=None, padding=(0, 1, 0, 0))
    for name, least in _COLUMNS.items():
        table.add_column(name, no_wrap=least == 0, min_width=least or None, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> tuple[Text, ...]:
    probability = row["ich_probability"]
    ich = Text("" if probability is None else f"{probability:.2f}", style="bold red" if row["flagged"] else "")
    if row["flagged"]:
        ich.append(" FLAGGED")
    return (
        priority_text(row["priority"]),
        Text(str(row["patient_id"] or "")),
        Text(str(row["accession_number"] or "")),
        state_text(row["state"]),
        ich,
        Text(_outcome(row)),
        Text(_waiting(row["received_at"])),
    )


def state_text(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state, style=_STATE_STYLE.get(state, ""))


def priority_text(priority: str) -> Text:
    """Return a priority in its colour."""
    return Text(priority, style=_PRIORITY_STYLE.get(priority, ""))


def _outcome(row: Mapping[str, Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    return subtypes_text(row["subtypes"])


def subtypes_text(subtypes: Mapping[str, float] | None) -> str:
    """Return the likelier subtypes with their probabilities, or the likeliest one where none is likely."""
    if not subtypes:
        return ""
    ordered = sorted(subtypes.items(), key=lambda each: -each[1])
    shown = [each for each in ordered if each[1] >= _SHOWN_SUBTYPE] or ordered[:1]
    return ", ".join(f"{name} {value:.2f}" for name, value in shown)


def _waiting(received_at: str | None) -> str:
    if not received_at:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(received_at)).total_seconds())
    minutes, seconds = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02}" if hours else f"{minutes}:{seconds:02}"
