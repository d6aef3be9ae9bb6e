"""The worklist: what waits for a reader, the most urgent first, and how far each study is.

The page works without scripts; with them ``static/worklist.js`` keeps it up to date from ``web/changes.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.core.ports.worklist_page import COUNTED_AT_MOST, OLDER_COUNTED_AT_MOST
from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.core.worklist_order import ReadingFilter
from triage_node.web.changes import EventStreams, mark_of
from triage_node.web.pages import page
from triage_node.web.parts import WebParts
from triage_node.web.visitors import noted_beside, require
from triage_node.web.words import PRIORITY_WORDS, REASON_WORDS, STATE_WORDS
from triage_node.web.worklist_query import SHOWN_DAYS, WorklistQuery, read_query
from triage_node.web.worklist_rows import row_html

ROWS_A_PAGE = 50
READING_WORDS = {
    ReadingFilter.UNREAD: "Unread",
    ReadingFilter.UNACKNOWLEDGED: "Not acknowledged",
    ReadingFilter.MINE: "Being read by me",
    ReadingFilter.READ: "Read",
}

Looking = Annotated[Visitor, Depends(require(Permission.SEE_WORKLIST))]


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    streams = EventStreams(parts)

    @router.get("/", response_class=HTMLResponse)
    @router.get("/worklist", response_class=HTMLResponse)
    def worklist(request: Request, visitor: Looking) -> Response:
        query = read_query(request.query_params, parts.worklist_days)
        with noted_beside(request, AuditAction.WORKLIST_SHOWN, view=query.to_query(parts.worklist_days)):
            return page(request, "worklist.html", **_shown(parts, query, visitor))

    @router.get("/worklist/events")
    async def events(request: Request, visitor: Looking) -> Response:
        return streams.answer(request, visitor, read_query(request.query_params, parts.worklist_days))

    return router


def _shown(parts: WebParts, query: WorklistQuery, visitor: Visitor) -> dict[str, Any]:
    now = parts.clock.now()
    usual = parts.worklist_days
    found = parts.worklist.page(query.filter(now, visitor.name), limit=ROWS_A_PAGE, after=query.after)
    unacknowledged = parts.worklist.unacknowledged(now - timedelta(days=usual))
    return {
        "rows": [row_html(row, now) for row in found.rows],
        "next_place": found.rows[-1].place if found.more else None,
        "now": now,
        "query": query,
        "usual_days": usual,
        "mark": mark_of(now),
        "rows_a_page": ROWS_A_PAGE,
        "unacknowledged": unacknowledged.recent,
        "older_unacknowledged": unacknowledged.older,
        "counted_at_most": COUNTED_AT_MOST,
        "older_counted_at_most": OLDER_COUNTED_AT_MOST,
        "choices": {
            "state": [(each, STATE_WORDS[each]) for each in State],
            "priority": [(each, PRIORITY_WORDS[each]) for each in Priority],
            "reason": [(each, REASON_WORDS[each]) for each in Reason],
            "reading": list(READING_WORDS.items()),
            "days": [(each, "1 day" if each == 1 else f"{each} days") for each in sorted({*SHOWN_DAYS, usual})],
        },
        "tabs": _tabs(query, visitor),
    }


def _tabs(query: WorklistQuery, visitor: Visitor) -> list[tuple[str, WorklistQuery, bool]]:
    """Return the views that one key or one press away: name, view, whether it is the one that is shown."""
    everything = WorklistQuery(days=query.days)
    named = {
        "Everything": everything,
        "Flagged": WorklistQuery(days=query.days, flagged=True),
        "Unread": WorklistQuery(days=query.days, reading=ReadingFilter.UNREAD),
        "Mine": WorklistQuery(days=query.days, reading=ReadingFilter.MINE),
        "Not analysed": WorklistQuery(days=query.days, state=State.NOT_ANALYSED),
        "Failed": WorklistQuery(days=query.days, state=State.FAILED),
    }
    if not visitor.may(Permission.READ_STUDIES):
        del named["Mine"]
    return [(name, view, view == query) for name, view in named.items()]
