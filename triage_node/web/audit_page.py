"""The audit trail for those who answer for it: filtered, newest first, page by page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction, AuditFilter
from triage_node.core.errors import ConfigurationRejected
from triage_node.web.pages import page
from triage_node.web.parts import WebParts
from triage_node.web.visitors import note, require

LINES = 100
"""Lines on one page."""
_Text = Annotated[str, Query(max_length=200)]
_UID = re.compile(r"[0-9.]{1,64}")
"""What the column holds (PS3.5 9.1); a longer text would be no line's study, and the line of this search is kept under it."""


class NoFilter(ConfigurationRejected):
    """What was asked for can be no filter; the message tells the visitor why."""


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/audit")
    def show(
        request: Request,
        visitor: Annotated[Visitor, Depends(require(Permission.OPERATE))],
        actor: _Text = "",
        action: _Text = "",
        study: _Text = "",
        since: _Text = "",
        until: _Text = "",
        before: _Text = "",
    ) -> Response:
        given = {"actor": actor, "action": action, "study": study, "since": since, "until": until}
        asked = {key: value.strip() for key, value in given.items() if value.strip()}
        told, lines, older = "", [], None
        wanted = AuditFilter()
        try:
            wanted = _filter(asked)
            after = int(before) if before.isdecimal() and len(before) < 19 else None
            lines = list(parts.audit.page(wanted, LINES + 1, after))
        except NoFilter as refused:
            told = str(refused)
        if len(lines) > LINES:
            lines = lines[:LINES]
            older = "/audit?" + urlencode({**asked, "before": lines[-1].id})
        note(request, AuditAction.AUDIT_TRAIL_SHOWN, wanted.study_instance_uid or None, asked=asked)
        actions = sorted(AuditAction)
        shown = {
            "lines": lines,
            "older": older,
            "asked": asked,
            "actions": actions,
            "told": told,
            "paged": bool(before),
        }
        return page(request, "audit.html", status_code=400 if told else 200, **shown)

    return router


def _filter(asked: dict[str, str]) -> AuditFilter:
    """Return what was asked for.

    Raises
    ------
    NoFilter
        A time cannot be read, or a UID is none.
    """
    study_instance_uid = asked.get("study", "")
    if study_instance_uid and not _UID.fullmatch(study_instance_uid):
        raise NoFilter("A Study Instance UID has digits and dots, 64 at most.")
    return AuditFilter(
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        study_instance_uid=study_instance_uid,
        since=_time(asked.get("since")),
        until=_time(asked.get("until")),
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # in UTC the first and the last day may lie beyond the calendar
        raise NoFilter("A time is written like 2026-03-01 or 2026-03-01T08:30 (UTC).") from error
