"""The order of messages: who was told the newer answer is not told the older one after it.

In: what one study has due at one destination, its row locked. Out: what of it may go now. A message that was put off while
the one that corrects it went ends SUPERSEDED; one whose predecessor another courier is sending just now waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from triage_node.core.destination import IN_ORDER
from triage_node.core.study_state import DeliveryEvent, DeliveryState, delivery_after
from triage_node.worklist.tables import AnalysisRow, DeliveryRow, EvidenceRow, SeriesRow

Due = tuple[DeliveryRow, EvidenceRow]


@dataclass(frozen=True)
class _Told:
    """One message on its way, and whether it tells of a reading."""

    delivery: DeliveryRow
    evidence: EvidenceRow
    of_a_reading: bool

    def replaces(self, earlier: _Told) -> bool:
        """Return whether it is the later answer: of the next revision, or to a study that was said not to be analysed.

        The same rule as ``readings.predecessor_report``.
        """
        if self.evidence.kind != earlier.evidence.kind:
            return False
        if self.evidence.series_id == earlier.evidence.series_id:
            return self.evidence.revision > earlier.evidence.revision
        return not earlier.of_a_reading and self.evidence.id > earlier.evidence.id


def in_order(session: Session, study_id: int, destination: str, due: Sequence[Due], now: datetime) -> list[Due]:
    """Return what may go now; what has been overtaken is superseded on the way."""
    if not any(evidence.kind in IN_ORDER for _, evidence in due):
        return list(due)
    told = _told(session, study_id, destination)
    return [each for each in due if each[1].kind not in IN_ORDER or _may_go(told, each[0], now)]


def _told(session: Session, study_id: int, destination: str) -> list[_Told]:
    reading = and_(AnalysisRow.series_id == EvidenceRow.series_id, AnalysisRow.revision == EvidenceRow.revision)
    statement = (
        select(DeliveryRow, EvidenceRow, AnalysisRow.id)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .outerjoin(AnalysisRow, reading)
        .where(SeriesRow.study_id == study_id, DeliveryRow.destination == destination, EvidenceRow.kind.in_(IN_ORDER))
    )
    return [_Told(delivery, evidence, found is not None) for delivery, evidence, found in session.execute(statement)]


def _may_go(told: Sequence[_Told], delivery: DeliveryRow, now: datetime) -> bool:
    own = next(each for each in told if each.delivery.id == delivery.id)
    newer = next((each for each in told if each.delivery.state is DeliveryState.SENT and each.replaces(own)), None)
    if newer is not None:
        delivery.state = delivery_after(delivery.state, DeliveryEvent.SUPERSEDE)
        delivery.detail = f"not sent: revision {newer.evidence.revision} is there already"
        return False
    return not any(own.replaces(each) and _being_sent(each.delivery, now) for each in told)


def _being_sent(delivery: DeliveryRow, now: datetime) -> bool:
    leased = delivery.leased_until is not None and delivery.leased_until > now
    return leased and delivery.state is DeliveryState.DUE
