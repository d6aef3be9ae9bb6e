"""What sends, and what asks for and answers storage commitment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triage_node.core.destination import DestinationKind
from triage_node.core.identifiers import PeerAddress
from triage_node.settings import Settings

if TYPE_CHECKING:
    from triage_node.arrival.storage_commitment import StorageCommitment
    from triage_node.core.ports import Sender
    from triage_node.forwarding.client_tls import OwnCertificate
    from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu
    from triage_node.forwarding.storage_scu import StorageScu
    from triage_node.pipeline.steps import StudyPath


def own_certificate(settings: Settings) -> OwnCertificate | None:
    """Return what proves to destinations who we are: the certificate that the SCP shows too."""
    from triage_node.forwarding.client_tls import OwnCertificate

    return None if settings.tls_certificate is None else OwnCertificate(settings.tls_certificate, settings.tls_key)


def storage_scu(settings: Settings, *, to_ourselves: bool = False) -> StorageScu:
    """Return the station that sends; to this node's own port over TLS, where that port speaks it."""
    from triage_node.forwarding.client_tls import context_for_ourselves
    from triage_node.forwarding.storage_scu import StorageScu

    own = own_certificate(settings)
    return StorageScu(
        settings.ae_title,
        connect_timeout_s=settings.connect_timeout_s,
        association_timeout_s=settings.dimse_timeout_s,
        dimse_timeout_s=settings.dimse_timeout_s,
        tls=context_for_ourselves(own) if own and to_ourselves else None,
        own=own,
    )


def commitment_scu(settings: Settings) -> StorageCommitmentScu:
    """Return the station that asks for storage commitment, and reports it."""
    from triage_node.forwarding.requestor import Requestor
    from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu

    timeouts = settings.connect_timeout_s, settings.dimse_timeout_s, settings.dimse_timeout_s
    requestor = Requestor(settings.ae_title, *timeouts, own=own_certificate(settings))
    return StorageCommitmentScu(requestor)


def storage_commitment(settings: Settings, path: StudyPath) -> StorageCommitment:
    """Return what answers storage commitment in the SCP's process."""
    from triage_node.arrival.storage_commitment import StorageCommitment
    from triage_node.forwarding.storage_commitment_scu import event_report
    from triage_node.pipeline.commitments import CommitmentPath

    peers = (PeerAddress.parse(text) for text in settings.commitment_peers)
    return StorageCommitment(
        path.repository.kept_instances,
        event_report,
        commitment_scu(settings).report,
        CommitmentPath(path).received,
        {peer.ae_title: peer for peer in peers},
    )


def senders(settings: Settings) -> Mapping[DestinationKind, Sender]:
    """Return one sender for each kind of destination."""
    from triage_node.forwarding.dicom_sender import DicomSender
    from triage_node.forwarding.hl7_mllp import MllpSender
    from triage_node.forwarding.http_post import FhirSender, WebhookSender
    from triage_node.forwarding.stow_rs import StowSender

    waits = (settings.connect_timeout_s, settings.dimse_timeout_s)
    own = own_certificate(settings)
    return {
        DestinationKind.DICOM: DicomSender(storage_scu(settings)),
        DestinationKind.STOW: StowSender(*waits, own=own),
        DestinationKind.HL7: MllpSender(*waits, own=own),
        DestinationKind.WEBHOOK: WebhookSender(*waits, own=own),
        DestinationKind.FHIR: FhirSender(*waits, own=own),
    }
