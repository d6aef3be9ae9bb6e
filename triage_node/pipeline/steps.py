"""The path of a study, told in the order it happens: close, choose, read, write evidence; ``outbox`` tells the rest, forward.

In: ids from the bell and from the clock. Out: changes in the repository, evidence on disk, deliveries that are due.
Every step may run twice, on two machines at once, or be cut off at any line: the repository's conditional changes decide
who did it, and what is due is found there again. Answers to DESIGN sections 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.destination import Destination
from triage_node.core.errors import Transient
from triage_node.core.ports import (
    Candidate,
    Classifier,
    Clock,
    EvidenceOrder,
    EvidenceWriter,
    HeatmapChoice,
    NotAnalysedOrder,
    NotAnalysedSeries,
    OpenSeries,
    SeriesRecord,
    StudyRepository,
    VolumeReader,
)
from triage_node.core.reason import Reason, Refusal
from triage_node.core.series import EligibilityLimits, eligibility, expected_count, looks_complete, ordered, rank_key
from triage_node.core.study_state import IllegalTransition, State
from triage_node.pipeline.shadow import ShadowPath

log = structlog.get_logger(__name__)


class Bell(Protocol):
    """Wakes a worker or courier. A bell that is not heard costs time, never a study."""

    def read(self, series_id: int, revision: int) -> None:
        """Wake a worker for one series."""
        ...

    def report_not_analysed(self, series_id: int, revision: int) -> None:
        """Wake a worker for the report that one series was not read."""
        ...

    def forward(self, study_id: int, destination: str) -> None:
        """Wake a courier for one study at one destination."""
        ...


@dataclass(frozen=True)
class PathRules:
    """The numbers of the path; seconds throughout."""

    settle_s: float
    quiet_period_s: float
    lease_s: float
    retry_first_s: float
    retry_longest_s: float
    give_up_after_s: float
    read_all_series: bool
    limits: EligibilityLimits
    destinations: tuple[Destination, ...]
    breaker: BreakerRules = field(default_factory=BreakerRules)
    commitment_wait_s: float = 3600.0
    heatmaps: HeatmapChoice = "flagged"
    report_not_analysed: bool = False
    not_analysed_wait_s: float = 60.0


@dataclass(frozen=True)
class StudyPath:
    """Closing and choosing: what every process may do, because it needs the repository alone."""

    repository: StudyRepository
    bell: Bell
    clock: Clock
    rules: PathRules

    def close_ready(self) -> int:
        """Close every series that is over; return how many were closed."""
        closed = 0
        for series in self.repository.open_series():
            if not self._may_be_over(series):
                continue
            record = self.repository.series(series.series_id)
            if not self._is_over(series, record):
                continue
            count = len(record.instances)
            if self.repository.close_series(series.series_id, series.revision, self.clock.now(), instance_count=count):
                log.info("series_closed", series_instance_uid=record.series_instance_uid, revision=series.revision)
                closed += 1
                self.choose(record.study_id)
        return closed

    def _may_be_over(self, series: OpenSeries) -> bool:
        return self._released(series) or self._quiet(series)

    def _released(self, series: OpenSeries) -> bool:
        """Every association that carried the series has been released, none aborted, and the settle time is past."""
        if series.open_associations or series.aborted_associations or series.released_at is None:
            return False
        return self.clock.now() - series.released_at >= timedelta(seconds=self.rules.settle_s)

    def _quiet(self, series: OpenSeries) -> bool:
        return self.clock.now() - series.last_received_at >= timedelta(seconds=self.rules.quiet_period_s)

    def _is_over(self, series: OpenSeries, record: SeriesRecord) -> bool:
        headers = [header for header, _ in record.instances]
        expected = expected_count(headers)
        if expected is not None and self._released(series) and len(headers) >= expected:
            return True
        return self._quiet(series) or looks_complete(headers, self.rules.limits)

    def choose(self, study_id: int, *, without: int | None = None) -> None:
        """Decline what cannot be read, then have the best of the rest read (all of them, by setting).

        ``without`` is the series whose pixels have just turned out unreadable.
        """
        eligible: list[Candidate] = []
        for candidate in self.repository.candidates(study_id):
            if candidate.series_id == without:
                continue
            if candidate.state is State.CLOSED:
                refusal = eligibility(candidate.headers, self.rules.limits)
                if refusal is not None:
                    self._decline(candidate, refusal)
                    continue
            if candidate.state is not State.NOT_ANALYSED or candidate.refusal_reason == Reason.BETTER_SERIES:
                eligible.append(candidate)
        if not eligible:
            return
        best = max(eligible, key=lambda each: rank_key(each.headers))
        for candidate in eligible:
            if candidate is best or self.rules.read_all_series:
                self._have_read(candidate)
            elif candidate.state is State.CLOSED:
                self._decline(candidate, Refusal(Reason.BETTER_SERIES))

    def _have_read(self, candidate: Candidate) -> None:
        try:
            if candidate.state is State.NOT_ANALYSED:
                self.repository.choose(candidate.series_id, candidate.revision)
        except IllegalTransition:
            return  # another process was first
        if candidate.state in (State.CLOSED, State.NOT_ANALYSED):
            self.bell.read(candidate.series_id, candidate.revision)

    def _decline(self, candidate: Candidate, refusal: Refusal) -> None:
        try:
            self.repository.decline(candidate.series_id, candidate.revision, refusal, self.clock.now())
        except IllegalTransition:
            return  # another process was first, or a late slice came
        log.info("series_declined", series_id=candidate.series_id, reason=refusal.reason.value, detail=refusal.detail)

    def ring_due(self) -> None:
        """Ring again for whatever the repository says is due: a lost bell, a dead worker, a delivery put off."""
        now = self.clock.now()
        for series_id, revision in self.repository.due_for_reading(now):
            study_id = self.repository.series(series_id).study_id
            self.choose(study_id)
            self.bell.read(series_id, revision)
        quiet_since = now - timedelta(seconds=self.rules.not_analysed_wait_s)
        first_reports = self.rules.report_not_analysed
        for series_id, revision in self.repository.not_analysed_to_report(
            quiet_since=quiet_since, first_reports=first_reports
        ):
            self.bell.report_not_analysed(series_id, revision)
        for study_id, destination in self.repository.destinations_due(now):
            self.bell.forward(study_id, destination)


@dataclass(frozen=True)
class ReadingPath:
    """Reading a series and writing its evidence: the worker's part, with the model resident."""

    path: StudyPath
    reader: VolumeReader
    classifier: Classifier
    writer: EvidenceWriter
    shadow: ShadowPath | None = None

    def read(self, series_id: int, revision: int) -> None:
        """Take one closed series to EVIDENCED, NOT_ANALYSED or FAILED; do nothing where another worker has it."""
        repository, clock = self.path.repository, self.path.clock
        if not repository.claim(series_id, revision, now=clock.now(), lease_s=self.path.rules.lease_s):
            return
        try:
            self._read_claimed(repository.series(series_id), revision)
        except IllegalTransition:
            log.info("reading_overtaken", series_id=series_id, revision=revision)
        except Transient as error:
            log.warning("reading_put_off", series_id=series_id, revision=revision, error=str(error))
            repository.release_claim(series_id, revision)
        except Exception as error:
            log.exception("reading_failed", series_id=series_id, revision=revision)
            detail = f"{type(error).__name__}: {error}"
            repository.fail(series_id, revision, Refusal(Reason.DEFECT, detail), clock.now())

    def report_not_analysed(self, series_id: int, revision: int) -> None:
        """Write the report that a series was not read, and why; do nothing where there is one or the series was read."""
        repository = self.path.repository
        series = repository.not_analysed_series(series_id, revision)
        if series is None:
            return
        try:
            self._report(series, series_id, revision)
        except IllegalTransition:
            log.info("report_overtaken", series_id=series_id, revision=revision)
        except Transient as error:
            log.warning("report_put_off", series_id=series_id, revision=revision, error=str(error))
        except Exception as error:
            log.exception("report_failed", series_id=series_id, revision=revision)
            detail = f"no report of {series.refusal.reason}: {type(error).__name__}: {error}"
            repository.fail(series_id, revision, Refusal(Reason.DEFECT, detail), self.path.clock.now())

    def _report(self, series: NotAnalysedSeries, series_id: int, revision: int) -> None:
        repository, clock, rules = self.path.repository, self.path.clock, self.path.rules
        order = NotAnalysedOrder(
            paths=series.paths,
            refusal=series.refusal,
            revision=revision,
            declined_at=series.declined_at,
            predecessor=repository.predecessor_report(series_id, revision),
        )
        objects = self.writer.write_not_analysed(order)
        repository.save_not_analysed(series_id, revision, objects, rules.destinations, clock.now())
        log.info(
            "not_analysed_reported",
            series_instance_uid=series.series_instance_uid,
            revision=revision,
            reason=series.refusal.reason.value,
            objects=len(objects),
        )
        for destination in rules.destinations:
            self.path.bell.forward(series.study_id, destination.name)

    def _read_claimed(self, record: SeriesRecord, revision: int) -> None:
        repository, clock, rules = self.path.repository, self.path.clock, self.path.rules
        volume = self.reader.read(ordered(record.instances))
        if isinstance(volume, Refusal):
            # The next best first: were we killed in between, this series would be read and refused again, and none forgotten.
            self.path.choose(record.study_id, without=record.series_id)
            repository.decline(record.series_id, revision, volume, clock.now())
            log.info("series_declined", series_id=record.series_id, reason=volume.reason.value, detail=volume.detail)
            return
        reading = self.classifier.read(volume)
        classified_at = clock.now()
        repository.save_finding(record.series_id, revision, reading.finding, classified_at)
        order = EvidenceOrder(
            volume=volume,
            finding=reading.finding,
            heatmaps=reading.heatmaps(rules.heatmaps) if reading.finding.flagged else {},
            revision=revision,
            classified_at=classified_at,
            predecessor=repository.predecessor_report(record.series_id, revision),
        )
        objects = self.writer.write(order)
        repository.save_evidence(record.series_id, revision, objects, rules.destinations, clock.now())
        log.info(
            "series_read",
            series_instance_uid=record.series_instance_uid,
            revision=revision,
            flagged=reading.finding.flagged,
            ich_probability=round(reading.finding.ich_probability, 4),
            objects=len(objects),
        )
        for destination in rules.destinations:
            self.path.bell.forward(record.study_id, destination.name)
        if self.shadow is not None:
            self.shadow.read(record.series_id, revision, volume)
