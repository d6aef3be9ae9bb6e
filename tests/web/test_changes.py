"""The stream of changes over real HTTP: what a browser is sent, what it has missed, and when its stream ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.studies import Studies
from fakes.visitors import KnownVisitors
from fakes.web import web_parts
from fakes.web_server import WebServer
from sqlalchemy import Engine

from triage_node.core.access import Role, Visitor
from triage_node.web import changes
from triage_node.web.changes import mark_of
from triage_node.worklist.repository import SqlStudyRepository

LIMIT_S = 30.0
"""Longest silence of a stream that a busy machine may bring about."""


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Leavers(KnownVisitors):
    """Visitors who can all be signed out."""

    def __init__(self) -> None:
        self.gone = False

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        return None if self.gone else super().of_session(token, now)


@dataclass(frozen=True)
class Event:
    name: str
    mark: str
    data: Any


class Stream:
    """One open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()

    def block(self) -> list[str]:
        """Return the next lines up to an empty one; none at the end."""
        lines: list[str] = []
        for line in self._lines:
            if not line:
                return lines
            lines.append(line)
        return lines

    def event(self) -> Event:
        """Return the next event; comments and the first line of a stream are passed over."""
        while block := self.block():
            told = dict(line.split(": ", 1) for line in block if not line.startswith(":"))
            if "event" in told:
                return Event(told["event"], told.get("id", ""), json.loads(told["data"]))
        raise AssertionError("the stream ended")

    def rest(self) -> list[list[str]]:
        """Return what is sent until the stream ends by itself."""
        blocks = []
        while block := self.block():
            blocks.append(block)
        return blocks


@pytest.fixture
def visitors() -> Leavers:
    return Leavers()


@pytest.fixture
def server(sqlite_engine: Engine, tmp_path: Path, visitors: Leavers) -> Iterator[WebServer]:
    served = WebServer(lambda: web_parts(sqlite_engine, tmp_path, clock=RealClock(), visitors=visitors), graceful_s=30)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def studies(sqlite_engine: Engine) -> Studies:
    return Studies(SqlStudyRepository(sqlite_engine))


Watch = Callable[..., Any]


@pytest.fixture
def watch(server: WebServer) -> Watch:
    """Open a stream: ``with watch("flagged=yes", since=MARK) as stream``."""

    @contextmanager
    def opened(query: str = "", since: int | None = None, role: Role = Role.RADIOLOGIST) -> Iterator[Stream]:
        headers = {"Cookie": f"triage_session={role.lower()}"} | ({"Last-Event-ID": str(since)} if since else {})
        address = f"{server.url}/worklist/events?{query}"
        with httpx.stream("GET", address, headers=headers, timeout=LIMIT_S) as answer:
            yield Stream(answer)

    return opened


def test_flagged_study_is_told_with_its_row_and_the_count(watch: Watch, studies: Studies) -> None:
    with watch() as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.block() == [f"retry: {changes.RETRY_MS}"]
        assert stream.event().data["rows"] == []
        uid = studies.arrive()
        studies.classify(uid)
        told = stream.event()
        while not told.data["flagged"]:
            told = stream.event()
    assert told.name == "rows"
    assert told.data["unacknowledged"] == 1
    assert told.data["flagged"] == ["Flagged: Doe, Jane1, accession A0001"]
    (row,) = told.data["rows"]
    assert row["uid"] == uid
    assert "Possible hemorrhage" in row["html"]
    assert row["place"][:2] == [0, 0]


def test_view_is_told_what_is_in_it_and_what_has_left_it(watch: Watch, studies: Studies) -> None:
    uid = studies.arrive()
    with watch("state=RECEIVING", since=mark_of(datetime.now(UTC))) as stream:
        assert [row["uid"] for row in stream.event().data["rows"]] == [uid]
        studies.close(uid)
        assert stream.event().data["gone"] == [uid]


def test_stream_that_was_lost_goes_on_with_what_was_missed(watch: Watch, studies: Studies) -> None:
    with watch() as stream:
        mark = int(stream.event().mark)
    uid = studies.arrive()
    studies.forward(uid)
    with watch(since=mark) as stream:
        told = stream.event()
    assert [row["uid"] for row in told.data["rows"]] == [uid]
    assert told.data["flagged"] == []  # what is old is not announced
    assert int(told.mark) > mark


def test_whoever_missed_too_much_is_told_to_load_the_page_again(
    watch: Watch, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_CHANGES", 2)
    mark = mark_of(datetime.now(UTC))
    for _ in range(3):
        studies.arrive()
    with watch(since=mark) as stream:
        assert stream.event().name == "reload"


@pytest.mark.parametrize("mark", ["-1", "x", "1" * 18, "1e9"])
def test_mark_that_means_nothing_begins_now(server: WebServer, studies: Studies, mark: str) -> None:
    headers = {"Cookie": "triage_session=viewer", "Last-Event-ID": mark}
    with httpx.stream("GET", f"{server.url}/worklist/events", headers=headers, timeout=LIMIT_S) as answer:
        assert Stream(answer).event().name == "rows"


def test_more_streams_than_allowed_are_refused_and_room_is_made_by_those_that_leave(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_STREAMS", 1)
    monkeypatch.setattr(changes, "HEARTBEAT_S", 0.1)
    with watch() as first:
        first.event()
        with watch() as second:
            assert second.answer.status_code == 503
            assert second.answer.headers["retry-after"] == "30"
    for _ in range(100):  # the server notices at its next heartbeat
        with watch() as third:
            if third.answer.status_code == 200:
                return
            third.answer.read()
    pytest.fail("a stream that has ended still counts")


def test_silent_stream_is_kept_open_with_comments(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "HEARTBEAT_S", 0.05)
    with watch() as stream:
        stream.event()
        assert stream.block() == [": still here"]
        assert stream.block() == [": still here"]


def test_stream_of_one_who_is_signed_out_says_so_and_ends(
    watch: Watch, visitors: Leavers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "HEARTBEAT_S", 0.05)
    with watch() as stream:
        stream.event()
        visitors.gone = True
        assert stream.rest()[-1] == ["event: ended", "data: {}"]
    with watch() as stream:
        assert stream.answer.status_code == 303


def test_browser_that_takes_nothing_loses_its_stream() -> None:
    watcher = changes._Watcher(changes.View(changes.WorklistQuery(days=3), ""))
    for _ in range(changes._QUEUE_LENGTH):
        changes._hand_over(watcher, "x")
    assert not watcher.ended
    changes._hand_over(watcher, "one more")
    assert watcher.ended
    assert watcher.events.qsize() == changes._QUEUE_LENGTH


def test_streams_end_with_the_process_and_nothing_is_logged_as_an_error(
    watch: Watch, server: WebServer, studies: Studies, caplog: pytest.LogCaptureFixture
) -> None:
    with watch() as first, watch("flagged=yes") as second, caplog.at_level(logging.WARNING):
        mark = int(first.event().mark)
        second.event()
        server.stop()  # fails where it does not end well before answers are cut off
        assert [block for block in (*first.rest(), *second.rest()) if not block[0].startswith(":")] == []
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []
    uid = studies.arrive()
    server.start()
    with watch(since=mark) as stream:
        assert [row["uid"] for row in stream.event().data["rows"]] == [uid]
