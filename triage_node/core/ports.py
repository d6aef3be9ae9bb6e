"""The nouns that the path of a study is told in. Stations implement them; ``pipeline`` sees only these.

Every time is an aware UTC datetime. Every path lies on storage that all processes of the node share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.commitment import CommitmentResult, InstanceReference
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.finding import Finding
from triage_node.core.instance import InstanceHeader
from triage_node.core.reason import Refusal
from triage_node.core.report import EarlierAnswer
from triage_node.core.study_state import DeliveryState, State

Pixel = TypeVar("Pixel", bound=np.generic)


class Clock(Protocol):
    """The time, so that tests need not wait for it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...


# arrival -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AssociationPeer:
    """Who is at the other end of an association, and which one it is (``association_id`` is a random UUID)."""

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True)
class StoredInstance:
    """An instance that is durably in the spool, with how it came; ``peer`` is None when found there at start."""

    header: InstanceHeader
    path: Path
    received_at: datetime
    peer: AssociationPeer | None = None


@dataclass(frozen=True)
class QuarantinedObject:
    """Bytes that could not be kept as an instance, with the reason and the status that was answered."""

    path: Path
    reason: str
    status_code: int
    received_at: datetime
    peer: AssociationPeer | None


class Spool(Protocol):
    """Where acknowledged instances lie."""

    def store(self, header: InstanceHeader, part10: bytes) -> Path:
        """Write durably (fsync, rename, fsync of the folder) and return the path; same instance twice is one file."""
        ...

    def quarantine(self, part10: bytes, reason: str, status_code: int, peer: AssociationPeer | None = None) -> Path:
        """Keep what cannot be read, with its reason and sender beside it."""
        ...

    def free_bytes(self) -> int:
        """Return the free space of the file system."""
        ...


# assembly, cascade ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeriesVolume:
    """One series as an ordered volume.

    Attributes
    ----------
    volume_hu : (slices, rows, columns), int16 HU, slice 0 the most inferior
    sop_instance_uids
        One a slice, in the same order. (A multi-frame instance repeats its UID.)
    frame_numbers
        1-based frame of each slice within its instance; 1 for single-frame instances.
    paths
        The file of each slice.
    positions_mm : (slices,), along the slice normal
    slice_spacing_mm
        Median distance of neighbours along the normal.
    pixel_spacing_mm : between rows, between columns
    tilt_deg
        Angle between the slice normal and the long axis of the patient.
    flipped_rows, flipped_columns
        Whether ``volume_hu`` runs against the stored pixels along that axis, because the patient lay prone or the scanner
        wrote mirrored images; what is marked in source pixels has to be flipped back.
    """

    volume_hu: npt.NDArray[np.int16]
    sop_instance_uids: tuple[str, ...]
    frame_numbers: tuple[int, ...]
    paths: tuple[Path, ...]
    positions_mm: tuple[float, ...]
    slice_spacing_mm: float
    pixel_spacing_mm: tuple[float, float]
    tilt_deg: float
    flipped_rows: bool = False
    flipped_columns: bool = False

    def as_stored(self, picture: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """Turn one slice, or a picture of its size, back to the way its source pixels lie.

        Parameters
        ----------
        picture : (rows, columns, ...)
        """
        return picture[:: -1 if self.flipped_rows else 1, :: -1 if self.flipped_columns else 1]


class VolumeReader(Protocol):
    """From files to a volume, or a refusal that the pixels give reason for."""

    def read(self, slices: Sequence[tuple[InstanceHeader, Path]]) -> SeriesVolume | Refusal:
        """Decode the slices (already in order, inferior to superior), check that the pixels show a head."""
        ...


HeatmapChoice = Literal["flagged", "all"]


class Reading(Protocol):
    """One pass of the cascade over one volume."""

    @property
    def finding(self) -> Finding:
        """What the cascade says."""
        ...

    def heatmaps(self, kinds: HeatmapChoice = "flagged") -> Mapping[int, npt.NDArray[np.float32]]:
        """Return Grad-CAM per flagged slice, or of all: index into the volume to (rows, columns), 0 to 1."""
        ...


class Classifier(Protocol):
    """The cascade."""

    def read(self, volume: SeriesVolume) -> Reading:
        """Read one volume."""
        ...


# evidence ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvidenceObject:
    """One DICOM object made by this node, on disk.

    ``kind`` is one of ``core.destination.OBJECT_KINDS``; ``number`` counts objects of one kind from 1.
    """

    kind: str
    number: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    path: Path


@dataclass(frozen=True)
class EarlierReport:
    """A report that was written before, and what it said."""

    path: Path
    answer: EarlierAnswer


@dataclass(frozen=True)
class EvidenceOrder:
    """All that the evidence of one reading is made from; ``predecessor`` is the report that it supersedes."""

    volume: SeriesVolume
    finding: Finding
    heatmaps: Mapping[int, npt.NDArray[np.float32]]
    revision: int
    classified_at: datetime
    predecessor: EarlierReport | None = None


@dataclass(frozen=True)
class NotAnalysedOrder:
    """All that the report on a series that was not read is made from."""

    paths: Sequence[Path]
    refusal: Refusal
    revision: int
    declined_at: datetime
    predecessor: EarlierReport | None = None


class EvidenceWriter(Protocol):
    """From a reading to DICOM objects in the source study."""

    def write(self, order: EvidenceOrder) -> Sequence[EvidenceObject]:
        """Write the objects durably and return them; the same order gives the same UIDs."""
        ...

    def write_not_analysed(self, order: NotAnalysedOrder) -> Sequence[EvidenceObject]:
        """Write durably that a series was not read, and why; empty where no kind of evidence that is made can say so."""
        ...


# forwarding ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SendOutcome:
    """What became of one object at one destination.

    ``answered`` is False where the destination said nothing of the object: no connection, silence, an abort. Only that
    counts for the circuit breaker.
    """

    sop_instance_uid: str
    action: Action
    status_code: int | None
    detail: str
    answered: bool = True


class Sender(Protocol):
    """The way to destinations of one kind."""

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send all, over one association or request where that can be; one outcome an object, in order.

        Never raises for what a destination or the network does: one that cannot be reached is TRY_AGAIN for all, with
        ``answered`` False.
        """
        ...

    def verify(self, destination: Destination) -> str:
        """Try the destination without sending anything, and return what it answered; raises ``Transient`` otherwise."""
        ...


@dataclass(frozen=True)
class CommitmentOrder:
    """Instances that one destination is asked to commit to, under a transaction UID that is noted already."""

    transaction_uid: str
    references: tuple[InstanceReference, ...]


@dataclass(frozen=True)
class CommitmentAnswer:
    """What came of a request for commitment.

    Attributes
    ----------
    action
        DONE: the archive took the request. TRY_AGAIN: it did not answer. GIVE_UP: it does not offer the service.
    result
        Its report, where it came over the same association; else it comes later over one of its own.
    """

    action: Action
    detail: str
    result: CommitmentResult | None = None


class CommitmentRequester(Protocol):
    """Storage Commitment SCU."""

    def request(self, destination: Destination, order: CommitmentOrder) -> CommitmentAnswer:
        """Ask an archive to commit to what it was sent. Never raises for what the archive or the network does."""
        ...


# worklist ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenSeries:
    """A series that is still receiving, as far as closing needs to know.

    Attributes
    ----------
    first_received_at, last_received_at
        Of the instances that are new in this revision.
    open_associations
        How many associations that carried the series have not ended.
    aborted_associations
        How many that added to this revision were aborted.
    released_at
        The latest release of an association that added to this revision; None where there was none.
    """

    series_id: int
    revision: int
    first_received_at: datetime
    last_received_at: datetime
    open_associations: int
    aborted_associations: int
    released_at: datetime | None


@dataclass(frozen=True)
class SeriesRecord:
    """One series with its instances' headers and files."""

    series_id: int
    study_id: int
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    state: State
    instances: tuple[tuple[InstanceHeader, Path], ...]


@dataclass(frozen=True)
class NotAnalysedSeries:
    """A series that was refused, for the report that says so."""

    study_id: int
    series_instance_uid: str
    paths: tuple[Path, ...]
    refusal: Refusal
    declined_at: datetime


@dataclass(frozen=True)
class Candidate:
    """A closed series of a study, for choosing the best one to read."""

    series_id: int
    revision: int
    state: State
    refusal_reason: str | None
    headers: tuple[InstanceHeader, ...]


@dataclass(frozen=True)
class DeliveryBatch:
    """Deliveries of one study that became due together at one destination, claimed under a lease."""

    destination: str
    """Its name."""
    objects: tuple[tuple[int, EvidenceObject], ...]
    """(delivery id, object)."""
    attempts: int
    """How many attempts have been made before this one (the most of any object), for the back-off."""
    due_since: datetime
    """When the oldest of these deliveries came into being, for giving up."""


@dataclass(frozen=True)
class ProcessPulse:
    """A sign of life of one process of the node; ``detail`` is what it says of itself, as plain JSON values."""

    name: str
    host: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


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

    def deliveries(self, *, state: DeliveryState | None = None, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Return deliveries, newest first; JSON-ready."""
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
