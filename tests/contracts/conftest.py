"""Studies in every state, made through the port alone, as a scanner, workers and couriers would make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.identifiers import PeerAddress
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import (
    AssociationPeer,
    DeliveryBatch,
    EvidenceObject,
    SendOutcome,
    StoredInstance,
    StudyRepository,
)
from triage_node.worklist.repository import SqlStudyRepository

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
PACS = Destination.of_peer(PeerAddress("PACS", "127.0.0.1", 11113))
ARCHIVE = Destination.of_peer(PeerAddress("ARCHIVE", "::1", 104))


def at(seconds: float) -> datetime:
    """A moment, in seconds after the start."""
    return START + timedelta(seconds=seconds)


def study_uid(study: int) -> str:
    return f"1.2.3.{study}"


def instance(
    study: int, series: int, number: int, *, association: str | None = "a1", seconds: float = 0.0, **values: Any
) -> StoredInstance:
    """One stored CT slice."""
    series_uid = f"{study_uid(study)}.{series}"
    header = InstanceHeader(
        sop_instance_uid=f"{series_uid}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=series_uid,
        study_instance_uid=study_uid(study),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **({"modality": "CT", "patient_id": f"P{study}", "accession_number": f"ACC{study}"} | values),
    )
    peer = AssociationPeer(association, "SCANNER", "TRIAGE", "10.0.0.7") if association else None
    return StoredInstance(header, Path(f"/spool/{series_uid}/{header.sop_instance_uid}.dcm"), at(seconds), peer)


def finding(probability: float = 0.9, *, slices: int = 3, threshold: float = 0.5) -> Finding:
    """A reading of some slices, flagged at or above the threshold."""
    flagged = probability >= threshold
    subtypes = {name: round(probability / (1 + index), 3) for index, name in enumerate(SUBTYPES)} if flagged else None
    return Finding(
        ich_probability=probability,
        flagged=flagged,
        subtypes=subtypes,
        subtypes_present=("CPH",) if flagged else (),
        slices=tuple(SliceFinding(f"1.9.{index}", probability, subtypes, flagged) for index in range(slices)),
        model_name="made_up",
        model_version="0.1",
        weights_sha256="a" * 64,
        operating_point="balanced",
        operating_threshold=threshold,
        elapsed_ms=12.5,
    )


def evidence(study: int, revision: int = 1, *, heatmaps: int = 1, series: int = 1) -> list[EvidenceObject]:
    """A report and heatmaps."""
    kinds = [("SR", 1), *(("SC", number) for number in range(1, heatmaps + 1))]
    return [
        EvidenceObject(
            kind=kind,
            number=number,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            sop_instance_uid=f"2.25.{study}.{series}.{revision}.{index}",
            series_instance_uid=f"2.25.{study}.{series}",
            study_instance_uid=study_uid(study),
            path=Path(f"/evidence/{study}.{series}.{revision}.{index}.dcm"),
        )
        for index, (kind, number) in enumerate(kinds)
    ]


def outcomes(batch: DeliveryBatch, action: Action = Action.DONE) -> list[tuple[int, SendOutcome]]:
    """What a PACS answers to each object of a batch."""
    status_code = 0x0000 if action is Action.DONE else 0xA700
    return [(id_, SendOutcome(each.sop_instance_uid, action, status_code, action.value)) for id_, each in batch.objects]


@dataclass
class Site:
    """A hospital around one repository: takes studies to where a test begins."""

    repository: StudyRepository

    pacs = PACS
    archive = ARCHIVE
    at = staticmethod(at)
    study_uid = staticmethod(study_uid)
    instance = staticmethod(instance)
    finding = staticmethod(finding)
    evidence = staticmethod(evidence)
    outcomes = staticmethod(outcomes)

    def arrive(self, study: int = 1, series: int = 1, numbers: Iterable[int] = range(3), **values: Any) -> int:
        """Index slices and return the id of their series."""
        stored = [instance(study, series, number, **values) for number in numbers]
        self.repository.add_instances(stored)
        return self.series_id(study, stored[0].header.series_instance_uid)

    def series_id(self, study: int, series_instance_uid: str) -> int:
        return next(
            int(each["series_id"])
            for each in self.study(study)["series"]
            if each["series_instance_uid"] == series_instance_uid
        )

    def closed(self, study: int = 1, series: int = 1, **values: Any) -> int:
        series_id = self.arrive(study, series, **values)
        assert self.repository.close_series(series_id, 1, at(10))
        return series_id

    def classified(self, study: int = 1, series: int = 1, *, probability: float = 0.9, **values: Any) -> int:
        series_id = self.closed(study, series, **values)
        assert self.repository.claim(series_id, 1, now=at(11), lease_s=60)
        self.repository.save_finding(series_id, 1, finding(probability), at(12))
        return series_id

    def evidenced(
        self, study: int = 1, series: int = 1, *, destinations: Sequence[Destination] = (PACS,), **values: Any
    ) -> int:
        series_id = self.classified(study, series, **values)
        self.repository.save_evidence(series_id, 1, evidence(study, series=series), destinations, at(13))
        return series_id

    def forwarded(self, study: int = 1, series: int = 1, **values: Any) -> int:
        series_id = self.evidenced(study, series, **values)
        self.deliver(study)
        return series_id

    def deliver(
        self,
        study: int = 1,
        action: Action = Action.DONE,
        *,
        destination: Destination = PACS,
        seconds: float = 14,
        again: float | None = None,
    ) -> int:
        """Claim what is due and save one outcome for all of it; return how many objects that were."""
        batch = self.repository.claim_deliveries(
            int(self.study(study)["study_id"]), str(destination), now=at(seconds), lease_s=60
        )
        assert batch is not None
        next_attempt_at = None if again is None else at(again)
        for delivery_id, outcome in outcomes(batch, action):
            self.repository.save_outcome(delivery_id, outcome, at(seconds), next_attempt_at=next_attempt_at)
        return len(batch.objects)

    def study(self, study: int = 1) -> Any:
        found = self.repository.study(study_uid(study))
        assert found is not None
        return found

    def series(self, series_id: int, study: int = 1) -> Any:
        return next(each for each in self.study(study)["series"] if each["series_id"] == series_id)

    def state(self, series_id: int, study: int = 1) -> tuple[str, int]:
        """State and revision of a series."""
        found = self.series(series_id, study)
        return found["state"], found["revision"]


@pytest.fixture
def site(repository: SqlStudyRepository) -> Site:
    return Site(repository)
