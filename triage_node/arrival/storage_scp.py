"""The Storage and Verification SCP: what a scanner sends is on disk before it reads Success.

In: associations of allowed peers. Out: one ``StoredInstance`` an acknowledged instance, one ``QuarantinedObject`` a refused
one, and the opening and end of every association, to the callbacks that the caller gives; storage commitment is answered by
``StorageCommitment``, queries and workitems by ``FurtherServices``. Never: a stored dataset decoded or encoded again,
a Success before the disk has confirmed, an exception of a callback that reaches the peer, a patient
identifier in a log line. Answers to PS3.4 Annex A (Verification) and Annex B (Storage), PS3.7 9.1 and PS3.8 9.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from triage_node.arrival.acceptor import Acceptor, SharedContexts, abandon_unrequested
from triage_node.arrival.association_register import AssociationRegister, OnEnded, OnOpened, described_peer
from triage_node.arrival.c_store import CStore, HeaderReader
from triage_node.arrival.connection_rate import ConnectionRate
from triage_node.arrival.further_services import FurtherServices, Service, service_contexts
from triage_node.arrival.message_limits import message_bound
from triage_node.arrival.peer_policy import PeerPolicy
from triage_node.arrival.storage_commitment import StorageCommitment
from triage_node.core.commitment import STORAGE_COMMITMENT_PUSH_MODEL
from triage_node.core.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, TRANSFER_SYNTAXES
from triage_node.core.dimse_status import PROCESSING_FAILURE
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.ports import QuarantinedObject, Spool, StoredInstance

_log = structlog.get_logger()

_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False  # queries and answers name patients
_config.LOG_HANDLER_LEVEL = "none"  # its handlers format every PDU, and their debug lines hold patient identifiers


@dataclass(frozen=True)
class Limits:
    """What one SCP process spends on its peers.

    Attributes
    ----------
    maximum_associations
        Served at once; one more is rejected as transient, local limit exceeded (PS3.8 9.3.4). At most 400, because
        pynetdicom waits with select(2), which knows 1024 file descriptors. Several processes can share the port.
    connections_per_s
        Connections of one address in the long run; see ``ConnectionRate``.
    maximum_pdu_bytes
        Longest P-DATA-TF that we announce to take (PS3.8 D.1).
    maximum_dataset_bytes
        A longer dataset is answered 0xA700 and not kept.
    association_timeout_s
        Longest wait for the request after a connection and for the end of a release (the ARTIM timer, PS3.8 9.1.5).
    network_timeout_s
        Longest silence of a peer in an association, after which it is aborted.
    """

    maximum_associations: int = 64
    maximum_pdu_bytes: int = 262_144
    maximum_dataset_bytes: int = 1_073_741_824
    connections_per_s: float = 50.0
    association_timeout_s: float = 30.0
    network_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.maximum_associations <= 400:
            raise ConfigurationRejected(f"associations at once must be 1 to 400, not {self.maximum_associations}")


@functools.cache
def supported_contexts(further: tuple[str, ...] = ()) -> SharedContexts:
    """Return Verification, Storage Commitment and every standard Storage SOP class with the transfer syntaxes that we keep.

    ``further`` are the SOP classes of ``FurtherServices``.

    Classes are listed, not taken unseen: with pynetdicom's unrestricted service a peer could hand over objects in transfer
    syntaxes that no later station can read, and learn of it from nobody.
    """
    syntaxes = list(TRANSFER_SYNTAXES)
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    commitment = build_context(STORAGE_COMMITMENT_PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    commitment.scu_role = commitment.scp_role = True  # senders ask us; archives that we asked report to us
    storage = [build_context(uid, syntaxes) for uid in classes]
    return SharedContexts([build_context(Verification), commitment, *service_contexts(further), *storage])


@functools.cache
def query_contexts(further: tuple[str, ...]) -> SharedContexts:
    """Return what is offered to a peer that may ask, but not send."""
    return SharedContexts([build_context(Verification), *service_contexts(further)])


class StorageScp:
    """Listens from ``start`` to ``shutdown``.

    Parameters
    ----------
    ae_title, host, port
        Our AE title and where we listen; port 0 takes a free one, see ``port``.
    spool, read_header, on_stored, on_quarantined
        See ``CStore``.
    on_association_opened, on_association_ended
        See ``AssociationRegister``.
    commitment
        Answers for storage commitment; without one such requests fail.
    services, query_policy
        What else is answered on this port, and by whom it may be used; see ``FurtherServices``.
    policy
        Who may call; without one every title from this machine and nobody else.
    tls
        Context for TLS, None for plain TCP.
    reuse_port
        Share the port with other processes (SO_REUSEPORT); the kernel spreads associations over them.
    """

    def __init__(
        self,
        *,
        ae_title: str,
        host: str,
        port: int,
        spool: Spool,
        read_header: HeaderReader,
        on_stored: Callable[[StoredInstance], None],
        on_quarantined: Callable[[QuarantinedObject], None],
        on_association_opened: OnOpened,
        on_association_ended: OnEnded,
        commitment: StorageCommitment | None = None,
        services: Collection[Service] = (),
        query_policy: PeerPolicy | None = None,
        policy: PeerPolicy | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        reuse_port: bool = False,
    ) -> None:
        self._address = (host, port)
        self._policy = policy or PeerPolicy(called_ae_title=ae_title)
        self._limits = limits or Limits()
        self._tls = tls
        self._reuse_port = reuse_port
        self._commitment = commitment
        self._further = FurtherServices(services, query_policy)
        self._c_store = CStore(spool, read_header, on_stored, on_quarantined)
        self._register = AssociationRegister(on_association_opened, on_association_ended)
        self._entity = self._application_entity(ae_title)
        self._acceptor: Acceptor | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is bound; the one that was asked for before ``start``."""
        return int(self._acceptor.server_address[1]) if self._acceptor else self._address[1]

    @property
    def open_associations(self) -> int:
        """How many associations are established now."""
        return self._register.count()

    def start(self) -> None:
        """Bind and serve on a thread of its own.

        Raises
        ------
        OSError
            The port is taken or not allowed to this user.
        """
        limits = self._limits
        acceptor = Acceptor(
            self._entity,
            self._address,
            supported_contexts(self._further.sop_classes),
            self._handlers(),
            tls=self._tls,
            reuse_port=self._reuse_port,
            network_timeout_s=limits.network_timeout_s,
            maximum_connections=2 * limits.maximum_associations,
            rate=ConnectionRate(limits.connections_per_s),
            on_turn=self._register.end_dead,
        )
        self._acceptor = acceptor
        self._thread = threading.Thread(target=acceptor.serve_forever, args=(0.2,), name="storage-scp", daemon=True)
        self._thread.start()
        _log.info("storage_scp_started", ae_title=self._entity.ae_title, host=self._address[0], port=self.port)

    def shutdown(self, grace_s: float = 0.0) -> None:
        """Take no new connections, give open associations ``grace_s`` seconds to end, then abort them."""
        if self._acceptor is None or self._thread is None:
            return
        self._acceptor.shutdown()
        self._thread.join()
        self._acceptor = self._thread = None
        deadline = time.monotonic() + grace_s
        while self._register.count() and time.monotonic() < deadline:
            time.sleep(0.02)
            self._register.end_dead()
        if self._commitment is not None:
            self._commitment.stop()
        self._entity.shutdown()
        self._register.end_dead()
        _log.info("storage_scp_stopped", ae_title=self._entity.ae_title)

    def _application_entity(self, ae_title: str) -> AE:
        entity = AE(ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.maximum_associations = self._limits.maximum_associations
        entity.maximum_pdu_size = self._limits.maximum_pdu_bytes
        entity.acse_timeout = self._limits.association_timeout_s
        entity.dimse_timeout = self._limits.network_timeout_s
        entity.network_timeout = self._limits.network_timeout_s
        return entity

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_REQUESTED, self._screen),
            (evt.EVT_REJECTED, self._log_rejected),
            (evt.EVT_ESTABLISHED, self._register.opened),
            (evt.EVT_ACSE_SENT, self._register.release_answered),
            (evt.EVT_ABORTED, self._register.aborted),
            (evt.EVT_CONN_CLOSE, abandon_unrequested),
            (evt.EVT_PDU_RECV, message_bound(self._limits.maximum_dataset_bytes)),
            (evt.EVT_C_STORE, self._answer_store),
            (evt.EVT_C_ECHO, self._answer_echo),
            (evt.EVT_N_ACTION, self._answer_action),
            (evt.EVT_N_EVENT_REPORT, self._answer_report),
            (evt.EVT_C_FIND, self._answer_find),
            (evt.EVT_N_GET, functools.partial(self._answer_operation, "get")),
            (evt.EVT_N_SET, functools.partial(self._answer_operation, "set")),
            (evt.EVT_N_CREATE, functools.partial(self._answer_operation, "create")),
        ]

    def _screen(self, event: Event) -> None:
        """Reject a stranger before anything is negotiated; offer to others what they may use."""
        peer = described_peer(event.assoc)
        rejection = self._policy.rejection(peer.calling_ae_title, peer.called_ae_title, peer.address)
        may_query = self._further.may_use(peer, may_send=rejection is None)
        if rejection is None or may_query:
            if rejection is not None:
                event.assoc.acceptor.supported_contexts = query_contexts(self._further.sop_classes)
            elif not may_query:
                event.assoc.acceptor.supported_contexts = supported_contexts()
            return
        if self._policy.is_ourselves(peer.calling_ae_title, peer.called_ae_title, peer.address):
            event.assoc.acceptor.supported_contexts = query_contexts(())  # to be seen alive, with no entry in the peers
            return
        _log.warning(
            "association_rejected",
            reason=rejection.detail,
            calling_ae_title=peer.calling_ae_title,
            called_ae_title=peer.called_ae_title,
            address=peer.address,
        )
        event.assoc.acse.send_reject(rejection.result, rejection.source, rejection.reason)
        event.assoc.kill()  # waits until the rejection is on its way; else the socket closes under it

    def _log_rejected(self, event: Event) -> None:
        peer = described_peer(event.assoc)
        _log.warning(
            "association_rejected",
            reason="too many associations",
            calling_ae_title=peer.calling_ae_title,
            address=peer.address,
        )

    def _answer_store(self, event: Event) -> int:
        return self._c_store.answer(event, self._register.peer(event.assoc))

    def _answer_find(self, event: Event) -> Iterator[tuple[Any, Dataset | None]]:
        return self._further.find(event, self._register.peer(event.assoc))

    def _answer_operation(self, operation: str, event: Event) -> tuple[int, Dataset | None]:
        return self._further.operate(operation, event, self._register.peer(event.assoc))

    def _answer_action(self, event: Event) -> tuple[int, Dataset | None]:
        if str(event.context.abstract_syntax) != STORAGE_COMMITMENT_PUSH_MODEL:
            return self._answer_operation("action", event)
        if self._commitment is None:
            return PROCESSING_FAILURE.code, None
        return self._commitment.answer_action(event, self._register.peer(event.assoc))

    def _answer_report(self, event: Event) -> tuple[int, None]:
        return self._commitment.answer_report(event) if self._commitment else (PROCESSING_FAILURE.code, None)

    def _answer_echo(self, event: Event) -> int:
        peer = self._register.peer(event.assoc)
        _log.info("echo_answered", calling_ae_title=peer.calling_ae_title, address=peer.address)
        return 0x0000
