"""The results database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.commitment import CommitmentResult
from triage_node.core.destination import Destination
from triage_node.core.finding import Finding
from triage_node.core.ports.arrival import AssociationPeer, QuarantinedObject, StoredInstance
from triage_node.core.ports.evidence import EarlierReport, EvidenceObject
from triage_node.core.ports.forwarding import CommitmentOrder, SendOutcome
from triage_node.core.ports.worklist import (
    Candidate,
    DeliveryBatch,
    NotAnalysedSeries,
    OpenSeries,
    ProcessPulse,
    SeriesRecord,
)
from triage_node.core.reason import Refusal
from triage_node.core.study_state import DeliveryState, State


class StudyRepository(Protocol):
    """The results database: the truth. Each method is one transaction; states change by ``core.study_state`` only.

    A step that runs twice changes nothing the second time. A step for a revision that a late slice or a reprocess has
    overtaken raises ``Overtaken``. ``Transient`` means that the database did not answer: try the same step again.
    """

    # arrival
    def add_instances(self, stored: Sequence[StoredInstance]) -> None:
        """Upsert studies, series, instances. A known SOP instance changes nothing. A new one for a series past RECEIVING
        opens the next revision (Event.SLICE_ARRIVED)."""
        ...

    def add_quarantined(self, quarantined: QuarantinedObject) -> None:
        """Keep note of a quarantined object."""
        ...

    def open_association(self, peer: AssociationPeer, opened_at: datetime) -> None:
        """Note an association that may carry series."""
        ...

    def end_association(self, association_id: str, ended_at: datetime, *, aborted: bool) -> None:
        """Note its end."""
        ...

    def known_paths(self) -> set[str]:
        """Return every instance path that is indexed, so that a spool can be re-indexed at start."""
        ...

    # assembly
    def open_series(self) -> Sequence[OpenSeries]:
        """Return the series in RECEIVING."""
        ...

    def series(self, series_id: int) -> SeriesRecord:
        """Return one series with its headers."""
        ...

    def close_series(
        self, series_id: int, revision: int, closed_at: datetime, *, instance_count: int | None = None
    ) -> bool:
        """RECEIVING to CLOSED; False where a slice came in between: the revision moved on, or there are no longer as many
        instances as the decision to close rested on, where that is given."""
        ...

    def candidates(self, study_id: int) -> Sequence[Candidate]:
        """Return the series of a study that are past RECEIVING."""
        ...

    def decline(self, series_id: int, revision: int, refusal: Refusal, declined_at: datetime) -> None:
        """CLOSED to NOT_ANALYSED, without its lease."""
        ...

    def choose(self, series_id: int, revision: int) -> None:
        """NOT_ANALYSED (BETTER_SERIES) back to CLOSED, because the better one turned out unreadable."""
        ...

    # cascade
    def claim(self, series_id: int, revision: int, *, now: datetime, lease_s: float) -> bool:
        """Take the lease on a CLOSED or CLASSIFIED series of this revision; False where another holds it, it moved on, or
        it has been claimed twice already (then it is failed with WORKER_LOST)."""
        ...

    def release_claim(self, series_id: int, revision: int) -> None:
        """Give the lease back without a result (a Transient error): the claim does not count."""
        ...

    def save_finding(self, series_id: int, revision: int, finding: Finding, classified_at: datetime) -> None:
        """To CLASSIFIED, with the analysis and slice scores; the study's priority rises, never falls.

        The finding of an overtaken revision, or of a series that ended meanwhile, is kept and may raise the priority;
        only then is ``IllegalTransition`` raised.
        """
        ...

    def predecessor_report(self, series_id: int, revision: int) -> EarlierReport | None:
        """Return the SR of the latest earlier revision of this series, if any; else the one that said that the study was not
        analysed, and what it said."""
        ...

    def save_evidence(
        self,
        series_id: int,
        revision: int,
        objects: Sequence[EvidenceObject],
        destinations: Sequence[Destination],
        now: datetime,
    ) -> None:
        """To EVIDENCED with one DUE delivery for each object and destination that ``core.destination.wants`` it; straight on
        to FORWARDED where there is none. A destination that has evidence of an earlier revision counts as flagged."""
        ...

    def not_analysed_to_report(self, *, quiet_since: datetime, first_reports: bool) -> Sequence[tuple[int, int]]:
        """Return (series_id, revision) by ``core.not_analysed.leading_refusal`` of each study of the last day that ended in
        NOT_ANALYSED, that nothing has come of since then, and that has no report of that yet. Without ``first_reports`` only
        those with a report to take back."""
        ...

    def not_analysed_series(self, series_id: int, revision: int) -> NotAnalysedSeries | None:
        """Return what the report needs; None where the series has one of this revision, or is not NOT_ANALYSED any more."""
        ...

    def save_not_analysed(
        self,
        series_id: int,
        revision: int,
        objects: Sequence[EvidenceObject],
        destinations: Sequence[Destination],
        now: datetime,
    ) -> None:
        """Deliveries as in ``save_evidence``; the series stays in NOT_ANALYSED, whatever becomes of them."""
        ...

    def fail(self, series_id: int, revision: int, refusal: Refusal, failed_at: datetime) -> None:
        """To FAILED; an overtaken revision is left alone."""
        ...

    def due_for_reading(self, now: datetime) -> Sequence[tuple[int, int]]:
        """Return (series_id, revision) of chosen CLOSED or CLASSIFIED series without a live lease."""
        ...

    # forwarding
    def destinations_due(self, now: datetime) -> Sequence[tuple[int, str]]:
        """Return (study_id, destination) with deliveries due and not under a lease, or a commitment to ask for.

        None of a destination whose breaker is open or being probed, and one of a destination that is to be probed.
        """
        ...

    def claim_deliveries(
        self, study_id: int, destination: str, *, now: datetime, lease_s: float
    ) -> DeliveryBatch | None:
        """Claim what is due at this destination for this study; None where nothing is, or the breaker admits nobody."""
        ...

    def save_outcome(
        self, delivery_id: int, outcome: SendOutcome, now: datetime, *, next_attempt_at: datetime | None
    ) -> None:
        """ACCEPTED, PUT_OFF (``next_attempt_at`` given) or GIVE_UP (None). A series all of whose deliveries are SENT becomes
        FORWARDED; with one given up and none due it becomes FAILED (DELIVERY_GIVEN_UP)."""
        ...

    def save_outcomes(self, outcomes: Sequence[tuple[int, SendOutcome, datetime | None]], now: datetime) -> None:
        """``save_outcome`` for a whole batch at once: (delivery id, outcome, next_attempt_at) of each."""
        ...

    def note_answer(self, destination: str, now: datetime) -> bool:
        """Close the breaker of a destination; True where it was open: then all that was put off is due now."""
        ...

    def note_silence(self, destination: str, now: datetime, rules: BreakerRules, detail: str) -> datetime | None:
        """Count a failure of the transport; return until when the breaker is open, None where it is still closed."""
        ...

    def give_up_overdue(self, destination: str, *, due_before: datetime, now: datetime, detail: str) -> Sequence[int]:
        """Give up what has been due since before then and is not under a lease; return the delivery ids.

        Behind an open breaker most deliveries wait without an attempt of their own, and would wait for ever.
        """
        ...

    def breakers(self, now: datetime) -> Sequence[Mapping[str, Any]]:
        """Return the destinations that failed last time, with their breaker; JSON-ready."""
        ...

    def claim_commitments(
        self, study_id: int, destination: str, *, now: datetime, ask_again_at: datetime
    ) -> CommitmentOrder | None:
        """Note a new transaction for what this destination has of this study and has not committed to; None: nothing."""
        ...

    def put_off_commitments(self, transaction_uid: str, again_at: datetime) -> None:
        """Ask for what this transaction asked for again at that time: the destination could not be reached."""
        ...

    def give_up_commitments(
        self, study_id: int, destination: str, *, sent_before: datetime, now: datetime
    ) -> Sequence[int]:
        """Ask no more for what was sent before then and never reported on; return the delivery ids."""
        ...

    def decline_commitments(self, transaction_uid: str, detail: str) -> None:
        """Note that the destination does not offer storage commitment."""
        ...

    def save_commitment(
        self, result: CommitmentResult, now: datetime, *, send_again_at: datetime, due_before: datetime
    ) -> Sequence[int] | None:
        """Note a report. What was not kept is due again (given up where it was due before ``due_before``), unless the reason
        is a lasting one. Returns the ids of the deliveries that are not kept; None: no such transaction waits."""
        ...

    def kept_instances(self, sop_instance_uids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, Path]]]:
        """Return the SOP class and file of every stored instance with one of these UIDs."""
        ...

    # reading
    def worklist(self, *, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Return rows as DESIGN's ``worklist --json`` has them, most urgent first."""
        ...

    def study(self, study_instance_uid: str) -> Mapping[str, Any] | None:
        """Return all that is known of one study: series, revisions, slices, evidence, deliveries; JSON-ready."""
        ...

    def studies_named(self, identifier: str, *, limit: int = 200) -> Sequence[str]:
        """Return the UIDs of the studies that this is the UID, accession number or patient ID of, newest first."""
        ...

    # operating
    def reprocess(self, study_instance_uid: str, requested_at: datetime) -> Sequence[tuple[int, int]]:
        """Open the next revision of every series of a study that has ended (Event.REPROCESS, to CLOSED).

        Returns (series_id, revision) of each; the priority stays.
        """
        ...

    def retry_deliveries(
        self, now: datetime, *, study_instance_uid: str | None = None, delivery_ids: Sequence[int] | None = None
    ) -> int:
        """GIVEN_UP to DUE: all, or those of one study, or those named. Return how many."""
        ...

    def deliveries(
        self, *, state: DeliveryState | None = None, limit: int = 200, before: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return deliveries, newest first; ``before`` is the id of the last one of the page before. JSON-ready."""
        ...

    def counts_by_state(self) -> Mapping[State, int]:
        """Return how many studies are in each state; every state is there."""
        ...

    def quarantined(self, *, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Return quarantined objects, newest first; JSON-ready."""
        ...

    def heartbeat(self, pulse: ProcessPulse) -> None:
        """Note that a process is alive."""
        ...

    def processes(self, *, seen_since: datetime | None = None) -> Sequence[ProcessPulse]:
        """Return the processes seen since then, by name, host and pid."""
        ...
