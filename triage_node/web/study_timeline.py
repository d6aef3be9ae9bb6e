"""When each stage of a study happened, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from triage_node.core.ports import ReaderTask
from triage_node.core.reader_task import EscalationState
from triage_node.web.shown_reading import Record, ShownReading


@dataclass(frozen=True)
class Stage:
    """One stage; ``after_s`` is the time since the stage before it, ``since_start_s`` since the first slice came."""

    name: str
    at: datetime
    after_s: float
    since_start_s: float


def timeline(study: Record, reading: ShownReading | None, task: ReaderTask | None) -> Sequence[Stage]:
    """Return the stages that have happened, in the order of time."""
    moments = sorted(
        ((name, datetime.fromisoformat(at)) for name, at in _moments(study, reading, task) if at is not None),
        key=lambda each: each[1],
    )
    if not moments:
        return ()
    start = moments[0][1]
    first = Stage(moments[0][0], start, 0.0, 0.0)
    return first, *(
        Stage(name, at, (at - before).total_seconds(), (at - start).total_seconds())
        for (_, before), (name, at) in pairwise(moments)
    )


def _moments(study: Record, reading: ShownReading | None, task: ReaderTask | None) -> Iterator[tuple[str, str | None]]:
    yield "First slice received", study["received_at"]
    if reading is not None:
        yield from _moments_of_series(study, reading)
    if task is not None:
        for name, who, at in (
            ("Acknowledged", task.acknowledged_by, task.acknowledged_at),
            ("Taken", task.performer, task.taken_at),
            ("Read", task.completed_by, task.completed_at),
        ):
            yield f"{name} by {who}", at.isoformat() if at else None
        for each in task.escalations:
            if each.state is EscalationState.DONE and each.ended_at is not None:
                yield f"Escalated, step {each.step}", each.ended_at.isoformat()


def _moments_of_series(study: Record, reading: ShownReading) -> Iterator[tuple[str, str | None]]:
    series, entry = reading.series, reading.entry
    if reading.is_latest:
        yield "Last slice received", series["last_received_at"]
        yield "Released by the sender", study["released_at"]
        yield "Series closed", series["closed_at"]
        if series["reason"] is not None:
            yield f"Ended: {series['reason']}", series["ended_at"]
    yield "Read by the cascade", entry["classified_at"]
    yield "Evidence written", max((each["created_at"] for each in entry["evidence"]), default=None)
    sent = [delivery["sent_at"] for each in entry["evidence"] for delivery in each["deliveries"]]
    if sent and None not in sent:
        yield "Taken by every destination", max(sent)


def duration(seconds: float) -> str:
    """Say how long something took, to about three digits.

    Examples
    --------
    >>> [duration(each) for each in (0.0421, 3.21, 75, 7265, 200_000)]
    ['0.04 s', '3.2 s', '1 min 15 s', '2 h 01 min', '2 d 07 h']
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24:02} h"
