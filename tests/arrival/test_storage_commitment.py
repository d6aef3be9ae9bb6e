"""Storage commitment for senders: a report of what is durably kept, wherever the sender wants it; reports of archives taken."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from triage_node.arrival.storage_commitment import StorageCommitment
from triage_node.core.commitment import (
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    CommitmentResult,
)
from triage_node.core.conformance import CT_IMAGE_STORAGE
from triage_node.core.identifiers import PeerAddress
from triage_node.forwarding.requestor import Requestor
from triage_node.forwarding.storage_commitment_scu import StorageCommitmentScu, event_report

MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Index:
    """What the node has indexed, and what archives reported to it."""

    kept: dict[str, list[tuple[str, Path]]] = field(default_factory=dict)
    reports: list[CommitmentResult] = field(default_factory=list)
    is_awaited: bool = True

    def kept_instances(self, uids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, Path]]]:
        return {uid: self.kept[uid] for uid in uids if uid in self.kept}

    def on_report(self, result: CommitmentResult) -> bool:
        self.reports.append(result)
        return self.is_awaited


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def committing_node(make_node: Callable[..., Any], index: Index, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Start a node that reports to the given addresses, and indexes what it stores."""
    monkeypatch.setattr("triage_node.arrival.storage_commitment.INDEXED_WITHIN_S", 0.5)
    monkeypatch.setattr("triage_node.arrival.storage_commitment.RETRY_AFTER_S", (0.3, 0.3, 0.3, 0.3))

    def make(report_to: Mapping[str, PeerAddress] | None = None) -> Any:
        report = StorageCommitmentScu(Requestor("TRIAGE", association_timeout_s=5)).report
        commitment = StorageCommitment(index.kept_instances, event_report, report, index.on_report, report_to or {})
        return make_node(commitment=commitment)

    return make


def stored(node: Any, index: Index, *datasets: Dataset) -> None:
    """Send instances with C-STORE and index them."""
    association = node.associate()
    for dataset in datasets:
        assert association.send_c_store(dataset).Status == 0x0000
    association.release()
    for each in node.stored:
        index.kept[each.header.sop_instance_uid] = [(each.header.sop_class_uid, each.path)]


def action(*references: tuple[str, str], transaction_uid: str | None = None) -> Dataset:
    information = Dataset()
    information.TransactionUID = transaction_uid or generate_uid()
    items = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        items.append(item)
    information.ReferencedSOPSequence = items
    return information


@dataclass
class Sender:
    """A modality that asks for commitment and listens for reports on a port of its own."""

    port: int = 0
    reports: list[tuple[int, CommitmentResult]] = field(default_factory=list)
    answer: int = 0x0000

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        self.reports.append((event.event_type, CommitmentResult.from_event(event.event_information)))
        return self.answer, None

    def associate(self, node: Any) -> Association:
        entity = AE("CT1")
        entity.add_requested_context(STORAGE_COMMITMENT_PUSH_MODEL)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        return entity.associate("127.0.0.1", node.port, ae_title="TRIAGE", evt_handlers=handlers)

    def ask(self, association: Association, information: Dataset, action_type: int = 1, **values: Any) -> int:
        named = {"class_uid": STORAGE_COMMITMENT_PUSH_MODEL, "instance_uid": STORAGE_COMMITMENT_INSTANCE} | values
        status, _ = association.send_n_action(information, action_type, **named)
        return int(status.Status)

    def listen(self, port: int = 0) -> Any:
        entity = AE("CT1")
        entity.add_supported_context(STORAGE_COMMITMENT_PUSH_MODEL, scu_role=False, scp_role=True)
        server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.on_report)]
        )
        self.port = server.socket.getsockname()[1]
        return server


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def listening(sender: Sender) -> Iterator[Sender]:
    server = sender.listen()
    yield sender
    server.shutdown()


def test_what_is_kept_is_reported_over_the_association_that_asked(
    committing_node: Any, index: Index, sender: Sender, make_instance: Any, eventually: Any
) -> None:
    node = committing_node()
    kept, other_class, gone = (make_instance() for _ in range(3))
    stored(node, index, kept, other_class, gone)
    index.kept[str(gone.SOPInstanceUID)][0][1].unlink()
    unknown = generate_uid()
    association = sender.associate(node)
    information = action(
        (CT_IMAGE_STORAGE, kept.SOPInstanceUID),
        (MR, other_class.SOPInstanceUID),
        (CT_IMAGE_STORAGE, gone.SOPInstanceUID),
        (CT_IMAGE_STORAGE, unknown),
    )
    assert sender.ask(association, information) == 0x0000
    ((event_type, result),) = eventually(lambda: sender.reports)
    association.release()
    assert event_type == 2
    assert result.transaction_uid == information.TransactionUID
    assert result.committed == (kept.SOPInstanceUID,)
    assert result.failed == {other_class.SOPInstanceUID: 0x0119, gone.SOPInstanceUID: 0x0112, unknown: 0x0112}


def test_an_instance_that_is_indexed_a_moment_later_counts(
    committing_node: Any, index: Index, sender: Sender, make_instance: Any, eventually: Any
) -> None:
    node = committing_node()
    slow = make_instance()
    stored(node, index, slow)
    rows = index.kept.pop(str(slow.SOPInstanceUID))
    association = sender.associate(node)
    assert sender.ask(association, action((CT_IMAGE_STORAGE, slow.SOPInstanceUID))) == 0x0000
    time.sleep(0.1)
    index.kept[str(slow.SOPInstanceUID)] = rows
    ((event_type, result),) = eventually(lambda: sender.reports)
    association.release()
    assert (event_type, result.committed) == (1, (slow.SOPInstanceUID,))


def test_a_sender_with_an_address_gets_its_report_there(
    committing_node: Any, index: Index, listening: Sender, make_instance: Any, eventually: Any
) -> None:
    node = committing_node({"CT1": PeerAddress("CT1", "127.0.0.1", listening.port)})
    kept = make_instance()
    stored(node, index, kept)
    association = listening.associate(node)
    assert listening.ask(association, action((CT_IMAGE_STORAGE, kept.SOPInstanceUID))) == 0x0000
    association.release()
    ((event_type, result),) = eventually(lambda: listening.reports)
    assert (event_type, result.committed, result.failed) == (1, (kept.SOPInstanceUID,), {})


def test_a_sender_that_listens_later_gets_its_report_then(
    committing_node: Any, index: Index, sender: Sender, make_instance: Any, eventually: Any
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = committing_node({"CT1": PeerAddress("CT1", "127.0.0.1", port)})
    association = sender.associate(node)
    assert sender.ask(association, action((CT_IMAGE_STORAGE, "1.2.3"))) == 0x0000
    association.release()
    time.sleep(0.9)
    server = sender.listen(port)
    try:
        ((_, result),) = eventually(lambda: sender.reports)
    finally:
        server.shutdown()
    assert result.failed == {"1.2.3": 0x0112}


def test_a_sender_that_releases_and_has_no_address_harms_nobody(
    committing_node: Any, index: Index, sender: Sender, make_instance: Any
) -> None:
    node = committing_node()
    association = sender.associate(node)
    assert sender.ask(association, action((CT_IMAGE_STORAGE, "1.2.3"))) == 0x0000
    association.release()
    assert association.is_released
    stored(node, index, make_instance())


@pytest.mark.parametrize(
    ("change", "values", "status"),
    [
        (lambda _: None, {"instance_uid": "1.2.3"}, 0x0112),
        (lambda _: None, {"action_type": 2}, 0x0123),
        (lambda information: delattr(information, "TransactionUID"), {}, 0x0114),
        (lambda information: delattr(information, "ReferencedSOPSequence"), {}, 0x0114),
        (lambda information: setattr(information, "ReferencedSOPSequence", []), {}, 0x0114),
        (lambda information: setattr(information, "TransactionUID", "../../etc"), {}, 0x0115),
        (lambda information: setattr(information.ReferencedSOPSequence[0], "ReferencedSOPInstanceUID", ""), {}, 0x0115),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_request_that_says_nothing_sensible_is_refused(
    committing_node: Any, sender: Sender, change: Callable[[Dataset], None], values: dict[str, Any], status: int
) -> None:
    association = sender.associate(committing_node())
    information = action((CT_IMAGE_STORAGE, "1.2.3"))
    change(information)
    assert sender.ask(association, information, **values) == status
    association.release()
    assert not sender.reports


def test_a_node_without_commitment_says_so(node: Any, sender: Sender) -> None:
    association = sender.associate(node)
    assert sender.ask(association, action((CT_IMAGE_STORAGE, "1.2.3"))) == 0x0110
    association.release()


@pytest.mark.parametrize(("is_awaited", "status"), [(True, 0x0000), (False, 0x0115)])
def test_an_archive_reports_over_an_association_of_its_own(
    committing_node: Any, index: Index, is_awaited: bool, status: int
) -> None:
    index.is_awaited = is_awaited
    node = committing_node()
    entity = AE("ARCHIVE")
    entity.add_requested_context(STORAGE_COMMITMENT_PUSH_MODEL)
    role = build_role(STORAGE_COMMITMENT_PUSH_MODEL, scp_role=True)
    association = entity.associate("127.0.0.1", node.port, ae_title="TRIAGE", ext_neg=[role])
    information, event_type = event_report(
        CommitmentResult("1.2.9", ("1.2.3",), {"1.2.4": 0x0213}), {"1.2.3": MR, "1.2.4": MR}
    )
    answer, _ = association.send_n_event_report(
        information, event_type, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_INSTANCE
    )
    association.release()
    assert answer.Status == status
    assert index.reports == [CommitmentResult("1.2.9", ("1.2.3",), {"1.2.4": 0x0213})]


def test_many_requests_at_once_are_all_answered(
    committing_node: Any, index: Index, listening: Sender, make_instance: Any, eventually: Any
) -> None:
    node = committing_node({"CT1": PeerAddress("CT1", "127.0.0.1", listening.port)})
    kept = make_instance()
    stored(node, index, kept)

    def ask() -> None:
        association = listening.associate(node)
        listening.ask(association, action((CT_IMAGE_STORAGE, kept.SOPInstanceUID)))
        association.release()

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(listening.reports) == 12)
    assert len({result.transaction_uid for _, result in listening.reports}) == 12
