"""What is not DICOM, breaks off or never ends: nothing else suffers, and a line in the log says what it was."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA
from structlog.testing import capture_logs

from triage_node.arrival.storage_scp import Limits
from triage_node.core.errors import Refused

MakeInstance = Callable[..., Dataset]


@contextmanager
def connected(node: Any) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while more := connection.recv(4096):
            received += more
    except ConnectionResetError:
        pass
    return received


def store_still_works(node: Any, instance: Dataset) -> None:
    association = node.associate()
    assert association.send_c_store(instance).Status == 0x0000
    association.release()


def store_request(instance: Dataset, dataset: bytes) -> list[bytes]:
    """Return the PDUs of a C-STORE-RQ."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    request.DataSet = BytesIO(dataset)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return [bytes(P_DATA_TF(primitive).encode()) for primitive in message.encode_msg(1, 16_384)]


def answer_to(association: Association, pdus: list[bytes]) -> int:
    """Send PDUs as they are and return the status that comes back."""
    association._reactor_checkpoint.clear()  # else the association's own thread takes the answer
    association.dul.socket.socket.sendall(b"".join(pdus))
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


def send_half(association: Association, instance: Dataset) -> None:
    """Send the command and half of the dataset of a C-STORE, and nothing more."""
    pdus = store_request(instance, encode(instance, False, True) or b"")
    association.dul.socket.socket.sendall(b"".join(pdus[: len(pdus) // 2]))


def test_an_abort_in_the_middle_of_a_dataset_leaves_nothing_and_is_told(
    node: Any, make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    association = node.associate()
    send_half(association, make_instance(size=512))
    association.abort()
    eventually(lambda: node.ended)
    assert node.ended == [(node.opened[0], True)]
    assert node.files() == []
    store_still_works(node, make_instance())


def test_a_connection_that_breaks_in_the_middle_of_a_dataset_is_an_abort(
    node: Any, make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    association = node.associate()
    association.send_c_store(make_instance())
    send_half(association, make_instance(size=512))
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: node.ended)
    assert node.told == ["opened", "stored", "aborted"]
    assert len(node.files()) == 1


def test_instances_before_an_abort_stay(node: Any, make_instance: MakeInstance, eventually: Callable[..., Any]) -> None:
    association = node.associate()
    assert association.send_c_store(make_instance()).Status == 0x0000
    association.abort()
    eventually(lambda: node.ended)
    assert node.told == ["opened", "stored", "aborted"]
    assert len(node.files()) == 1


def test_a_dataset_cut_short_by_its_sender_is_quarantined(node: Any, make_instance: MakeInstance) -> None:
    instance = make_instance(size=64)
    whole = encode(instance, False, True) or b""
    association = node.associate()
    assert answer_to(association, store_request(instance, whole[: len(whole) // 2])) == 0xC000
    assert "Pixel" in node.quarantined[0].reason or "7FE0" in node.quarantined[0].reason
    association.release()


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\nHost: triage\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 64]
)
def test_what_is_not_dicom_is_turned_away_with_a_log_line(
    node: Any, make_instance: MakeInstance, content: bytes
) -> None:
    with capture_logs() as logs, connected(node) as connection:
        connection.sendall(content)
        received = connection.recv(10)
    assert received[:1] == b"\x07"  # A-ABORT, PS3.8 9.3.8
    lines = [line for line in logs if line["event"] == "not_dicom_received"]
    assert lines[0]["address"] == "127.0.0.1"
    assert lines[0]["first_bytes"] == content[:6].hex()
    assert node.opened == []
    store_still_works(node, make_instance())


def test_random_bytes_after_a_good_beginning_break_one_association_only(node: Any, make_instance: MakeInstance) -> None:
    other, association = node.associate(), node.associate()
    association.dul.socket.socket.sendall(b"\x04\0\0\0\0\x20" + b"\xff" * 32)
    assert other.send_c_store(make_instance()).Status == 0x0000
    other.release()


@pytest.mark.parametrize("pdu_type", [b"\x01", b"\x04"])
def test_a_pdu_of_four_gigabytes_is_not_waited_for(node: Any, make_instance: MakeInstance, pdu_type: bytes) -> None:
    with capture_logs() as logs, connected(node) as connection:
        connection.sendall(pdu_type + b"\0\xff\xff\xff\xff")
        read_to_end(connection)
    assert [line["announced_bytes"] for line in logs if line["event"] == "pdu_refused"] == [0xFFFFFFFF]
    store_still_works(node, make_instance())


def test_a_connection_that_says_nothing_is_closed(make_node: Callable[..., Any], make_instance: MakeInstance) -> None:
    node = make_node(limits=Limits(association_timeout_s=0.3))
    with connected(node) as connection:
        started = time.monotonic()
        read_to_end(connection)
        assert time.monotonic() - started < 5
    store_still_works(node, make_instance())


def test_a_peer_that_stops_in_the_middle_of_a_pdu_is_given_up(
    make_node: Callable[..., Any], make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    node = make_node(limits=Limits(network_timeout_s=0.5, association_timeout_s=0.5))
    association = node.associate()
    association.dul.socket.socket.sendall(b"\x04\0\0\0\x10\0" + b"half")
    eventually(lambda: node.ended)
    assert node.ended[0][1] is True


def test_a_peer_that_dribbles_is_cut_off(make_node: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    node = make_node(limits=Limits(network_timeout_s=0.4, association_timeout_s=0.4))

    def dribbled() -> bool:
        try:
            connection.sendall(b".")
        except OSError:
            return True
        return False

    with connected(node) as connection:
        connection.sendall(b"\x01\0\0\0\x10\0")
        eventually(dribbled, within_s=5)


def test_a_silent_association_is_aborted(make_node: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    node = make_node(limits=Limits(network_timeout_s=0.4))
    node.associate()
    eventually(lambda: node.ended)
    assert node.ended[0][1] is True


def test_more_connections_than_can_be_served_are_closed_at_once(
    make_node: Callable[..., Any], make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    node = make_node(limits=Limits(maximum_associations=2, association_timeout_s=1.0))
    idle = [socket.create_connection(("127.0.0.1", node.port), timeout=10) for _ in range(12)]
    try:
        closed = eventually(lambda: [each for each in idle[4:] if each.recv(1) == b""])
        assert closed
    finally:
        for each in idle:
            each.close()
    eventually(lambda: node.associate().is_established)


def p_data(control_header: bytes, fragment: bytes) -> bytes:
    """Return one P-DATA-TF with one fragment (PS3.8 9.3.5 and E.2)."""
    primitive = P_DATA()
    primitive.presentation_data_value_list.append((1, control_header + fragment))
    return bytes(P_DATA_TF(primitive).encode())


def test_an_empty_last_fragment_is_dicom(node: Any, make_instance: MakeInstance) -> None:
    instance = make_instance()
    association = node.associate()
    pdus = store_request(instance, encode(instance, False, True) or b"")
    last = pdus.pop()
    body = bytearray(last)
    body[11] &= 0xFD  # the message control header: not the last fragment after all
    assert answer_to(association, [*pdus, bytes(body), p_data(b"\x02", b"")]) == 0x0000
    association.release()


def test_a_command_without_end_ends_the_association(
    node: Any, make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    association = node.associate()
    with capture_logs() as logs:
        for _ in range(20):
            try:
                association.dul.socket.socket.sendall(p_data(b"\x01", bytes(4096)))
            except OSError:
                break
        eventually(lambda: node.ended)
    assert node.ended[0][1] is True
    assert [line["reason"] for line in logs if line["event"] == "association_cut_off"] == ["a command without end"]
    store_still_works(node, make_instance())


def test_requests_that_do_not_wait_for_answers_end_the_association(
    make_node: Callable[..., Any], make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    def slow(_part10: bytes) -> Any:
        time.sleep(0.5)
        raise Refused("slowly")

    node = make_node(read_header=slow)
    association = node.associate()
    instance = make_instance()
    whole = b"".join(store_request(instance, encode(instance, False, True) or b""))
    connection = association.dul.socket.socket  # held here: the client lets go of it when the node ends the association
    with capture_logs() as logs:
        for _ in range(40):
            try:
                connection.sendall(whole)
            except OSError:
                break
        eventually(lambda: node.ended)
    reasons = [line["reason"] for line in logs if line["event"] == "association_cut_off"]
    assert reasons == ["requests without waiting for answers"]


def test_an_address_that_connects_too_often_is_turned_away_until_it_calms_down(
    make_node: Callable[..., Any], make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    node = make_node(limits=Limits(connections_per_s=1.0))
    with capture_logs() as logs:
        for _ in range(15):
            with connected(node):
                pass
        eventually(lambda: [line for line in logs if line["event"] == "connection_refused"])
    eventually(lambda: node.associate().is_established)
