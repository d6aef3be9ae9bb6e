"""Which files a revision of a series consists of: what a viewer needs, without the rest of the record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, func, select

from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import SeriesVersion
from triage_node.worklist.engine import Database
from triage_node.worklist.tables import InstanceRow, SeriesRow, StudyRow


class SqlSeriesFiles:
    """``core.ports.SeriesFiles`` on SQLite or PostgreSQL; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def version(
        self, study_instance_uid: str, series_instance_uid: str, revision: int | None = None
    ) -> SeriesVersion | None:
        """Return a revision, the current one by default; None where there is none."""
        statement = (
            select(SeriesRow.id, SeriesRow.revision)
            .join(StudyRow, StudyRow.id == SeriesRow.study_id)
            .where(StudyRow.study_instance_uid == study_instance_uid)
            .where(SeriesRow.series_instance_uid == series_instance_uid)
        )
        with self._database.reading() as session:
            found = session.execute(statement).first()
            if found is None or not 1 <= (revision or found.revision) <= found.revision:
                return None
            wanted = revision or found.revision
            count = select(func.count()).where(InstanceRow.series_id == found.id, InstanceRow.revision <= wanted)
            instances = session.scalar(count) or 0
        return SeriesVersion(found.id, study_instance_uid, series_instance_uid, wanted, instances)

    def instances(self, version: SeriesVersion) -> Sequence[tuple[InstanceHeader, Path]]:
        """Return the instances of that revision and of those before it, in the order of their arrival."""
        statement = (
            select(InstanceRow.header, InstanceRow.path)
            .where(InstanceRow.series_id == version.series_id, InstanceRow.revision <= version.revision)
            .order_by(InstanceRow.id)
        )
        with self._database.reading() as session:
            return [(InstanceHeader.from_json(header), Path(path)) for header, path in session.execute(statement)]
