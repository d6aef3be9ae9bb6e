"""Messages as further kinds of evidence: written beside the DICOM objects of the same reading, sent from the same outbox.

In: a reading or a refusal, and the objects made of it. Out: files ``STUDY/MESSAGE_UID.hl7`` or ``.json`` whose bytes are the
message, ready to be sent as often as it takes. They are what the reading said when it was made, whatever is asked later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triage_node.core.destination import OBJECT_KINDS, Destination
from triage_node.core.finding import Finding
from triage_node.core.ports import EvidenceObject
from triage_node.core.reason import Refusal
from triage_node.evidence.durable_file import write_bytes_durably
from triage_node.evidence.fhir_report import transaction_bundle
from triage_node.evidence.hl7_report import oru_r01
from triage_node.evidence.message import Message, message
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.source_series import SourceSeries
from triage_node.evidence.webhook_report import webhook_document

SUFFIXES: Mapping[str, str] = {"HL7": "hl7", "WEBHOOK": "json", "FHIR": "json"}
"""By kind of message, as in ``core.destination.OBJECT_KINDS``."""


def message_kinds(destinations: Collection[Destination]) -> frozenset[str]:
    """Return the kinds of messages that some destination takes: no other one is written.

    Examples
    --------
    >>> from triage_node.core.destination import DestinationKind
    >>> ris = Destination("ris", DestinationKind.HL7, "10.0.0.9:2575")
    >>> message_kinds([ris, Destination("pacs", DestinationKind.DICOM, "PACS@10.0.0.5:104")])
    frozenset({'HL7'})
    """
    taken = {kind for each in destinations for kind in each.objects or OBJECT_KINDS[each.kind]}
    return frozenset(taken & SUFFIXES.keys())


@dataclass(frozen=True)
class MessageFiles:
    """Writes the messages of one reading.

    Attributes
    ----------
    kinds
        Which are written.
    webhook_patient_id
        Whether webhooks tell the Patient ID.
    """

    kinds: frozenset[str] = frozenset()
    webhook_patient_id: bool = False

    def write(
        self,
        outcome: Finding | Refusal,
        series: SourceSeries,
        provenance: Provenance,
        folder: Path,
        *,
        text: str,
        predecessor_uid: str | None = None,
        evidence: Sequence[EvidenceObject] = (),
    ) -> list[EvidenceObject]:
        """Write each kind durably and return what was written; the caller fsyncs the folder.

        Parameters
        ----------
        folder
            Of the study.
        text
            The impression.
        predecessor_uid
            SOP Instance UID of the structured report that is superseded.
        evidence
            The DICOM objects of the same reading.
        """
        written = []
        for kind in sorted(self.kinds):
            told = message(
                outcome, series, provenance, kind=kind, text=text, predecessor_uid=predecessor_uid, evidence=evidence
            )
            path = folder / f"{told.message_uid}.{SUFFIXES[kind]}"
            write_bytes_durably(self._compose(kind)(told), path)
            written.append(_made(kind, told, provenance, path))
        return written

    def _compose(self, kind: str) -> Callable[[Message], bytes]:
        if kind == "WEBHOOK":
            return lambda told: webhook_document(told, with_patient_id=self.webhook_patient_id)
        return {"HL7": oru_r01, "FHIR": transaction_bundle}[kind]


def _made(kind: str, told: Message, provenance: Provenance, path: Path) -> EvidenceObject:
    """Name a message in the terms of the outbox; it has no SOP class."""
    return EvidenceObject(
        kind=kind,
        number=1,
        sop_class_uid="",
        sop_instance_uid=told.message_uid,
        series_instance_uid=provenance.series_instance_uid(kind),
        study_instance_uid=told.order.study_instance_uid,
        path=path,
    )
