"""Destinations of kind hl7: ``core.ports.Sender`` over MLLP.

In: files that hold one HL7 v2 message each. Out: one outcome a message, in order, from the acknowledgement that names it.
Never: an exception for what a receiver or the network does; text of an acknowledgement in a log, because engines repeat
the field that they complain about, and that may be the patient's. Answers to HL7 v2.5.1 2.9.2 and the HL7 Minimal Lower
Layer Protocol, release 1.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from hl7apy.parser import get_message_info, parse_segment

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.hl7_acknowledgement import ERROR_NAMES, acknowledged
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.forwarding.client_tls import OwnCertificate, client_context

_log = structlog.get_logger()

START_BLOCK, END_BLOCK, CARRIAGE_RETURN = b"\x0b", b"\x1c", b"\x0d"
LONGEST_ACKNOWLEDGEMENT = 1024 * 1024

_VERSION = "2.5.1"
_CODE = re.compile(r"[A-Za-z0-9]{1,8}")


class ReceiverUnreachable(Transient):
    """No connection, silence, or the connection closed before an acknowledgement."""


class NoAcknowledgement(Transient):
    """The receiver answered something that does not acknowledge our message."""


@dataclass(frozen=True)
class Acknowledgement:
    """MSA-1, MSA-2 and the condition code of the first ERR, where there is one."""

    code: str
    control_id: str
    error_code: str | None

    def __str__(self) -> str:
        if self.error_code is None:
            return self.code
        return f"{self.code}, error {self.error_code} {ERROR_NAMES.get(self.error_code, '')}".rstrip()


@dataclass(frozen=True)
class MllpSender:
    """Sends messages one after the other over one connection.

    Attributes
    ----------
    connect_timeout_s
        Longest wait for TCP (and TLS) to stand.
    answer_timeout_s
        Longest wait for an acknowledgement, and longest standstill while a message is being sent.
    own
        What proves to a receiver who we are, where it is spoken to over TLS.
    """

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 30.0
    own: OwnCertificate | None = None

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send all messages; what follows one that was not acknowledged is not sent, but tried again."""
        outcomes: list[SendOutcome] = []
        try:
            with self._connection(destination) as connection:
                for each in objects:
                    outcomes.append(self._exchanged(connection, destination, each))
        except NoAcknowledgement as error:
            outcomes += _again(objects[len(outcomes) :], str(error), answered=True)
        except Transient as error:
            outcomes += _again(objects[len(outcomes) :], str(error), answered=False)
            _log.warning("peer_unreachable", peer=destination.name, detail=str(error))
        _log.info("messages_sent", peer=destination.name, answers=[each.detail for each in outcomes])
        return outcomes

    def verify(self, destination: Destination) -> str:
        """Connect and close again: MLLP knows nothing that asks without sending a message.

        Raises
        ------
        ReceiverUnreachable
            No connection.
        """
        with self._connection(destination):
            return "accepts connections"

    def _exchanged(self, connection: socket.socket, destination: Destination, each: EvidenceObject) -> SendOutcome:
        """Send one message and return what its acknowledgement says."""
        try:
            message = addressed(each.path.read_bytes(), destination)
        except OSError as error:
            detail = f"{each.path.name}: {error.strerror}"
            return SendOutcome(each.sop_instance_uid, Action.GIVE_UP, None, detail, answered=False)
        try:
            connection.settimeout(self.answer_timeout_s)
            connection.sendall(START_BLOCK + message + END_BLOCK + CARRIAGE_RETURN)
            answer = self._block(connection)
        except OSError as error:
            raise ReceiverUnreachable(f"no acknowledgement: {_shown(error)}") from error
        acknowledgement = read_acknowledgement(answer)
        if acknowledgement.control_id != _control_id(message):
            raise NoAcknowledgement("the acknowledgement is of another message")
        action = acknowledged(acknowledgement.code, acknowledgement.error_code)
        return SendOutcome(each.sop_instance_uid, action, None, str(acknowledgement))

    def _block(self, connection: socket.socket) -> bytes:
        """Return what stands between start and end block; the carriage return that should follow is not waited for."""
        received = bytearray()
        deadline = time.monotonic() + self.answer_timeout_s
        while END_BLOCK not in received:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(65536)
            if not piece:
                raise ReceiverUnreachable("the connection was closed before an acknowledgement")
            received += piece.lstrip(CARRIAGE_RETURN) if not received else piece  # the end of an earlier block
            if len(received) > LONGEST_ACKNOWLEDGEMENT or received[:1] not in (b"", START_BLOCK):
                raise NoAcknowledgement("the answer is no MLLP block")
        return bytes(received[1 : received.index(END_BLOCK)])

    @contextmanager
    def _connection(self, destination: Destination) -> Iterator[socket.socket]:
        place = PeerAddress.parse(f"ANY@{destination.address}")
        try:
            plain = socket.create_connection((place.host, place.port), self.connect_timeout_s)
        except OSError as error:
            raise ReceiverUnreachable(f"no connection: {_shown(error)}") from error
        with closing(plain):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if destination.tls_ca_file is None:
                yield plain
                return
            with closing(_secured(plain, place.host, client_context(destination, self.own))) as secured:
                yield secured


def _secured(plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except OSError as error:
        raise ReceiverUnreachable(f"TLS failed: {_shown(error)}") from error


def addressed(message: bytes, destination: Destination) -> bytes:
    """Return the message with MSH-3 to MSH-6 as the destination wants them; what it does not name stays as written.

    Examples
    --------
    >>> from triage_node.core.destination import DestinationKind
    >>> ris = Destination("ris", DestinationKind.HL7, "10.0.0.9:2575", receiving_application="RIS")
    >>> addressed(b"MSH|^~\\\\&|TRIAGE||||20261123\\rPID|1\\r", ris)
    b'MSH|^~\\\\&|TRIAGE||RIS||20261123\\rPID|1\\r'
    """
    names = (
        destination.sending_application,
        destination.sending_facility,
        destination.receiving_application,
        destination.receiving_facility,
    )
    header, end, others = message.partition(b"\r")
    fields = header.split(b"|")  # MSH-1 is the separator itself, so that MSH-3 is the third piece
    fields[2:6] = [name.encode() or written for name, written in zip(names, fields[2:6], strict=True)]
    return b"|".join(fields) + end + others


def read_acknowledgement(answer: bytes) -> Acknowledgement:
    """Read MSH, MSA and ERR; the version that the receiver claims does not matter.

    Raises
    ------
    NoAcknowledgement
        It is no HL7 message, or one without MSA.
    """
    try:
        segments = [each for each in re.split("[\r\n]+", answer.decode("utf-8", "replace")) if each]
        encoding, _, _ = get_message_info(segments[0])
        by_name = {each[:3]: each for each in reversed(segments)}
        parts = {
            name: parse_segment(by_name[name], version=_VERSION, encoding_chars=encoding)
            for name in ("MSA", "ERR")
            if name in by_name
        }
        code, control_id = parts["MSA"].msa_1.to_er7(), parts["MSA"].msa_2.to_er7()
    except Exception as error:  # whatever a receiver may write there
        raise NoAcknowledgement(f"the answer is no acknowledgement ({type(error).__name__})") from error
    shown = code if _CODE.fullmatch(code) else "an unknown code"
    return Acknowledgement(shown, control_id, _error_code(parts.get("ERR")))


def _error_code(segment: Any) -> str | None:
    """Return ERR-3.1, or ERR-1.4.1 as versions before 2.5 have it; None where there is neither."""
    if segment is None:
        return None
    first_of_older = f"{segment.err_1.to_er7()}^^^".split("~")[0].split("^")[3].split("&")[0]
    for code in (f"{segment.err_3.to_er7()}".split("^")[0], first_of_older):
        if _CODE.fullmatch(code):
            return code
    return None


def _control_id(message: bytes) -> str:
    """Return MSH-10; MSH-1 is the separator itself."""
    return message.split(b"\r", 1)[0].split(b"|")[9].decode("utf-8")


def _again(objects: Sequence[EvidenceObject], detail: str, *, answered: bool) -> list[SendOutcome]:
    return [SendOutcome(each.sop_instance_uid, Action.TRY_AGAIN, None, detail, answered) for each in objects]


def _shown(error: OSError) -> str:
    return "time-out" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
