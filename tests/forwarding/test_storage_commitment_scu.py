"""Asking archives for storage commitment: each kind of archive has its outcome, and none raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hospital.pacs import Orthanc
from pydicom.dataset import Dataset
from pynetdicom import evt

from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_commitment import StorageCommitment
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header
from triage_node.core.commitment import (
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    CommitmentResult,
    InstanceReference,
)
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import CommitmentOrder, EvidenceObject
from triage_node.forwarding.requestor import Requestor
from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu, event_report
from triage_node.forwarding.storage_scu import StorageScu
from triage_node.supervisor import free_port

SR = "1.2.840.10008.5.1.4.1.1.88.34"
ORDER = CommitmentOrder("1.2.9", (InstanceReference(SR, "1.2.3"), InstanceReference(SR, "1.2.4")))
MakePacs = Callable[..., Any]


@pytest.fixture
def scu() -> StorageCommitmentScu:
    return StorageCommitmentScu(Requestor("TRIAGE", 2, 2, 2))


def answering(status: int, report: CommitmentResult | None = None, seen: list[Dataset] | None = None) -> Any:
    """An N-ACTION handler that answers so, and reports over the same association."""

    def handle(event: evt.Event) -> tuple[int, None]:
        if seen is not None:
            seen.append(event.action_information)
        if report is not None:
            information, event_type = event_report(report, {"1.2.3": SR, "1.2.4": SR})
            arguments = (information, event_type, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_INSTANCE)
            threading.Thread(target=event.assoc.send_n_event_report, args=arguments, daemon=True).start()
        return status, None

    return [(evt.EVT_N_ACTION, handle)]


def test_a_report_over_the_same_association_comes_with_the_answer(
    make_pacs: MakePacs, scu: StorageCommitmentScu
) -> None:
    seen: list[Dataset] = []
    report = CommitmentResult("1.2.9", ("1.2.3",), {"1.2.4": 0x0112})
    pacs = make_pacs([STORAGE_COMMITMENT_PUSH_MODEL], handlers=answering(0x0000, report, seen))
    answer = scu.request(Destination.of_peer(pacs.peer), ORDER)
    assert (answer.action, answer.result) == (Action.DONE, report)
    assert seen[0].TransactionUID == "1.2.9"
    named = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in seen[0].ReferencedSOPSequence]
    assert named == [(SR, "1.2.3"), (SR, "1.2.4")]


def test_an_archive_that_reports_later_is_not_waited_for_long(make_pacs: MakePacs, scu: StorageCommitmentScu) -> None:
    pacs = make_pacs([STORAGE_COMMITMENT_PUSH_MODEL], handlers=answering(0x0000))
    began = time.monotonic()
    answer = scu.request(Destination.of_peer(pacs.peer), ORDER)
    assert (answer.action, answer.result) == (Action.DONE, None)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("status", "action"), [(0x0110, Action.TRY_AGAIN), (0x0213, Action.TRY_AGAIN), (0x0122, Action.GIVE_UP)]
)
def test_a_refusal_is_tried_again_or_not_by_its_status(
    make_pacs: MakePacs, scu: StorageCommitmentScu, status: int, action: Action
) -> None:
    pacs = make_pacs([STORAGE_COMMITMENT_PUSH_MODEL], handlers=answering(status))
    answer = scu.request(Destination.of_peer(pacs.peer), ORDER)
    assert (answer.action, answer.detail) == (action, f"N-ACTION answered 0x{status:04X}")


def test_an_archive_without_the_service_is_not_asked_again(make_pacs: MakePacs, scu: StorageCommitmentScu) -> None:
    answer = scu.request(Destination.of_peer(make_pacs([SR]).peer), ORDER)
    assert (answer.action, answer.detail) == (Action.GIVE_UP, "the peer does not offer storage commitment")


def test_an_archive_that_is_down_or_aborts_is_asked_again(make_pacs: MakePacs, scu: StorageCommitmentScu) -> None:
    down = PeerAddress("PACS", "127.0.0.1", 1)
    aborting = make_pacs(
        [STORAGE_COMMITMENT_PUSH_MODEL], handlers=[(evt.EVT_N_ACTION, lambda event: event.assoc.abort())]
    )
    for peer in (down, aborting.peer):
        assert scu.request(Destination.of_peer(peer), ORDER).action is Action.TRY_AGAIN


@pytest.mark.debian
@pytest.mark.xdist_group("debian")
def test_orthanc_commits_to_what_it_has_and_asks_us_for_what_we_have(
    make_object: Callable[..., EvidenceObject], tmp_path: Path
) -> None:
    if Orthanc.executable() is None:
        pytest.skip("Orthanc is not installed (Debian package orthanc)")
    reports: list[CommitmentResult] = []
    ours = PeerAddress("TRIAGE", "127.0.0.1", free_port())
    orthanc = Orthanc(tmp_path / "orthanc", DicomModalities={"triage": [ours.ae_title, ours.host, ours.port]})
    archive = Destination.of_peer(orthanc.address)
    scu = StorageCommitmentScu(Requestor("TRIAGE"))
    kept: dict[str, list[tuple[str, Path]]] = {}
    commitment = StorageCommitment(
        lambda uids: {uid: kept[uid] for uid in uids if uid in kept},
        event_report,
        scu.report,
        lambda result: reports.append(result) is None,
        {"ORTHANC": orthanc.address},
    )
    scp = StorageScp(
        ae_title=ours.ae_title,
        host=ours.host,
        port=ours.port,
        spool=DirectorySpool(tmp_path / "spool", 0),
        read_header=read_header,
        on_stored=lambda each: kept.update({each.header.sop_instance_uid: [(each.header.sop_class_uid, each.path)]}),
        on_quarantined=lambda _: None,
        on_association_opened=lambda *_: None,
        on_association_ended=lambda *_: None,
        commitment=commitment,
    )
    sent = make_object()
    order = CommitmentOrder("1.2.9", (InstanceReference(SR, sent.sop_instance_uid), InstanceReference(SR, "1.2.3.4")))
    scp.start()
    try:
        orthanc.start()
        StorageScu("TRIAGE").send(orthanc.address, [sent])
        answer = scu.request(archive, order)
        assert answer.action is Action.DONE, answer
        report = answer.result or _first(reports)
        assert (report.committed, dict(report.failed)) == ((sent.sop_instance_uid,), {"1.2.3.4": 0x0112})

        (instance,) = orthanc.get("/instances")
        orthanc.post("/modalities/triage/store", instance)
        asked = {"Resources": [instance], "DicomInstances": [{"SOPClassUID": SR, "SOPInstanceUID": "1.2.3.4"}]}
        transaction = orthanc.post("/modalities/triage/storage-commitment", asked)["ID"]
        answered = _eventually(lambda: _ended(orthanc.get(f"/storage-commitment/{transaction}")))
        assert answered["Status"] == "Failure"
        assert [each["SOPInstanceUID"] for each in answered["Success"]] == [sent.sop_instance_uid]
        assert [each["SOPInstanceUID"] for each in answered["Failures"]] == ["1.2.3.4"]
    finally:
        orthanc.stop()
        scp.shutdown()


def _ended(transaction: Any) -> Any:
    return None if transaction["Status"] == "Pending" else transaction


def _first(reports: list[CommitmentResult]) -> CommitmentResult:
    return _eventually(lambda: reports)[0]


def _eventually(holds: Callable[[], Any], within_s: float = 15.0) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if result := holds():
            return result
        time.sleep(0.05)
    pytest.fail(f"not within {within_s} s")
