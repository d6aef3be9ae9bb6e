"""DCMTK as the PACS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.storage_scu import PeerUnreachable, StorageScu

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(shutil.which("storescp") is None, reason="needs DCMTK (apt-get install dcmtk)"),
]

StartScp = Callable[..., PeerAddress]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    received = tmp_path / "received"
    received.mkdir()
    return received


@pytest.fixture
def start_scp(folder: Path) -> Iterator[StartScp]:
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> PeerAddress:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = ["storescp", *options, "-aet", "PACS", "-od", str(folder), str(port)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        return PeerAddress("PACS", "127.0.0.1", port)

    yield start
    for process in running:
        process.kill()
        process.wait(timeout=10)


def test_storescp_takes_what_is_sent(
    start_scp: StartScp, make_object: Callable[..., EvidenceObject], folder: Path
) -> None:
    objects = [make_object(kind, size=200_000) for kind in ("SR", "SC", "KO")]
    outcomes = StorageScu("TRIAGE").send(start_scp(), objects)
    assert [outcome.action for outcome in outcomes] == [Action.DONE] * 3
    received = {dcmread(path).SOPInstanceUID for path in folder.iterdir()}
    assert received == {each.sop_instance_uid for each in objects}


def test_storescp_that_takes_implicit_vr_only_gets_it(
    start_scp: StartScp, make_object: Callable[..., EvidenceObject], folder: Path
) -> None:
    (outcome,) = StorageScu("TRIAGE").send(start_scp("+xi"), [make_object("SR")])
    assert outcome.action is Action.DONE
    (received,) = folder.iterdir()
    assert dcmread(received).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


@pytest.mark.parametrize("option", ["--refuse", "--abort-after", "--abort-during"])
def test_storescp_that_fails_is_tried_again(
    start_scp: StartScp, make_object: Callable[..., EvidenceObject], option: str
) -> None:
    outcomes = StorageScu("TRIAGE", dimse_timeout_s=10).send(start_scp(option), [make_object("SR"), make_object("SC")])
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN] * 2


def test_storescp_answers_echo_and_a_refusing_one_says_so(start_scp: StartScp) -> None:
    StorageScu("TRIAGE").echo(start_scp())
    with pytest.raises(PeerUnreachable, match="rejected"):
        StorageScu("TRIAGE").echo(start_scp("--refuse"))
