"""Studies of today in the real repository, taken as far as a page needs them: no files, no network, no cascade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes.slices import head, peer
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.core.reason import Reason, Refusal
from triage_node.worklist.repository import SqlStudyRepository

PACS = Destination.of_peer(PeerAddress("PACS", "127.0.0.1", 11113))


def finding(probability: float = 0.93, present: Sequence[str] = ("SDH", "SAH"), slices: int = 28) -> Finding:
    """A reading, flagged at 0.5 or above; the upper half of the slices carries the flag."""
    flagged = probability >= 0.5
    subtypes = {name: 0.88 if name in present else 0.07 for name in SUBTYPES} if flagged else None
    scores = (
        SliceFinding(f"1.2.3.1.{index + 1}", probability, subtypes, True)
        if flagged and index >= slices // 2
        else SliceFinding(f"1.2.3.1.{index + 1}", 0.04, None, False)
        for index in range(slices)
    )
    return Finding(
        ich_probability=probability,
        flagged=flagged,
        subtypes=subtypes,
        subtypes_present=tuple(present) if flagged else (),
        slices=tuple(scores),
        model_name="made_up",
        model_version="1.0",
        weights_sha256="a" * 64,
        operating_point="balanced",
        operating_threshold=0.5,
        elapsed_ms=180.0,
    )


class Studies:
    """Makes studies; each step takes the study's UID and goes on from the step before it."""

    def __init__(self, repository: SqlStudyRepository) -> None:
        self.repository = repository
        self._made = 0

    def arrive(self, *, minutes_ago: float = 0.0, **values: Any) -> str:
        """Store the slices of a head, release the association, and return the study's UID."""
        self._made += 1
        number = self._made
        uid = f"1.2.826.0.1.{number}"
        received_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        told = {
            "patient_name": f"Doe^Jane{number}",
            "patient_id": f"MRN{number:04}",
            "accession_number": f"A{number:04}",
            "study_date": f"{received_at:%Y%m%d}",
            "study_time": f"{received_at:%H%M%S}",
            "study_description": "CT head without contrast",
        }
        association = f"association-{number}"
        self.repository.open_association(peer(association), received_at)
        self.repository.add_instances(head(received_at, study=uid, association=association, **(told | values)))
        self.repository.end_association(association, received_at + timedelta(seconds=4), aborted=False)
        return uid

    def close(self, uid: str) -> int:
        """Close its series and return that one's id."""
        series_id = int(self._series(uid)["series_id"])
        self.repository.close_series(series_id, 1, self._moment(uid, 5))
        return series_id

    def classify(self, uid: str, probability: float = 0.93, present: Sequence[str] = ("SDH", "SAH")) -> int:
        """Close and read it."""
        series_id = self.close(uid)
        self.repository.claim(series_id, 1, now=self._moment(uid, 5), lease_s=60)
        self.repository.save_finding(series_id, 1, finding(probability, present), self._moment(uid, 6))
        return series_id

    def evidence(self, uid: str, probability: float = 0.93, present: Sequence[str] = ("SDH", "SAH")) -> int:
        """Read it and put a report and a heatmap into the outbox for a PACS."""
        series_id = self.classify(uid, probability, present)
        kinds = (("SR", 1), ("SC", 1))
        objects = [_object(uid, kind, number) for kind, number in kinds]
        self.repository.save_evidence(series_id, 1, objects, (PACS,), self._moment(uid, 7))
        return series_id

    def forward(self, uid: str, probability: float = 0.93, present: Sequence[str] = ("SDH", "SAH")) -> int:
        """Read it and have the PACS take everything."""
        series_id = self.evidence(uid, probability, present)
        self.deliver(uid)
        return series_id

    def deliver(self, uid: str, action: Action = Action.DONE) -> None:
        """Have the PACS answer to all that is due."""
        study_id = int(self._study(uid)["study_id"])
        now = self._moment(uid, 8)
        batch = self.repository.claim_deliveries(study_id, PACS.name, now=now, lease_s=60)
        assert batch is not None
        for delivery_id, each in batch.objects:
            outcome = SendOutcome(each.sop_instance_uid, action, 0, action.value)
            self.repository.save_outcome(delivery_id, outcome, now, next_attempt_at=None)

    def decline(self, uid: str, reason: Reason = Reason.CONTRAST, detail: str = "") -> int:
        """Close it and refuse to read it."""
        series_id = self.close(uid)
        self.repository.decline(series_id, 1, Refusal(reason, detail), self._moment(uid, 6))
        return series_id

    def _study(self, uid: str) -> Any:
        found = self.repository.study(uid)
        assert found is not None
        return found

    def _series(self, uid: str) -> Any:
        return self._study(uid)["series"][0]

    def _moment(self, uid: str, seconds: float) -> datetime:
        return datetime.fromisoformat(self._study(uid)["received_at"]) + timedelta(seconds=seconds)


def _object(uid: str, kind: str, number: int) -> EvidenceObject:
    return EvidenceObject(
        kind=kind,
        number=number,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid=f"2.25.{uid.rsplit('.', 1)[1]}.{kind == 'SR':d}.{number}",
        series_instance_uid=f"2.25.{uid.rsplit('.', 1)[1]}",
        study_instance_uid=uid,
        path=Path(f"/evidence/{uid}.{kind}.{number}.dcm"),
    )
