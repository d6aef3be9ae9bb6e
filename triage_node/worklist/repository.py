"""``core.ports.StudyRepository`` on SQL: each method one transaction, told in the modules named after what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.commitment import CommitmentResult
from triage_node.core.destination import Destination
from triage_node.core.finding import Finding
from triage_node.core.ports import (
    AssociationPeer,
    Candidate,
    CommitmentOrder,
    DeliveryBatch,
    EarlierReport,
    EvidenceObject,
    NotAnalysedSeries,
    OpenSeries,
    ProcessPulse,
    QuarantinedObject,
    SendOutcome,
    SeriesRecord,
    StoredInstance,
)
from triage_node.core.reason import Refusal
from triage_node.core.study_state import DeliveryState, IllegalTransition, State
from triage_node.worklist import (
    arrivals,
    breakers,
    closing,
    commitments,
    deliveries,
    not_analysed,
    processes,
    queries,
    readings,
    worklist_entries,
)
from triage_node.worklist.engine import Database
from triage_node.worklist.study_record import study_record
from triage_node.worklist.tables import InstanceRow


class SqlStudyRepository:
    """The results database on SQLite or PostgreSQL; safe to share between threads.

    Parameters
    ----------
    engine
        From ``make_engine``, on a database that ``migrate.upgrade`` has brought to head.
    """

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    # arrival
    def add_instances(self, stored: Sequence[StoredInstance]) -> None:
        """See ``arrivals.add_instances``."""
        if not stored:
            return
        with self._database.writing() as session:
            arrivals.add_instances(session, stored)

    def add_quarantined(self, quarantined: QuarantinedObject) -> None:
        """See ``arrivals.add_quarantined``."""
        with self._database.writing() as session:
            arrivals.add_quarantined(session, quarantined)

    def open_association(self, peer: AssociationPeer, opened_at: datetime) -> None:
        """See ``arrivals.open_association``."""
        with self._database.writing() as session:
            arrivals.open_association(session, peer, opened_at)

    def end_association(self, association_id: str, ended_at: datetime, *, aborted: bool) -> None:
        """See ``arrivals.end_association``."""
        with self._database.writing() as session:
            arrivals.end_association(session, association_id, ended_at, aborted=aborted)

    def known_paths(self) -> set[str]:
        """Return every instance path that is indexed."""
        with self._database.reading() as session:
            return set(session.scalars(select(InstanceRow.path)))

    # assembly
    def open_series(self) -> Sequence[OpenSeries]:
        """See ``closing.open_series``."""
        with self._database.reading() as session:
            return closing.open_series(session)

    def series(self, series_id: int) -> SeriesRecord:
        """See ``closing.series_record``."""
        with self._database.reading() as session:
            return closing.series_record(session, series_id)

    def close_series(
        self, series_id: int, revision: int, closed_at: datetime, *, instance_count: int | None = None
    ) -> bool:
        """See ``closing.close_series``."""
        with self._database.writing() as session:
            return closing.close_series(session, series_id, revision, closed_at, instance_count)

    def candidates(self, study_id: int) -> Sequence[Candidate]:
        """See ``closing.candidates``."""
        with self._database.reading() as session:
            return closing.candidates(session, study_id)

    def decline(self, series_id: int, revision: int, refusal: Refusal, declined_at: datetime) -> None:
        """See ``closing.decline``."""
        with self._database.writing() as session:
            closing.decline(session, series_id, revision, refusal, declined_at)

    def choose(self, series_id: int, revision: int) -> None:
        """See ``closing.choose``."""
        with self._database.writing() as session:
            closing.choose(session, series_id, revision)

    # cascade
    def claim(self, series_id: int, revision: int, *, now: datetime, lease_s: float) -> bool:
        """See ``readings.claim``."""
        with self._database.writing() as session:
            return readings.claim(session, series_id, revision, now, lease_s)

    def release_claim(self, series_id: int, revision: int) -> None:
        """See ``readings.release_claim``."""
        with self._database.writing() as session:
            readings.release_claim(session, series_id, revision)

    def save_finding(self, series_id: int, revision: int, finding: Finding, classified_at: datetime) -> None:
        """See ``readings.save_finding``; what was kept is committed before anything is raised."""
        with self._database.writing() as session:
            awaited = readings.save_finding(session, series_id, revision, finding, classified_at)
        if not awaited:
            raise IllegalTransition(f"series {series_id} no longer waits for a finding of revision {revision}")

    def predecessor_report(self, series_id: int, revision: int) -> EarlierReport | None:
        """See ``readings.predecessor_report``."""
        with self._database.reading() as session:
            return readings.predecessor_report(session, series_id, revision)

    def save_evidence(
        self,
        series_id: int,
        revision: int,
        objects: Sequence[EvidenceObject],
        destinations: Sequence[Destination],
        now: datetime,
    ) -> None:
        """See ``readings.save_evidence``."""
        with self._database.writing() as session:
            readings.save_evidence(session, series_id, revision, objects, destinations, now)

    def not_analysed_to_report(self, *, quiet_since: datetime, first_reports: bool) -> Sequence[tuple[int, int]]:
        """See ``not_analysed.to_report``."""
        with self._database.reading() as session:
            return not_analysed.to_report(session, quiet_since, first_reports=first_reports)

    def not_analysed_series(self, series_id: int, revision: int) -> NotAnalysedSeries | None:
        """See ``not_analysed.not_analysed_series``."""
        with self._database.reading() as session:
            return not_analysed.not_analysed_series(session, series_id, revision)

    def save_not_analysed(
        self,
        series_id: int,
        revision: int,
        objects: Sequence[EvidenceObject],
        destinations: Sequence[Destination],
        now: datetime,
    ) -> None:
        """See ``not_analysed.save_not_analysed``."""
        with self._database.writing() as session:
            not_analysed.save_not_analysed(session, series_id, revision, objects, destinations, now)

    def fail(self, series_id: int, revision: int, refusal: Refusal, failed_at: datetime) -> None:
        """See ``readings.fail``."""
        with self._database.writing() as session:
            readings.fail(session, series_id, revision, refusal, failed_at)

    def due_for_reading(self, now: datetime) -> Sequence[tuple[int, int]]:
        """See ``readings.due_for_reading``."""
        with self._database.reading() as session:
            return readings.due_for_reading(session, now)

    # forwarding
    def destinations_due(self, now: datetime) -> Sequence[tuple[int, str]]:
        """See ``deliveries.destinations_due`` and ``commitments.studies_to_ask``."""
        with self._database.reading() as session:
            due = deliveries.destinations_due(session, now)
            left_alone, _ = breakers.blocked(session, now)
            asks = [each for each in commitments.studies_to_ask(session, now) if each[1] not in left_alone]
            return list(dict.fromkeys([*due, *asks]))

    def claim_deliveries(
        self, study_id: int, destination: str, *, now: datetime, lease_s: float
    ) -> DeliveryBatch | None:
        """See ``deliveries.claim_deliveries``."""
        with self._database.writing() as session:
            return deliveries.claim_deliveries(session, study_id, destination, now, lease_s)

    def save_outcome(
        self, delivery_id: int, outcome: SendOutcome, now: datetime, *, next_attempt_at: datetime | None
    ) -> None:
        """See ``deliveries.save_outcome``."""
        with self._database.writing() as session:
            deliveries.save_outcome(session, delivery_id, outcome, now, next_attempt_at)

    def save_outcomes(self, outcomes: Sequence[tuple[int, SendOutcome, datetime | None]], now: datetime) -> None:
        """See ``deliveries.save_outcome``; one commit, so that a study of many heatmaps does not wait for many."""
        with self._database.writing() as session:
            for delivery_id, outcome, next_attempt_at in outcomes:
                deliveries.save_outcome(session, delivery_id, outcome, now, next_attempt_at)

    def note_answer(self, destination: str, now: datetime) -> bool:
        """See ``breakers.note_answer``."""
        with self._database.reading() as session:
            if not breakers.is_noted(session, destination):
                return False  # the rule: nobody waits for a writer's lock because a healthy destination answered
        with self._database.writing() as session:
            return breakers.note_answer(session, destination, now)

    def note_silence(self, destination: str, now: datetime, rules: BreakerRules, detail: str) -> datetime | None:
        """See ``breakers.note_silence``."""
        with self._database.writing() as session:
            return breakers.note_silence(session, destination, now, rules, detail)

    def give_up_overdue(self, destination: str, *, due_before: datetime, now: datetime, detail: str) -> Sequence[int]:
        """See ``deliveries.give_up_overdue``."""
        with self._database.writing() as session:
            return deliveries.give_up_overdue(session, destination, due_before, now, detail)

    def breakers(self, now: datetime) -> Sequence[Mapping[str, Any]]:
        """See ``breakers.breakers``."""
        with self._database.reading() as session:
            return breakers.breakers(session, now)

    def claim_commitments(
        self, study_id: int, destination: str, *, now: datetime, ask_again_at: datetime
    ) -> CommitmentOrder | None:
        """See ``commitments.claim_commitments``."""
        with self._database.writing() as session:
            return commitments.claim_commitments(session, study_id, destination, now, ask_again_at)

    def put_off_commitments(self, transaction_uid: str, again_at: datetime) -> None:
        """See ``commitments.put_off_commitments``."""
        with self._database.writing() as session:
            commitments.put_off_commitments(session, transaction_uid, again_at)

    def give_up_commitments(
        self, study_id: int, destination: str, *, sent_before: datetime, now: datetime
    ) -> Sequence[int]:
        """See ``commitments.give_up_commitments``."""
        with self._database.writing() as session:
            return commitments.give_up_commitments(session, study_id, destination, sent_before, now)

    def decline_commitments(self, transaction_uid: str, detail: str) -> None:
        """See ``commitments.decline_commitments``."""
        with self._database.writing() as session:
            commitments.decline_commitments(session, transaction_uid, detail)

    def save_commitment(
        self, result: CommitmentResult, now: datetime, *, send_again_at: datetime, due_before: datetime
    ) -> Sequence[int] | None:
        """See ``commitments.save_commitment``."""
        with self._database.writing() as session:
            return commitments.save_commitment(session, result, now, send_again_at, due_before)

    def kept_instances(self, sop_instance_uids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, Path]]]:
        """See ``commitments.kept_instances``."""
        with self._database.reading() as session:
            return commitments.kept_instances(session, sop_instance_uids)

    # reading
    def worklist(self, *, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """See ``worklist_entries.latest``."""
        with self._database.reading() as session:
            return worklist_entries.latest(session, limit)

    def study(self, study_instance_uid: str) -> Mapping[str, Any] | None:
        """See ``study_record``."""
        with self._database.reading() as session:
            return study_record(session, study_instance_uid)

    def studies_named(self, identifier: str, *, limit: int = 200) -> Sequence[str]:
        """See ``queries.studies_named``."""
        with self._database.reading() as session:
            return queries.studies_named(session, identifier, limit)

    # operating
    def reprocess(self, study_instance_uid: str, requested_at: datetime) -> Sequence[tuple[int, int]]:
        """See ``readings.reprocess``."""
        with self._database.writing() as session:
            return readings.reprocess(session, study_instance_uid, requested_at)

    def retry_deliveries(
        self, now: datetime, *, study_instance_uid: str | None = None, delivery_ids: Sequence[int] | None = None
    ) -> int:
        """See ``deliveries.retry_deliveries``."""
        with self._database.writing() as session:
            return deliveries.retry_deliveries(session, now, study_instance_uid, delivery_ids)

    def deliveries(
        self, *, state: DeliveryState | None = None, limit: int = 200, before: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """See ``queries.deliveries``."""
        with self._database.reading() as session:
            return queries.deliveries(session, state, limit, before)

    def counts_by_state(self) -> Mapping[State, int]:
        """See ``queries.counts_by_state``."""
        with self._database.reading() as session:
            return queries.counts_by_state(session)

    def quarantined(self, *, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """See ``queries.quarantined``."""
        with self._database.reading() as session:
            return queries.quarantined(session, limit)

    def heartbeat(self, pulse: ProcessPulse) -> None:
        """See ``processes.heartbeat``."""
        with self._database.writing() as session:
            processes.heartbeat(session, pulse)

    def processes(self, *, seen_since: datetime | None = None) -> Sequence[ProcessPulse]:
        """See ``processes.processes``."""
        with self._database.reading() as session:
            return processes.processes(session, seen_since)
