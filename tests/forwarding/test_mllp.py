"""The MLLP sender against receivers of two libraries, and against one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import hl7
import pytest
from hl7.mllp import start_hl7_server
from hl7apy.mllp import AbstractHandler, MLLPServer

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.hl7_mllp import MllpSender, ReceiverUnreachable, read_acknowledgement

ORU = "MSH|^~\\&|TRIAGE||||20261123063015+0000||ORU^R01^ORU_R01|{id}|P|2.5.1||||||UNICODE UTF-8\rPID|1||PID-1||山田^太郎\r"
SENDER = MllpSender(connect_timeout_s=1.0, answer_timeout_s=0.5)


def ack(control_id: str, code: str = "AA", *more: str, version: str = "2.5.1") -> bytes:
    segments = [
        f"MSH|^~\\&|||||20261123||ACK^R01^ACK|9|P|{version}",
        f"MSA|{code}|{control_id}|PID-1 is not known",
        *more,
    ]
    return b"\x0b" + "\r".join([*segments, ""]).encode() + b"\x1c\r"


def destination(port: int, host: str = "127.0.0.1") -> Destination:
    return Destination("ris", DestinationKind.HL7, f"{host}:{port}")


@pytest.fixture
def make_messages(tmp_path) -> Callable[..., list[EvidenceObject]]:
    def make(*control_ids: str) -> list[EvidenceObject]:
        made = []
        for number, control_id in enumerate(control_ids or ("ID1",), start=1):
            path = tmp_path / f"{control_id}.hl7"
            path.write_bytes(ORU.format(id=control_id).encode())
            made.append(EvidenceObject("HL7", 1, "", f"2.25.{number}", "2.25.9", "1.2", path))
        return made

    return make


@contextmanager
def receiver(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server whose every connection is handled by ``behave``."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    behave(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def read_block(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\x1c\r"):
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    return received


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answer the blocks of a connection one after the other, then close it."""

    def behave(connection: socket.socket) -> None:
        for answer in answers:
            read_block(connection)
            connection.sendall(answer)

    return behave


# receivers of the libraries ------------------------------------------------------------------------------------------


def test_hl7apy_server_takes_the_message_whole(make_messages):
    received: list[str] = []

    class Oru(AbstractHandler):
        def reply(self) -> str:
            received.append(self.incoming_message)
            return ack("ID1").decode()

    server = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Oru,)}, timeout=5)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    messages = make_messages()
    (outcome,) = SENDER.send(destination(server.server_address[1]), messages)
    server.shutdown()
    server.server_close()
    assert (outcome.action, outcome.detail, outcome.answered) == (Action.DONE, "AA", True)
    assert received == [ORU.format(id="ID1")]


@contextmanager
def python_hl7_server(answer_code: Callable[[hl7.Message], str]) -> Iterator[tuple[int, list[hl7.Message], list[int]]]:
    received: list[hl7.Message] = []
    connections: list[int] = []
    started, port, loop = threading.Event(), [], asyncio.new_event_loop()

    async def talk(reader, writer) -> None:
        connections.append(1)
        try:
            while not reader.at_eof():
                message = await reader.readmessage()
                received.append(message)
                writer.writemessage(message.create_ack(answer_code(message)))
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def serve() -> None:
        server = await start_hl7_server(talk, "127.0.0.1", 0, encoding="utf-8")
        port.append(server.sockets[0].getsockname()[1])
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(5)
    yield port[0], received, connections
    time.sleep(0.05)  # the last connection's task sees the end of its stream
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_python_hl7_server_takes_several_over_one_connection_in_order(make_messages):
    with python_hl7_server(lambda _: "AA") as (port, received, connections):
        outcomes = SENDER.send(destination(port), make_messages("ID1", "ID2", "ID3"))
    assert [each.action for each in outcomes] == [Action.DONE] * 3
    assert [str(each["MSH.10"]) for each in received] == ["ID1", "ID2", "ID3"]
    assert str(received[0]["PID.F5.R1.C1"]) == "山田"
    assert len(connections) == 1


def test_refused_message_does_not_hold_up_the_next(make_messages):
    with python_hl7_server(lambda each: "AE" if str(each["MSH.10"]) == "ID1" else "CA") as (port, _, _):
        outcomes = SENDER.send(destination(port), make_messages("ID1", "ID2"))
    assert [each.action for each in outcomes] == [Action.GIVE_UP, Action.DONE]


# acknowledgements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "action", "detail"),
    [
        (ack("ID1", "CA"), Action.DONE, "CA"),
        (ack("ID1", "AA", version="2.9"), Action.DONE, "AA"),
        (ack("ID1", "AE"), Action.GIVE_UP, "AE"),
        (ack("ID1", "CE", "ERR||PID^1|101^Required^HL70357|E"), Action.GIVE_UP, "CE, error 101 Required field missing"),
        (ack("ID1", "AE", "ERR|||207^x|E"), Action.TRY_AGAIN, "AE, error 207 Application internal error"),
        (
            ack("ID1", "AE", "ERR|PID^1^3^206&locked", version="2.3"),
            Action.TRY_AGAIN,
            "AE, error 206 Application record",
        ),
        (ack("ID1", "AR"), Action.TRY_AGAIN, "AR"),
        (ack("ID1", "CR", "ERR|||203|E"), Action.GIVE_UP, "CR, error 203 Unsupported version id"),
        (ack("ID1", "??"), Action.TRY_AGAIN, "an unknown code"),
        (ack("ID1", ""), Action.TRY_AGAIN, "an unknown code"),
        (ack("OTHER"), Action.TRY_AGAIN, "the acknowledgement is of another message"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Action.TRY_AGAIN, "the answer is no MLLP block"),
        (b"\x0bnonsense\x1c\r", Action.TRY_AGAIN, "the answer is no acknowledgement"),
        (b"\x0bMSH|^~\\&|\r\x1c\r", Action.TRY_AGAIN, "the answer is no acknowledgement"),
        (b"\x0b\x1c\r", Action.TRY_AGAIN, "the answer is no acknowledgement"),
        (b"\r" + ack("ID1"), Action.DONE, "AA"),
        (ack("ID1").rstrip(b"\r"), Action.DONE, "AA"),
        (ack("ID1").replace(b"\r", b"\n"), Action.DONE, "AA"),
    ],
)
def test_each_answer_has_its_outcome(make_messages, answer, action, detail):
    with receiver(answering(answer)) as port:
        (outcome,) = SENDER.send(destination(port), make_messages())
    assert (outcome.action, outcome.answered) == (action, True)
    assert outcome.detail.startswith(detail)


def test_acknowledgement_in_pieces_is_read(make_messages):
    def behave(connection: socket.socket) -> None:
        read_block(connection)
        for place in range(0, len(ack("ID1")), 40):
            connection.sendall(ack("ID1")[place : place + 40])
            time.sleep(0.01)

    with receiver(behave) as port:
        assert SENDER.send(destination(port), make_messages())[0].action is Action.DONE


def test_other_separators_are_read():
    answer = b"MSH$%~\\&$$$$$$$ACK$1$P$2.5\rMSA$AE$X\rERR$$$101%Required\r"
    found = read_acknowledgement(answer)
    assert (found.code, found.control_id, found.error_code) == ("AE", "X", "101")


# bad networks --------------------------------------------------------------------------------------------------------


def unanswered(outcomes):
    return {(each.action, each.answered) for each in outcomes} == {(Action.TRY_AGAIN, False)}


def test_nobody_there_is_tried_again(make_messages):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcomes = SENDER.send(destination(port), make_messages("ID1", "ID2"))
    assert unanswered(outcomes)
    assert [each.sop_instance_uid for each in outcomes] == ["2.25.1", "2.25.2"]
    with pytest.raises(ReceiverUnreachable):
        SENDER.verify(destination(port))


def test_name_that_does_not_resolve_is_tried_again(make_messages):
    assert unanswered(SENDER.send(destination(2575, "ris.invalid"), make_messages()))


def test_silence_is_tried_again_in_bounded_time(make_messages):
    started = time.monotonic()
    with receiver(lambda connection: time.sleep(2)) as port:
        assert unanswered(SENDER.send(destination(port), make_messages()))
        assert time.monotonic() - started < 1.5


def test_dribble_is_cut_off(make_messages):
    def behave(connection: socket.socket) -> None:
        read_block(connection)
        for _ in range(40):
            connection.sendall(b"\x0b")
            time.sleep(0.05)

    started = time.monotonic()
    with receiver(behave) as port:
        assert unanswered(SENDER.send(destination(port), make_messages()))
        assert time.monotonic() - started < 1.5


def test_endless_answer_is_cut_off(make_messages):
    def behave(connection: socket.socket) -> None:
        read_block(connection)
        connection.sendall(b"\x0b" + b"x" * (2 * 1024 * 1024))

    with receiver(behave) as port:
        (outcome,) = SENDER.send(destination(port), make_messages())
    assert (outcome.action, outcome.detail) == (Action.TRY_AGAIN, "the answer is no MLLP block")


def test_closed_connection_leaves_the_rest_for_later(make_messages):
    with receiver(answering(ack("ID1"))) as port:
        outcomes = SENDER.send(destination(port), make_messages("ID1", "ID2", "ID3"))
    assert [each.action for each in outcomes] == [Action.DONE, Action.TRY_AGAIN, Action.TRY_AGAIN]
    assert [each.answered for each in outcomes] == [True, False, False]


def test_file_that_is_gone_is_given_up_and_the_others_are_sent(make_messages):
    messages = make_messages("ID1", "ID2")
    messages[0].path.unlink()
    with receiver(answering(ack("ID2"))) as port:
        outcomes = SENDER.send(destination(port), messages)
    assert [each.action for each in outcomes] == [Action.GIVE_UP, Action.DONE]


def test_verify_sends_nothing():
    seen: queue.Queue[bytes] = queue.Queue()
    with receiver(lambda connection: seen.put(connection.recv(10))) as port:
        assert SENDER.verify(destination(port)) == "accepts connections"
        assert seen.get(timeout=5) == b""


def test_no_patient_gets_into_logs_or_details(make_messages, caplog, capsys):
    with caplog.at_level(logging.DEBUG), receiver(answering(ack("ID1", "AE", "ERR||PID^1|101^PID-1|E||PID-1"))) as port:
        outcomes = SENDER.send(destination(port), make_messages())
    told = caplog.text + "".join(capsys.readouterr()) + outcomes[0].detail
    assert "AE" in told
    assert not [each for each in ("PID-1", "山田") if each in told]


# TLS -----------------------------------------------------------------------------------------------------------------


def test_tls_is_spoken_and_a_stranger_is_not_believed(make_messages, localhost_certificates):
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(localhost_certificates / "certificate.pem", localhost_certificates / "certificate.key")

    def behave(connection: socket.socket) -> None:
        with served.wrap_socket(connection, server_side=True) as secured:
            read_block(secured)
            secured.sendall(ack("ID1"))

    stranger = localhost_certificates / "stranger.pem"
    own = localhost_certificates / "certificate.pem"
    with receiver(behave) as port:
        where = replace(destination(port, "localhost"), tls_ca_file=own)
        (outcome,) = SENDER.send(where, make_messages())
        assert outcome.action is Action.DONE
        for ca_file, detail in ((stranger, "TLS failed"), (localhost_certificates / "none.pem", "tls_ca_file")):
            (outcome,) = SENDER.send(replace(where, tls_ca_file=ca_file), make_messages())
            assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
            assert outcome.detail.startswith(detail)


def test_receiver_that_asks_for_a_certificate_is_shown_ours(make_messages, localhost_certificates):
    own = OwnCertificate(localhost_certificates / "certificate.pem", localhost_certificates / "certificate.key")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own.certificate)
    served.load_cert_chain(own.certificate, own.key)
    served.verify_mode = ssl.CERT_REQUIRED

    def behave(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), served.wrap_socket(connection, server_side=True) as secured:
            read_block(secured)
            secured.sendall(ack("ID1"))

    with receiver(behave) as port:
        where = replace(destination(port, "localhost"), tls_ca_file=own.certificate)
        (shown,) = replace(SENDER, own=own).send(where, make_messages())
        assert shown.action is Action.DONE
        (nameless,) = SENDER.send(where, make_messages())
        assert (nameless.action, nameless.answered) == (Action.TRY_AGAIN, False)
        lost = replace(own, key=localhost_certificates / "none.key")
        (unreadable,) = replace(SENDER, own=lost).send(where, make_messages())
        assert unreadable.detail.startswith("our certificate")


# addressing ----------------------------------------------------------------------------------------------------------


def test_header_names_whom_the_destination_says(make_messages):
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heard.append(read_block(connection))
        connection.sendall(ack("ID1"))

    with receiver(behave) as port:
        plain = destination(port)
        named = replace(
            plain, receiving_application="RIS^1.2.3^ISO", receiving_facility="北病院", sending_facility="CT"
        )
        for where in (plain, named):
            (outcome,) = SENDER.send(where, make_messages())
            assert outcome.action is Action.DONE
    assert [each.decode().split("|")[2:7] for each in heard] == [
        ["TRIAGE", "", "", "", "20261123063015+0000"],
        ["TRIAGE", "CT", "RIS^1.2.3^ISO", "北病院", "20261123063015+0000"],
    ]
    assert heard[0].split(b"|")[7:] == heard[1].split(b"|")[7:]
