"""Who may write below a study: whoever holds the lock of its row.

Order of locks, the same everywhere so that nobody waits in a circle: associations by id, then studies by UID; rows below
a study need none of their own. SQLite has one writer at a time and ignores FOR UPDATE.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from triage_node.core.errors import Defect
from triage_node.core.study_state import Overtaken
from triage_node.worklist.tables import DeliveryRow, EvidenceRow, SeriesRow, StudyRow


class NoSuchRow(Defect):
    """An id that the database never gave out, or that retention has removed."""


def locked_studies(session: Session, study_instance_uids: Sequence[str]) -> dict[str, StudyRow]:
    """Lock studies and return them by UID; unknown ones are absent."""
    statement = (
        select(StudyRow)
        .where(StudyRow.study_instance_uid.in_(study_instance_uids))
        .order_by(StudyRow.study_instance_uid)
        .with_for_update(key_share=True)
    )
    return {study.study_instance_uid: study for study in session.scalars(statement)}


def lock_study(session: Session, study_id: int) -> StudyRow:
    """Lock one study and return it."""
    statement = select(StudyRow).where(StudyRow.id == study_id).with_for_update(key_share=True)
    study = session.scalar(statement)
    if study is None:
        raise NoSuchRow(f"there is no study {study_id}")
    return study


def locked_series(session: Session, series_id: int) -> SeriesRow:
    """Lock the study of a series and return the series as it then is."""
    study_id = session.scalar(select(SeriesRow.study_id).where(SeriesRow.id == series_id))
    if study_id is None:
        raise NoSuchRow(f"there is no series {series_id}")
    lock_study(session, study_id)
    return session.get_one(SeriesRow, series_id)


def current_series(session: Session, series_id: int, revision: int) -> SeriesRow:
    """Lock like ``locked_series``, for a step that concerns one revision only.

    Raises
    ------
    Overtaken
        The series has moved on to a later revision.
    """
    series = locked_series(session, series_id)
    if series.revision != revision:
        raise overtaken(series, revision)
    return series


def overtaken(series: SeriesRow, revision: int) -> Overtaken:
    """Say which revision was overtaken by which."""
    return Overtaken(f"series {series.id} is at revision {series.revision}, not {revision}")


def locked_delivery(session: Session, delivery_id: int) -> tuple[DeliveryRow, SeriesRow]:
    """Lock the study of a delivery that is about to change, and return the delivery and its series."""
    statement = (
        select(EvidenceRow.series_id)
        .join(DeliveryRow, DeliveryRow.evidence_id == EvidenceRow.id)
        .where(DeliveryRow.id == delivery_id)
    )
    series_id = session.scalar(statement)
    if series_id is None:
        raise NoSuchRow(f"there is no delivery {delivery_id}")
    series = locked_series(session, series_id)
    mark_changed(series.study)
    return session.get_one(DeliveryRow, delivery_id), series


def mark_changed(study: StudyRow) -> None:
    """Write ``changed_at`` anew: something that the worklist shows of a study changed outside of its row."""
    flag_modified(study, "task_state")
