"""Finding studies by the beginnings of words: patient's name, patient ID, accession number, Study Instance UID.

An index of terms, not of columns: one range of one index answers for every field, in small letters and in byte order on
both databases, so that no collation and no wildcard of LIKE is in the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from triage_node.core.search_terms import search_terms, study_terms
from triage_node.worklist.tables import SearchTermRow, StudyRow
from triage_node.worklist.upsert import insert_missing

FEW = 4000
"""So many studies are sorted faster than an archive is walked through."""
_LAST_CHARACTER = "\U0010ffff"


def index_terms(session: Session, studies: Iterable[StudyRow]) -> None:
    """Keep the terms of studies; a second time nothing changes."""
    insert_missing(session, SearchTermRow, [row for study in studies for row in _rows(study)])


def _rows(study: StudyRow) -> list[dict[str, Any]]:
    terms = study_terms(study.patient_name, study.patient_id, study.accession_number, study.study_instance_uid)
    return [{"term": term, "study_id": study.id} for term in terms]


def candidates(session: Session, text: str) -> Sequence[int] | None:
    """Return the ids of the studies that can be meant, if they are few; None where one has to look at all."""
    return rarest(session, search_terms(text), FEW)


def rarest(session: Session, terms: Iterable[str], at_most: int) -> Sequence[int] | None:
    """Return the ids of the studies in which the rarest of some terms begins a word; None where these are more."""
    shortest: Sequence[int] | None = None
    for term in terms:
        # A study with two such terms counts twice: to tell them apart, all of a common beginning would have to be read.
        with_term = select(SearchTermRow.study_id).where(_begins(term)).limit(at_most + 1)
        count = session.execute(select(func.count()).select_from(with_term.subquery())).scalar_one()
        if count <= at_most and (shortest is None or count < len(shortest)):
            shortest = session.scalars(with_term).all()
    return shortest


def found_by(text: str) -> list[ColumnElement[bool]]:
    """Return the condition that each word of a text begins some term of the study."""
    return [
        exists().where(SearchTermRow.study_id == StudyRow.id, _begins(term)).correlate(StudyRow)
        for term in search_terms(text)
    ]


def _begins(term: str) -> ColumnElement[bool]:
    return and_(SearchTermRow.term >= term, SearchTermRow.term < term + _LAST_CHARACTER)
