"""The TCP side of the SCP: accepts connections and bounds what a connection may cost before and below DICOM.

In: a listening address and its limits. Out: pynetdicom associations whose sockets cannot block for ever, cannot announce
a PDU larger than the limit, and cannot hold up the accepting thread with a TLS handshake that never ends. Answers to
PS3.8 9.1 (TCP) and B.12 of PS3.15 (TLS).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from socketserver import TCPServer
from typing import Any

import structlog
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from triage_node.arrival.connection_rate import ConnectionRate
from triage_node.arrival.storing_association import StoringAssociation

_log = structlog.get_logger()

PDU_TYPES = frozenset(range(0x01, 0x08))
ASSOCIATE_REQUEST_BYTES = 1_048_576
"""No A-ASSOCIATE-RQ is longer: 128 presentation contexts with 60 transfer syntaxes each come to half of it. The maximum
length that we announce binds P-DATA only (PS3.8 D.1)."""


class SharedContexts(list[PresentationContext]):
    """Presentation contexts that all associations read and none changes.

    The server copies its contexts deeply for every connection; 180 classes with 16 transfer syntaxes each take longer
    than the storing of an instance.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedContexts:
        return self


class BoundedSocket(AssociationSocket):
    """Reads a PDU at one go, within a length and a time."""

    maximum_pdu_bytes: int = ASSOCIATE_REQUEST_BYTES
    pdu_timeout_s: float = 60.0
    is_foreign: bool = False
    header_is_next: bool = True

    def recv(self, nr_bytes: int) -> bytearray:
        """Return ``nr_bytes`` bytes, or fewer where there are no more to be had.

        Fewer make the state machine close the connection (Evt17, PS3.8 Table 9-10): the peer closed it, stood still
        longer than the time-out, announced more than the limit, or does not speak DICOM.
        """
        received = bytearray()
        is_header, self.header_is_next = self.header_is_next, not self.header_is_next  # asked for in turn with the rest
        if self.is_foreign:
            return received
        if nr_bytes > self.maximum_pdu_bytes:
            _log.warning("pdu_refused", address=self._peer_address, announced_bytes=nr_bytes)
            return received
        if self.socket is not None and hasattr(socket, "TCP_QUICKACK"):
            # DCMTK writes a PDU in two pieces, and with Nagle's algorithm on, the second waits for this acknowledgement,
            # which Linux may delay by 40 ms
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = bytearray(nr_bytes)
        filled = self._fill(received)
        del received[filled:]
        if is_header and filled and received[0] not in PDU_TYPES:
            self.is_foreign = True  # the rest of a web page is nobody's business
            _log.warning("not_dicom_received", address=self._peer_address, first_bytes=received.hex())
        return received

    def _fill(self, received: bytearray) -> int:
        deadline = time.monotonic() + self.pdu_timeout_s
        filled = 0
        with memoryview(received) as view:
            while filled < len(view) and self.socket is not None:
                try:
                    count = self.socket.recv_into(view[filled:])
                except TimeoutError:
                    count = 0
                    _log.warning("peer_stood_still", address=self._peer_address, timeout_s=self.pdu_timeout_s)
                except OSError as error:
                    count = 0
                    _log.info("connection_broken", address=self._peer_address, reason=str(error))
                filled += count
                if not count:
                    break
                if filled < len(view) and time.monotonic() > deadline:
                    _log.warning("peer_too_slow", address=self._peer_address, timeout_s=self.pdu_timeout_s)
                    break
        return filled

    @property
    def _peer_address(self) -> str:
        return str(self.assoc.requestor.address)


def abandon_unrequested(event: Event) -> None:
    """Handle ``EVT_CONN_CLOSE``: end the thread of a connection that closed without an association request.

    pynetdicom would let it wait for the request until the ARTIM time, and count it as an association meanwhile: a load
    balancer that knocks every second would then fill the node.
    """
    association = event.assoc
    if association.requestor.primitive is None and association.dul.to_user_queue.empty():
        _log.debug("connection_closed_unrequested", address=str(association.requestor.address))
        to_user_queue: Any = association.dul.to_user_queue
        to_user_queue.put(None)  # what the waiting thread gets when the time is over


class ConnectionHandler(RequestHandler):
    """Turns a connection into an association with a bounded socket."""

    server: Acceptor

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.__class__ = StoringAssociation  # the server knows no other way to make another class
        bounded = association.dul.socket
        assert bounded is not None
        # Exchanged in place: a second AssociationSocket would announce the connection to the state machine twice.
        bounded.__class__ = BoundedSocket
        assert isinstance(bounded, BoundedSocket)
        bounded.maximum_pdu_bytes = max(self.server.ae.maximum_pdu_size, ASSOCIATE_REQUEST_BYTES)
        bounded.pdu_timeout_s = self.server.network_timeout_s
        return association


class Acceptor(ThreadedAssociationServer):
    """Accepts connections, several processes on one port where ``reuse_port`` is set."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        contexts: SharedContexts,
        handlers: list[EventHandlerType],
        *,
        tls: ssl.SSLContext | None,
        reuse_port: bool,
        network_timeout_s: float,
        maximum_connections: int,
        rate: ConnectionRate,
        on_turn: Callable[[], None],
    ) -> None:
        self.reuse_port = reuse_port
        self.network_timeout_s = network_timeout_s
        self.maximum_connections = maximum_connections
        self.rate = rate
        self.on_turn = on_turn
        super().__init__(entity, address, entity.ae_title, contexts, tls, handlers, ConnectionHandler)

    def server_bind(self) -> None:
        """Bind, sharing the port with other processes where that is wanted."""
        assert self.socket is not None
        if self.reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection; a TLS handshake waits for the connection's own thread."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(self.network_timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take no more connections than can be told politely that there are too many associations."""
        if not self.rate.allows(client_address[0]):
            reason = "too many a second"
        elif len(self.active_associations) >= self.maximum_connections:
            reason = "too many at once"
        else:
            return True
        _log.warning("connection_refused", address=client_address[0], reason=reason)
        return False

    def shutdown(self) -> None:
        """Leave the accepting loop and close the listening socket."""
        TCPServer.shutdown(self)
        self.server_close()

    def service_actions(self) -> None:
        """Called about five times a second by the accepting loop."""
        super().service_actions()
        self.on_turn()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands where TLS is on, then start the association."""
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except OSError as error:
                _log.warning("tls_handshake_failed", address=client_address[0], reason=str(error))
                self.shutdown_request(request)
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what broke one connection; the others go on."""
        _log.exception("connection_failed", address=client_address[0])
