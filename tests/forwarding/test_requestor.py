"""Associations with peers that hang up."""

from __future__ import annotations

import socket
import threading

import pytest
from pynetdicom import build_context, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from triage_node.core.identifiers import PeerAddress
from triage_node.forwarding.requestor import PeerUnreachable, Requestor

A_ASSOCIATE_RJ = bytes([0x03, 0, 0, 0, 0, 4, 0, 1, 1, 7])
"""Rejected permanently by the service user: called AE title not recognized (PS3.8 9.3.4)."""


def test_rejection_is_told_though_the_peer_hangs_up_before_it_is_looked_for() -> None:
    hung_up = threading.Event()

    def reject(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(A_ASSOCIATE_RJ)
        connection.close()

    requestor = Requestor("TRIAGE", connect_timeout_s=5, association_timeout_s=5, dimse_timeout_s=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = PeerAddress("PACS", "127.0.0.1", server.getsockname()[1])
        peer_thread = threading.Thread(target=reject, args=(server,))
        peer_thread.start()
        handlers = [
            (evt.EVT_CONN_CLOSE, lambda _event: hung_up.set()),
            (evt.EVT_REQUESTED, lambda _event: hung_up.wait(5)),  # the asking thread comes late
        ]
        with (
            pytest.raises(PeerUnreachable, match=r"rejected.*Called AE title not recognised"),
            requestor.association(peer, [build_context(Verification)], handlers=handlers),
        ):
            pass
        peer_thread.join(5)
    assert hung_up.is_set()
