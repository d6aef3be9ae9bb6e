"""The Storage SCU: hands objects to a peer and says of each what became of it.

In: a peer and files in the DICOM File Format. Out: one outcome an object, in order. A file whose transfer syntax the peer
takes goes out byte for byte as it lies on disk; Explicit and Implicit VR are converted where the peer takes only the other;
pixels are never decompressed or compressed. Never: an exception for what a peer or a network does to a C-STORE.
Answers to PS3.4 Annex B, PS3.7 9.1.1.
"""

from __future__ import annotations

import copy
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action, classified
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.outgoing import NotSendable, OutgoingInstance, batches, proposals
from triage_node.forwarding.requestor import NothingAccepted, PeerUnreachable, Requestor

__all__ = ["PeerUnreachable", "StorageScu"]

_log = structlog.get_logger()

_config.STORE_SEND_CHUNKED_DATASET = True  # a path is sent as the bytes that lie there, never decoded

_CONTEXT_RESULTS = {
    1: "user rejection",
    2: "no reason given",
    3: "abstract syntax not supported",
    4: "transfer syntaxes not supported",
}
"""PS3.8 Table 9-18."""
_LASTING_RESULTS = frozenset({3, 4})
"""Results that another attempt will not change; the other two may be a peer that is starting up."""


class NoAnswer(PeerUnreachable):
    """The peer keeps the association and says nothing."""


class AssociationLost(PeerUnreachable):
    """The association ended between a request and its answer."""


class StorageScu:
    """C-STORE, and C-ECHO to see whether it could be.

    Parameters
    ----------
    calling_ae_title, connect_timeout_s, association_timeout_s, dimse_timeout_s, tls, own
        See ``Requestor``.
    """

    def __init__(
        self,
        calling_ae_title: str,
        *,
        connect_timeout_s: float = 5.0,
        association_timeout_s: float = 30.0,
        dimse_timeout_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
        own: OwnCertificate | None = None,
    ) -> None:
        self._requestor = Requestor(
            calling_ae_title, connect_timeout_s, association_timeout_s, dimse_timeout_s, tls, own
        )

    def secured(self, destination: Destination) -> StorageScu:
        """Return the SCU for a destination; see ``Requestor.secured``."""
        secured = copy.copy(self)
        secured._requestor = self._requestor.secured(destination)
        return secured

    def send(self, peer: PeerAddress, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send all objects; one outcome an object, in order. An unreachable peer is TRY_AGAIN for all."""
        outcomes = list(self.send_files(peer, [each.path for each in objects]))
        return [
            SendOutcome(each.sop_instance_uid, outcome.action, outcome.status_code, outcome.detail, outcome.answered)
            for each, outcome in zip(objects, outcomes, strict=True)
        ]

    def send_files(self, peer: PeerAddress, paths: Iterable[Path]) -> Iterator[SendOutcome]:
        """Send any DICOM files and yield one outcome a file, in order, as they come.

        Contexts are proposed for the files' own SOP classes and transfer syntaxes, over as many associations as 128
        contexts each allow. A file that is not DICOM is GIVE_UP with the reason; the others go on.
        """
        read = [_read(path) for path in paths]
        outcomes = self._send(peer, [each for each in read if isinstance(each, OutgoingInstance)])
        for each in read:
            yield each if isinstance(each, SendOutcome) else next(outcomes)
        next(outcomes, None)  # lets the last association be released

    def echo(self, peer: PeerAddress) -> None:
        """Verify the peer with C-ECHO (PS3.4 Annex A).

        Raises
        ------
        PeerUnreachable
            No association, no answer, or another status than Success.
        """
        with self._requestor.association(peer, [build_context(Verification)]) as association:
            status = association.send_c_echo()
            code = status.get("Status")
            if code is None:
                raise NoAnswer(f"{peer}: no answer to C-ECHO")
            if status.Status != 0x0000:
                raise PeerUnreachable(f"{peer}: C-ECHO answered 0x{status.Status:04X}")

    def _send(self, peer: PeerAddress, instances: Sequence[OutgoingInstance]) -> Iterator[SendOutcome]:
        for run, contexts in batches(instances):
            yield from self._send_run(peer, run, contexts)

    def _send_run(
        self, peer: PeerAddress, run: Sequence[OutgoingInstance], contexts: list[PresentationContext]
    ) -> Iterator[SendOutcome]:
        """Send what fits one association.

        After an abort the rest goes over a new association, so that one object that a peer cannot stomach does not hold
        back those behind it at every attempt. After silence nothing more is tried: each attempt would cost a time-out.
        """
        sent = 0
        try:
            while sent < len(run):
                try:
                    with self._requestor.association(peer, contexts) as association:
                        while sent < len(run):
                            outcome = self._sent(peer, association, run[sent])
                            sent += 1
                            yield outcome
                except AssociationLost as lost:
                    yield SendOutcome(run[sent].sop_instance_uid, Action.TRY_AGAIN, None, str(lost), answered=False)
                    sent += 1
        except NothingAccepted as nothing:
            for instance in run[sent:]:
                yield _refused(instance, dict(nothing.results))
        except PeerUnreachable as unreachable:
            _log.warning("peer_unreachable", peer=str(peer), detail=str(unreachable))
            for instance in run[sent:]:
                yield SendOutcome(instance.sop_instance_uid, Action.TRY_AGAIN, None, str(unreachable), answered=False)

    def _sent(self, peer: PeerAddress, association: Association, instance: OutgoingInstance) -> SendOutcome:
        """Send one instance.

        Raises
        ------
        AssociationLost, NoAnswer
            There was no status.
        """
        accepted = {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts}
        if accepted.isdisjoint(proposals(instance)):
            results = {str(each.abstract_syntax): int(each.result or 0) for each in association.rejected_contexts}
            return _refused(instance, results)
        as_it_is = instance.meta_agrees and (instance.sop_class_uid, instance.transfer_syntax_uid) in accepted
        asked_at = time.monotonic()
        try:
            status = association.send_c_store(instance.path if as_it_is else dcmread(instance.path))
        except Exception as error:
            if not association.is_established:
                raise AssociationLost(f"{peer}: association ended before the object was sent") from error
            _log.exception("instance_not_sent", peer=str(peer), sop_instance_uid=instance.sop_instance_uid)
            return SendOutcome(instance.sop_instance_uid, Action.GIVE_UP, None, f"could not be encoded: {error}")
        if "Status" not in status:
            if time.monotonic() - asked_at >= self._requestor.dimse_timeout_s:
                raise NoAnswer(f"{peer}: no answer to C-STORE within {self._requestor.dimse_timeout_s:g} s")
            raise AssociationLost(f"{peer}: association aborted before the answer")
        return _answered(peer, instance, status)


def _read(path: Path) -> OutgoingInstance | SendOutcome:
    try:
        return OutgoingInstance.read(path)
    except NotSendable as reason:
        return SendOutcome("", Action.GIVE_UP, None, str(reason), answered=False)


def _answered(peer: PeerAddress, instance: OutgoingInstance, status: Dataset) -> SendOutcome:
    meaning = classified(status.Status)
    comment = f" ({status.ErrorComment})" if status.get("ErrorComment") else ""
    uid = instance.sop_instance_uid
    _log.info("instance_sent", peer=str(peer), sop_instance_uid=uid, status=f"0x{meaning.code:04X}")
    return SendOutcome(uid, meaning.action, meaning.code, f"0x{meaning.code:04X} {meaning.name}{comment}")


def _refused(instance: OutgoingInstance, results: dict[str, int]) -> SendOutcome:
    result = results.get(instance.sop_class_uid, 4)
    name = UID(instance.sop_class_uid).name
    syntax = UID(instance.transfer_syntax_uid).name
    return SendOutcome(
        instance.sop_instance_uid,
        Action.GIVE_UP if result in _LASTING_RESULTS else Action.TRY_AGAIN,
        None,
        f"peer refused SOP class {name} in {syntax}: {_CONTEXT_RESULTS.get(result, f'result {result}')}",
    )
