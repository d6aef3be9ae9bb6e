"""Live changes of the worklist, as server-sent events (HTML Living Standard 9.2).

One task a process asks the database what has changed, however many browsers watch. What changed is looked up once for
each different view, rendered once, and sent to all who watch that view. Times of changes are given by the processes that
make them, before they commit: each look goes back a little further than the one before and leaves out what was sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from triage_node.core.access import Permission, Visitor
from triage_node.core.errors import Transient
from triage_node.core.ports import StudyChange, WorklistRow
from triage_node.core.worklist_order import WorklistFilter
from triage_node.web.parts import WebParts
from triage_node.web.visitors import asked_again
from triage_node.web.words import patient_words
from triage_node.web.worklist_query import WorklistQuery
from triage_node.web.worklist_rows import row_html

_log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.25
LOOK_BACK = timedelta(seconds=10)
"""No transaction takes longer from the time it writes to its commit, and no clock is further off."""
NEWLY_FLAGGED = timedelta(seconds=60)
"""A change so long after the flag is about something else."""
HEARTBEAT_S = 15.0
"""Proxies close what is silent for a minute; a session that has ended shows no patients for longer than this."""
RETRY_MS = 2000
MOST_STREAMS = 200
MOST_CHANGES = 300
"""Whoever has missed more loads the page again."""
_QUEUE_LENGTH = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def mark_of(moment: datetime) -> int:
    """Return a moment as the id of an event: microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment_of(mark: str) -> datetime | None:
    if not (mark.isascii() and mark.isdigit() and len(mark) <= 17):
        return None
    return _EPOCH + timedelta(microseconds=int(mark))


@dataclass(frozen=True)
class View:
    """What one browser shows: all with the same view are sent the same; ``performer`` only where the view asks for it."""

    query: WorklistQuery
    performer: str

    def filter(self, now: datetime) -> WorklistFilter:
        """Return what is wanted at this moment."""
        return self.query.filter(now, self.performer)


@dataclass(eq=False)
class _Watcher:
    view: View
    events: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_QUEUE_LENGTH))
    ended: bool = False


class EventStreams:
    """All browsers of this process that watch the worklist."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._watchers: set[_Watcher] = set()
        self._looking: asyncio.Task[None] | None = None

    def answer(self, request: Request, visitor: Visitor, query: WorklistQuery) -> Response:
        """Answer with a stream, or say that there are too many."""
        if len(self._watchers) >= MOST_STREAMS:
            return Response("too many open worklists", 503, headers={"Retry-After": "30"})
        of_one = query.filter(self._parts.clock.now(), visitor.name).performer
        since = _moment_of(request.headers.get("last-event-id") or request.query_params.get("since", ""))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = self._stream(request, View(query, of_one), since or self._parts.clock.now())
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request, view: View, since: datetime) -> AsyncIterator[str]:
        watcher = _Watcher(view)
        self._watch(watcher)
        try:
            yield f"retry: {RETRY_MS}\n\n"
            yield await run_in_threadpool(self._missed, view, since)
            proved_at = time.monotonic()
            while not watcher.ended:
                try:
                    event = await asyncio.wait_for(watcher.events.get(), HEARTBEAT_S)
                except TimeoutError:
                    event = ": still here\n\n"
                if not watcher.ended and time.monotonic() - proved_at >= HEARTBEAT_S:
                    if not await run_in_threadpool(_may_still_look, request):
                        yield "event: ended\ndata: {}\n\n"
                        return
                    proved_at = time.monotonic()
                yield event
        finally:
            self._watchers.discard(watcher)

    def _watch(self, watcher: _Watcher) -> None:
        self._watchers.add(watcher)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Look for changes as long as anybody watches; streams of a process that ends come back to the next one."""
        changes = _Changes(self._parts)
        while self._watchers:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._parts.ending():
                for watcher in list(self._watchers):
                    _end(watcher)
                continue
            try:
                events = await run_in_threadpool(changes.events, {each.view for each in self._watchers})
            except Transient as error:
                _log.warning("changes_not_seen", error=str(error))
                continue
            except Exception:
                _log.exception("changes_not_seen")
                continue
            for watcher in list(self._watchers):
                if watcher.view in events:
                    _hand_over(watcher, events[watcher.view])

    def _missed(self, view: View, since: datetime) -> str:
        """Return what changed since the page was made, or since the browser lost its stream."""
        found = self._parts.worklist.changed_since(since - LOOK_BACK, limit=MOST_CHANGES + 1)
        now = self._parts.clock.now()
        if len(found) > MOST_CHANGES:
            return _event("reload", mark_of(now), {})
        return _rows_event(self._parts, view, found, now, newly_flagged=())


def _hand_over(watcher: _Watcher, event: str) -> None:
    try:
        watcher.events.put_nowait(event)
    except asyncio.QueueFull:  # a browser that takes nothing: its stream ends, and it comes back with its last mark
        watcher.ended = True


def _end(watcher: _Watcher) -> None:
    watcher.ended = True
    with suppress(asyncio.QueueFull):  # one whose queue is full does not wait for it
        watcher.events.put_nowait(": the node ends\n\n")


def _may_still_look(request: Request) -> bool:
    try:
        visitor = asked_again(request)
    except Transient:
        return True  # who was proved stays so while the database is away; it is asked again soon
    return visitor is not None and visitor.may(Permission.SEE_WORKLIST)


class _Changes:
    """What has changed since the last look."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._from = parts.clock.now() - LOOK_BACK
        self._seen: dict[int, datetime] = {}
        self._told: dict[int, datetime] = {}
        self._new()

    def events(self, views: Iterable[View]) -> dict[View, str]:
        """Return one event for each view, or none at all where nothing changed."""
        found = self._new()
        if not found:
            return {}
        now, flagged = self._parts.clock.now(), self._newly_flagged(found)
        return {view: _rows_event(self._parts, view, found, now, newly_flagged=flagged) for view in views}

    def _new(self) -> Sequence[StudyChange]:
        """Go on from the latest change: back from it a little, and never from a clock that is ahead of ours."""
        found = self._parts.worklist.changed_since(self._from, limit=MOST_CHANGES)
        new = [each for each in found if self._seen.get(each.study_id) != each.changed_at]
        if len(found) == MOST_CHANGES:  # more than fit between two looks: going back would show the same ones again
            self._from = max(found[-1].changed_at, self._from + timedelta(microseconds=1))
        elif found:
            self._from = max(self._from, min(self._parts.clock.now(), found[-1].changed_at) - LOOK_BACK)
        self._seen = {key: moment for key, moment in self._seen.items() if moment >= self._from}
        self._seen.update({each.study_id: each.changed_at for each in new})
        return new

    def _newly_flagged(self, found: Sequence[StudyChange]) -> Sequence[WorklistRow]:
        new = {
            each.study_id: each.flagged_at
            for each in found
            if each.flagged_at is not None
            and self._told.get(each.study_id) != each.flagged_at
            and each.changed_at - each.flagged_at < NEWLY_FLAGGED
        }
        self._told = {key: moment for key, moment in self._told.items() if moment >= self._from - NEWLY_FLAGGED} | new
        return self._parts.worklist.rows_of(WorklistFilter(), list(new)) if new else ()


def _rows_event(
    parts: WebParts, view: View, found: Sequence[StudyChange], now: datetime, newly_flagged: Sequence[WorklistRow]
) -> str:
    """Render the changed rows of a view; studies that changed and are not in it are told as gone."""
    wanted = view.filter(now)
    rows = parts.worklist.rows_of(wanted, [each.study_id for each in found]) if found else ()
    shown = {row.entry["study_instance_uid"] for row in rows}
    usual_from = now - timedelta(days=parts.worklist_days)
    payload = {
        "rows": [
            {
                "uid": row.entry["study_instance_uid"],
                "place": row.place.order,
                "html": row_html(row, now),
            }
            for row in rows
        ],
        "gone": [each.study_instance_uid for each in found if each.study_instance_uid not in shown],
        "flagged": [_announcement(row) for row in newly_flagged],
        "unacknowledged": parts.worklist.unacknowledged(usual_from).recent,
    }
    return _event("rows", mark_of(max((each.changed_at for each in found), default=now)), payload)


def _announcement(row: WorklistRow) -> str:
    entry = row.entry
    named = patient_words(entry["patient_name"]) or entry["patient_id"] or "a patient without a name"
    return f"Flagged: {named}, accession {entry['accession_number'] or 'unknown'}"


def _event(name: str, mark: int, payload: dict[str, Any]) -> str:
    return f"event: {name}\nid: {mark}\ndata: {json.dumps(payload, ensure_ascii=False)}\n\n"
