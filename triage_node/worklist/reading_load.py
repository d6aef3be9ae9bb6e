"""The load of the reading queue as the tables have it: arrivals by the hour of the day, flags, and time per reading."""

from __future__ import annotations

import math
from datetime import UTC, timedelta

from sqlalchemy import ColumnElement, and_, case, extract, func, select
from sqlalchemy.orm import Session

from triage_node.core.measured_load import LONGEST_READING, MeasuredLoad
from triage_node.core.ports import Window
from triage_node.core.proportion import Proportion
from triage_node.worklist.elapsed import elapsed_s
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.tables import StudyRow

HOURS_A_DAY = 24


def reading_load(session: Session, window: Window) -> MeasuredLoad:
    """Return what was measured of studies received in the window."""
    within = and_(StudyRow.received_at >= window.since, StudyRow.received_at < window.until)
    hour = extract("hour", StudyRow.received_at)  # the session's time zone is UTC on both databases
    counts = func.count(), func.count(StudyRow.flagged), func.count(case((StudyRow.flagged.is_(True), 1)))
    hours = {
        int(each): (studies, read, flagged)
        for each, studies, read, flagged in session.execute(select(hour, *counts).where(within).group_by(hour))
    }
    first_at = session.scalar(select(func.min(StudyRow.received_at)).where(within))
    none = (0, 0, 0)
    readings, mean_min, sd_min = _readings(session, within)
    return MeasuredLoad(
        observed=window.until - first_at.astimezone(UTC) if first_at else timedelta(0),
        by_hour=tuple(hours.get(each, none)[0] for each in range(HOURS_A_DAY)),
        flagged=Proportion(sum(each[2] for each in hours.values()), sum(each[1] for each in hours.values())),
        readings=readings,
        reading_min=mean_min,
        reading_sd_min=sd_min,
    )


def _readings(session: Session, within: ColumnElement[bool]) -> tuple[int, float | None, float | None]:
    """Return how many readings, their mean and their standard deviation, minutes."""
    took_s = elapsed_s(session, ReaderTaskRow.taken_at, ReaderTaskRow.completed_at)
    took = (
        select(took_s.label("s"))
        .join(StudyRow, StudyRow.id == ReaderTaskRow.study_id)
        .where(within, took_s > 0.0, took_s <= LONGEST_READING.total_seconds())
        .subquery()
    )
    count, mean_s, square = session.execute(
        select(func.count(), func.avg(took.c.s), func.avg(took.c.s * took.c.s)).select_from(took)
    ).one()
    if not count:
        return 0, None, None
    return count, float(mean_s) / 60.0, math.sqrt(max(0.0, float(square) - float(mean_s) ** 2)) / 60.0
