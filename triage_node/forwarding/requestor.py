"""Associations that this node asks for: opened with one peer, bounded in time, always ended.

In: a peer and presentation contexts. Out: an established association, or ``PeerUnreachable`` with what the peer or the
network did. Answers to PS3.8 7.1 (A-ASSOCIATE) and 9.3.4 (A-ASSOCIATE-RJ).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from triage_node.core.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from triage_node.core.destination import Destination
from triage_node.core.errors import Transient
from triage_node.core.identifiers import PeerAddress
from triage_node.forwarding.client_tls import OwnCertificate, TlsFileUnreadable, client_context
from triage_node.forwarding.kept_answers import KeptAnswers

_config.LOG_HANDLER_LEVEL = "none"  # its handlers format every PDU, and their debug lines hold patient identifiers


RELEASE_TIMEOUT_S = 5.0
"""Some archives close the connection instead of answering A-RELEASE; all is stored by then, so that nothing waits for it."""


class PeerUnreachable(Transient):
    """No association with the peer: no connection, a rejection, an abort or silence."""


class NothingAccepted(PeerUnreachable):
    """The peer answered and accepted none of the presentation contexts.

    Attributes
    ----------
    results
        (SOP class, result) of each context, results as in PS3.8 Table 9-18.
    """

    def __init__(self, message: str, results: tuple[tuple[str, int], ...]) -> None:
        super().__init__(message)
        self.results = results


class PromptSocket(AssociationSocket):
    """Acknowledges at once what it reads.

    DCMTK, and Orthanc with it, writes a PDU in two pieces and leaves Nagle's algorithm on, so that the second piece waits
    for the acknowledgement of the first, which Linux delays by 40 ms: eleven objects took 550 ms instead of 100 ms.
    """

    def recv(self, nr_bytes: int) -> bytearray:
        """Return ``nr_bytes`` bytes, or fewer where the peer closed the connection."""
        if self.socket is not None and hasattr(socket, "TCP_QUICKACK"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(nr_bytes)


@dataclass(frozen=True)
class Requestor:
    """Opens associations under one calling AE title.

    Attributes
    ----------
    connect_timeout_s
        Longest wait for TCP (and TLS) to stand.
    association_timeout_s
        Longest wait for the answer to A-ASSOCIATE and to A-RELEASE.
    dimse_timeout_s
        Longest wait for the answer to a request, and longest standstill while one is being sent.
    tls
        Context for TLS, None for plain TCP.
    own
        What proves to a destination who we are, where it is spoken to over TLS.
    """

    calling_ae_title: str
    connect_timeout_s: float = 5.0
    association_timeout_s: float = 30.0
    dimse_timeout_s: float = 30.0
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    own: OwnCertificate | None = None

    def secured(self, destination: Destination) -> Requestor:
        """Return the requestor for a destination: with TLS where it names the authorities that its certificate descends from.

        Raises
        ------
        PeerUnreachable
            A file cannot be read; somebody will put it there.
        """
        if destination.tls_ca_file is None:
            return self
        try:
            context = client_context(destination, self.own)
        except TlsFileUnreadable as error:
            raise PeerUnreachable(f"{destination}: {error}") from error
        return replace(self, tls=context)

    @contextmanager
    def association(
        self,
        peer: PeerAddress,
        contexts: list[PresentationContext],
        *,
        handlers: Sequence[evt.EventHandlerType] = (),
        negotiation: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    ) -> Iterator[Association]:
        """Open an association, and release it at the end of the block (abort it where the block raises).

        ``handlers`` answer requests of the peer; ``negotiation`` proposes roles (PS3.7 D.3.3.4).

        Raises
        ------
        PeerUnreachable
            Says whether the peer could not be connected, rejected (with the reason of PS3.8 9.3.4) or gave no answer.
        """
        association = self._requested(peer, contexts, handlers, negotiation)
        try:
            yield association
        except Exception:
            if association.is_established:
                association.abort()
            raise
        finally:
            if association.is_established:
                association.acse_timeout = min(self.association_timeout_s, RELEASE_TIMEOUT_S)
                association.release()

    def _requested(
        self,
        peer: PeerAddress,
        contexts: list[PresentationContext],
        handlers: Sequence[evt.EventHandlerType],
        negotiation: Sequence[SCP_SCU_RoleSelectionNegotiation],
    ) -> Association:
        connected: list[bool] = []
        rejections: list[str] = []

        def on_pdu(event: Event) -> None:
            if isinstance(event.pdu, A_ASSOCIATE_RJ):
                with suppress(ValueError):  # of a result or reason that PS3.8 does not know
                    rejections.append(f"{event.pdu.result_str}, {event.pdu.reason_str}")

        def on_connected(event: Event) -> None:
            connected.append(True)
            self._bound_socket(event.assoc)
            event.assoc.dimse.__class__ = KeptAnswers  # in place: both of its threads have this one

        try:
            association = self._entity().associate(
                peer.host,
                peer.port,
                contexts=contexts,
                ae_title=peer.ae_title,
                tls_args=(self.tls, peer.host) if self.tls else None,
                evt_handlers=[(evt.EVT_CONN_OPEN, on_connected), (evt.EVT_PDU_RECV, on_pdu), *handlers],
                ext_neg=list(negotiation),
            )
        except OSError as error:  # the name does not resolve, or no socket could be made
            raise PeerUnreachable(f"{peer}: {error.strerror or error}") from error
        if association.is_established:
            return association
        raise self._failure(peer, association, connected=bool(connected), rejections=rejections)

    def _failure(
        self, peer: PeerAddress, association: Association, *, connected: bool, rejections: Sequence[str]
    ) -> PeerUnreachable:
        if not connected:
            return PeerUnreachable(f"{peer}: no connection (refused, or no answer within {self.connect_timeout_s:g} s)")
        # not the association's own word: it says "aborted" where the peer rejects and hangs up before its thread looks again
        if rejections:
            return PeerUnreachable(f"{peer}: association rejected: {rejections[0]}")
        if association.rejected_contexts and not association.accepted_contexts:
            results = tuple(
                (str(each.abstract_syntax), int(each.result or 0)) for each in association.rejected_contexts
            )
            return NothingAccepted(f"{peer}: no presentation context accepted", results)
        return PeerUnreachable(
            f"{peer}: connected, but the association was aborted or not answered within {self.association_timeout_s:g} s"
        )

    def _entity(self) -> AE:
        entity = AE(self.calling_ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.connection_timeout = self.connect_timeout_s
        entity.acse_timeout = self.association_timeout_s
        entity.dimse_timeout = self.dimse_timeout_s
        # the reactor aborts on this silence, so it must not come before the answer is overdue
        entity.network_timeout = self.dimse_timeout_s + self.association_timeout_s
        return entity

    def _bound_socket(self, association: Association) -> None:
        """Let no standstill of the peer block a thread: pynetdicom takes the time-out away once it is connected."""
        wrapped = association.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            wrapped.socket.settimeout(self.dimse_timeout_s)
            wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped.__class__ = PromptSocket  # in place: the state machine already knows this one as connected
