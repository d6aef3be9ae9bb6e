"""How often each scanner sends, and since when it has not: worked out from what was read or refused of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from triage_node.core.drift import Scanner
from triage_node.core.scanner_silence import WATCHED_DAYS, ScannerSilence
from triage_node.worklist.elapsed import elapsed_s
from triage_node.worklist.tables import ObservationRow


def scanner_activity(session: Session, now: datetime) -> list[ScannerSilence]:
    """Return every scanner of the last ``WATCHED_DAYS`` days, the silent ones first, then by name."""
    since = now - timedelta(days=WATCHED_DAYS)
    scanner = (ObservationRow.calling_ae_title, ObservationRow.station_name)
    # SQLite would walk its whole index of scanners for the order of the plain columns; the days lie in a small part of it.
    unordered = tuple(each + "" for each in scanner)
    before = func.lag(ObservationRow.observed_at).over(partition_by=unordered, order_by=ObservationRow.observed_at)
    seen = (
        select(*scanner, ObservationRow.observed_at, before.label("before"))
        .where(ObservationRow.observed_on >= since.date(), ObservationRow.observed_at.between(since, now))
        .subquery()
    )
    key = (seen.c.calling_ae_title, seen.c.station_name)
    gap_s = elapsed_s(session, seen.c.before, seen.c.observed_at)
    longest_first = func.row_number().over(partition_by=key, order_by=gap_s.desc())
    gaps = select(*key, gap_s.label("gap_s"), longest_first.label("place")).where(seen.c.before.is_not(None)).subquery()
    second = select(gaps).where(gaps.c.place == 2).subquery()
    statement = (
        select(*key, func.count(), func.min(seen.c.observed_at), func.max(seen.c.observed_at), func.max(second.c.gap_s))
        .outerjoin(second, and_(second.c.calling_ae_title == key[0], second.c.station_name == key[1]))
        .group_by(*key)
    )
    found = [
        ScannerSilence(Scanner(title, station), series, first_at, last_at, gap, now)
        for title, station, series, first_at, last_at, gap in session.execute(statement)
    ]
    return sorted(found, key=lambda each: (not each.silent, each.scanner))
