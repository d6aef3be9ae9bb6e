"""Rows of the worklist as HTML: each is rendered once for as long as it looks the same, whoever looks at it.

What is kept is found by what is shown, never by a time: a row cannot be out of date.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup

from triage_node.core.ports import WorklistRow
from triage_node.web.pages import fragment
from triage_node.web.words import elapsed_words

_ROWS_KEPT = 2000
"""Some pages of every view that is open, 5 kB a row."""


@dataclass(frozen=True)
class _Look:
    """All that a row shows, as one text; looks with the same text are the same."""

    text: str
    row: WorklistRow = field(compare=False)
    now: datetime = field(compare=False)


def row_html(row: WorklistRow, now: datetime) -> Markup:
    """Return a row as pages have it from the start, and as scripts put it into pages that are open."""
    waiting = elapsed_words((now - row.place.received_at).total_seconds())
    return _rendered(_Look(f"{row.place} {waiting} {row.entry!r}", row, now))


@lru_cache(_ROWS_KEPT)
def _rendered(look: _Look) -> Markup:
    return Markup(fragment("worklist_row.html", row=look.row, now=look.now))  # noqa: S704 (a template of ours, escaped)
