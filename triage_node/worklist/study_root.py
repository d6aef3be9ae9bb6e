"""The Study Root Query SCP: which studies are here, and how urgent each is.

In: C-FIND at the levels STUDY, SERIES and IMAGE. Out: identifiers, the flagged ones first. Images cannot be retrieved from
this node: answers name the archive that has them, where the node was told which. Answers to PS3.4 C.4.1 and C.6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.events import Event
from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from triage_node.core.audit import AuditAction
from triage_node.core.conformance import STUDY_ROOT_FIND
from triage_node.core.ports import AssociationPeer, AuditTrail
from triage_node.core.study_state import Priority
from triage_node.worklist.engine import Database
from triage_node.worklist.find_scp import Matches, Response, find_responses, in_pages
from triage_node.worklist.identifier import Identifier, IdentifierRejected, Path, answer
from triage_node.worklist.matching import Criterion, Moments, Span, Texts
from triage_node.worklist.study_selection import Selection, select_studies
from triage_node.worklist.tables import InstanceRow, SeriesRow, StudyRow
from triage_node.worklist.workitem_attributes import comment


@dataclass(frozen=True)
class FoundStudy:
    """A study and what is counted below it."""

    row: StudyRow
    modalities: tuple[str, ...]
    series_count: int
    instance_count: int


@dataclass(frozen=True)
class FoundSeries:
    """A series, its study, and the header of one of its instances."""

    study: FoundStudy
    row: SeriesRow
    header: Mapping[str, Any]


@dataclass(frozen=True)
class FoundInstance:
    """An instance, and its series."""

    series: FoundSeries
    sop_instance_uid: str
    header: Mapping[str, Any]


Values = Mapping[str, Callable[..., Any]]

STUDY: Values = {
    "StudyInstanceUID": lambda each: each.row.study_instance_uid,
    "PatientID": lambda each: each.row.patient_id,
    "PatientName": lambda each: each.row.patient_name,
    "AccessionNumber": lambda each: each.row.accession_number[:16],
    "StudyDate": lambda each: each.row.study_date,
    "StudyTime": lambda each: each.row.study_time,
    "StudyDescription": lambda each: each.row.study_description[:64],
    "StudyID": lambda each: "",
    "PatientBirthDate": lambda each: "",
    "PatientSex": lambda each: "",
    "ReferringPhysicianName": lambda each: "",
    "ModalitiesInStudy": lambda each: list(each.modalities),
    "NumberOfStudyRelatedSeries": lambda each: each.series_count,
    "NumberOfStudyRelatedInstances": lambda each: each.instance_count,
    "RequestedProcedurePriority": lambda each: each.row.priority.value,
    "StudyComments": lambda each: comment(each.row),
}
SERIES: Values = {
    "SeriesInstanceUID": lambda each: each.row.series_instance_uid,
    "Modality": lambda each: each.row.modality,
    "SeriesDescription": lambda each: each.row.series_description[:64],
    "SeriesNumber": lambda each: each.header.get("series_number", ""),
    "BodyPartExamined": lambda each: each.header.get("body_part_examined", "")[:16],
    "NumberOfSeriesRelatedInstances": lambda each: each.row.instance_count,
}
INSTANCE: Values = {
    "SOPInstanceUID": lambda each: each.sop_instance_uid,
    "SOPClassUID": lambda each: each.header.get("sop_class_uid", ""),
    "InstanceNumber": lambda each: each.header.get("instance_number", ""),
    "Rows": lambda each: each.header.get("rows", 0),
    "Columns": lambda each: each.header.get("columns", 0),
    "NumberOfFrames": lambda each: each.header.get("number_of_frames", 1),
}
ATTRIBUTES: Mapping[str, Values] = {
    "STUDY": STUDY,
    "SERIES": {
        **{keyword: (lambda each, value=value: value(each.study)) for keyword, value in STUDY.items()},
        **SERIES,
    },
    "IMAGE": {
        **{keyword: (lambda each, value=value: value(each.series.study)) for keyword, value in STUDY.items()},
        **{keyword: (lambda each, value=value: value(each.series)) for keyword, value in SERIES.items()},
        **INSTANCE,
    },
}
"""By level, what answers hold of it and of the levels above."""
_UNIQUE = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}

_COLUMNS: Mapping[str, Any] = {
    "StudyInstanceUID": StudyRow.study_instance_uid,
    "PatientID": StudyRow.patient_id,
    "PatientName": StudyRow.patient_name,
    "AccessionNumber": StudyRow.accession_number,
    "StudyDate": StudyRow.study_date,
    "StudyTime": StudyRow.study_time,
    "StudyDescription": StudyRow.study_description,
}
_NARROW = frozenset({"StudyInstanceUID", "PatientID", "AccessionNumber"})
_SEARCHED = frozenset({"PatientName", "PatientID", "AccessionNumber"})
"""Those whose words are among the search terms of a study."""
_NEVER_KNOWN = frozenset({"StudyID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"})


class StudyRootScp:
    """Answers on the associations of the SCP.

    Parameters
    ----------
    limit
        Matches of one query at most.
    retrieve_ae_title
        From where readers get the images; empty where nobody said so.
    """

    sop_classes = (STUDY_ROOT_FIND,)

    def __init__(self, engine: Engine, audit: AuditTrail, *, limit: int, retrieve_ae_title: str) -> None:
        self._database, self._audit = Database(engine), audit
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._limit = limit
        where: Values = {
            "RetrieveAETitle": lambda *_: retrieve_ae_title,
            "InstanceAvailability": lambda *_: "ONLINE" if retrieve_ae_title else "UNAVAILABLE",
        }
        self._attributes = {
            level: {**values, **where, "QueryRetrieveLevel": lambda *_, level=level: level}
            for level, values in ATTRIBUTES.items()
        }

    def find(self, event: Event, peer: AssociationPeer) -> Iterator[Response]:
        """Answer a query of studies, of the series of one, or of the instances of one of these."""

        def found(identifier: Identifier) -> Matches:
            if identifier.level not in ATTRIBUTES:
                raise IdentifierRejected("Query/Retrieve Level is STUDY, SERIES or IMAGE")
            if identifier.level == "STUDY":
                return self._studies(identifier, peer)
            return self._below(identifier, peer)

        known = frozenset(self._attributes["IMAGE"])
        return find_responses(event, peer, known, found)

    def _note(self, peer: AssociationPeer, level: str, study: str | None, count: int) -> None:
        action = AuditAction.WORKLIST_SHOWN if study is None else AuditAction.STUDY_SHOWN
        detail = {"service": f"{level} C-FIND", "matches": count}
        self._audit.note(f"AE:{peer.calling_ae_title}", action, study, peer.address, detail, datetime.now(UTC))

    def _studies(self, identifier: Identifier, peer: AssociationPeer) -> Matches:
        selection = _selection(identifier.criteria, sqlite=self._is_sqlite)
        with self._database.reading() as session:
            ids = select_studies(session, selection, self._limit + 1)
        count = min(len(ids), self._limit)
        self._note(peer, "STUDY", None, count)
        return Matches(self._answers(identifier, ids[:count]), count, len(ids) > count)

    def _answers(self, identifier: Identifier, ids: list[int]) -> Iterator[Dataset]:
        for page in in_pages(ids):
            with self._database.reading() as session:
                studies = _found_studies(session, page)
            for each in studies:
                yield self._answer(identifier, each)

    def _answer(self, identifier: Identifier, record: Any) -> Dataset:
        always = ["QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability"]
        levels = list(_UNIQUE)[: list(_UNIQUE).index(identifier.level) + 1]
        always += [_UNIQUE[level] for level in levels]
        return answer(identifier.asked, self._attributes[identifier.level], always, record)

    def _below(self, identifier: Identifier, peer: AssociationPeer) -> Matches:
        """Answer at a level whose parents are named, one each (PS3.4 C.4.1.2.1)."""
        study_uid = _single(identifier, "StudyInstanceUID")
        with self._database.reading() as session:
            if identifier.level == "SERIES":
                records: Iterable[Any] = _series(session, study_uid)
            else:
                records = _instances(session, study_uid, _single(identifier, "SeriesInstanceUID"))
            wanted = {path[0]: each for path, each in identifier.criteria.items() if len(path) == 1}
            matching = [each for each in records if _holds(wanted, ATTRIBUTES[identifier.level], each)]
        count = min(len(matching), self._limit)
        self._note(peer, identifier.level, study_uid, count)
        answers = (self._answer(identifier, each) for each in matching[:count])
        return Matches(answers, count, len(matching) > count)


def _single(identifier: Identifier, keyword: str) -> str:
    wanted = identifier.criteria.get((keyword,))
    if not isinstance(wanted, Texts) or len(wanted.values) != 1:
        raise IdentifierRejected(f"{identifier.level} level needs one {keyword}")
    return wanted.values[0]


def _holds(wanted: Mapping[str, Criterion], values: Values, record: Any) -> bool:
    for keyword, each in wanted.items():
        if keyword not in values or isinstance(each, Moments):
            continue
        value = values[keyword](record)
        several = value if isinstance(value, list) else [value]
        if not any(each.holds(str(one)) for one in several):
            return False
    return True


def _selection(criteria: Mapping[Path, Criterion], *, sqlite: bool) -> Selection:
    selection = Selection()
    for path, wanted in criteria.items():
        keyword = path[0]
        if len(path) > 1 or keyword not in STUDY:
            continue
        if keyword in _COLUMNS:
            selection.conditions.append(wanted.sql(_COLUMNS[keyword], sqlite=sqlite))
            exact = isinstance(wanted, Texts) and wanted.is_exact and keyword in _NARROW
            selection.is_narrow |= exact or (keyword == "StudyDate" and isinstance(wanted, Span))
            if isinstance(wanted, Texts) and keyword in _SEARCHED:
                selection.words += wanted.beginnings
        elif keyword == "ModalitiesInStudy":
            carried = exists().where(SeriesRow.study_id == StudyRow.id, wanted.sql(_MODALITY, sqlite=sqlite))
            selection.conditions.append(carried)
        elif keyword == "RequestedProcedurePriority" and isinstance(wanted, Texts):
            selection.urgencies = tuple(each.rank for each in Priority if wanted.holds(each.value))
        elif keyword in _NEVER_KNOWN:
            selection.task_states = ()
    return selection


_MODALITY: Any = SeriesRow.modality


def _found_studies(session: Session, study_ids: Sequence[int]) -> list[FoundStudy]:
    """Return studies in this order; one that has gone meanwhile is left out."""
    rows = {row.id: row for row in session.scalars(select(StudyRow).where(StudyRow.id.in_(study_ids)))}
    statement = (
        select(SeriesRow.study_id, SeriesRow.modality, func.count(), func.sum(SeriesRow.instance_count))
        .where(SeriesRow.study_id.in_(study_ids))
        .group_by(SeriesRow.study_id, SeriesRow.modality)
        .order_by(SeriesRow.study_id, SeriesRow.modality)
    )
    counts: dict[int, list[tuple[str, int, int]]] = {study_id: [] for study_id in rows}
    for study_id, modality, series_count, instance_count in session.execute(statement):
        counts.setdefault(study_id, []).append((modality, series_count, int(instance_count)))
    return [_found_study(rows[study_id], counts[study_id]) for study_id in study_ids if study_id in rows]


def _found_study(row: StudyRow, counts: Sequence[tuple[str, int, int]]) -> FoundStudy:
    modalities = tuple(modality for modality, _, _ in counts if modality)
    return FoundStudy(row, modalities, sum(each[1] for each in counts), sum(each[2] for each in counts))


def _study_named(session: Session, study_instance_uid: str) -> FoundStudy | None:
    named = select(StudyRow.id).where(StudyRow.study_instance_uid == study_instance_uid)
    return next(iter(_found_studies(session, list(session.scalars(named)))), None)


def _series(session: Session, study_instance_uid: str) -> list[FoundSeries]:
    study = _study_named(session, study_instance_uid)
    if study is None:
        return []
    first = select(func.min(InstanceRow.id)).where(InstanceRow.series_id == SeriesRow.id).correlate(SeriesRow)
    statement = (
        select(SeriesRow, InstanceRow.header)
        .outerjoin(InstanceRow, InstanceRow.id == first.scalar_subquery())
        .where(SeriesRow.study_id == study.row.id)
        .order_by(SeriesRow.id)
    )
    return [FoundSeries(study, row, header or {}) for row, header in session.execute(statement)]


def _instances(session: Session, study_instance_uid: str, series_instance_uid: str) -> Iterator[FoundInstance]:
    for series in _series(session, study_instance_uid):
        if series.row.series_instance_uid != series_instance_uid:
            continue
        statement = (
            select(InstanceRow.sop_instance_uid, InstanceRow.header)
            .where(InstanceRow.series_id == series.row.id)
            .order_by(InstanceRow.id)
        )
        for sop_instance_uid, header in session.execute(statement):
            yield FoundInstance(series, sop_instance_uid, header)
