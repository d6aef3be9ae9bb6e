"""The SCP over real associations: the status is true of what lies on the disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, _config
from pynetdicom.sop_class import Verification
from structlog.testing import capture_logs

from triage_node.arrival.peer_policy import PeerPolicy
from triage_node.arrival.storage_scp import Limits
from triage_node.core.conformance import CT_IMAGE_STORAGE, TRANSFER_SYNTAXES
from triage_node.core.errors import ConfigurationRejected, Refused

_config.STORE_SEND_CHUNKED_DATASET = True  # a path is sent as the bytes that lie there

MakeInstance = Callable[..., Dataset]
WriteInstances = Callable[..., list[Path]]


def dataset_bytes(path: Path) -> bytes:
    """Return a file without preamble and File Meta Information."""
    content = path.read_bytes()
    return content[132 + 12 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda uid: TRANSFER_SYNTAXES[uid])
def test_every_transfer_syntax_is_kept_byte_for_byte(
    node: Any, make_instance: MakeInstance, write_instances: WriteInstances, syntax: str
) -> None:
    (sent,) = write_instances(make_instance(syntax))
    association = node.associate((CT_IMAGE_STORAGE, [syntax]))
    assert association.send_c_store(sent).Status == 0x0000
    association.release()
    (kept,) = node.files()
    assert dataset_bytes(kept) == dataset_bytes(sent)
    assert dcmread(kept).file_meta.TransferSyntaxUID == syntax
    assert node.stored[0].header.transfer_syntax_uid == syntax
    assert node.stored[0].path == kept


def test_every_standard_storage_class_is_taken(node: Any) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    assert len(classes) > 128
    for first in range(0, len(classes), 100):
        proposed = classes[first : first + 100]
        association = node.associate(*((uid, [str(ImplicitVRLittleEndian)]) for uid in proposed))
        assert {str(context.abstract_syntax) for context in association.accepted_contexts} == set(proposed)
        association.release()


def test_a_private_class_and_an_unknown_transfer_syntax_are_refused_each_for_itself(node: Any) -> None:
    explicit = str(ExplicitVRLittleEndian)
    association = node.associate(
        (CT_IMAGE_STORAGE, [explicit]), ("1.2.826.0.1.3680043.9.1", [explicit]), (CT_IMAGE_STORAGE, ["1.2.3.4"])
    )
    assert [context.result for context in association.accepted_contexts] == [0]
    assert sorted(context.result for context in association.rejected_contexts) == [3, 4]
    association.release()


def test_the_node_answers_echo(node: Any) -> None:
    association = node.associate((str(Verification), [str(ImplicitVRLittleEndian)]))
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_success_comes_with_the_instance_and_its_sender(node: Any, make_instance: MakeInstance) -> None:
    association = node.associate()
    assert association.send_c_store(make_instance()).Status == 0x0000
    stored = node.stored[0]
    assert stored.path.exists()
    assert stored.peer == node.opened[0]
    assert stored.peer.calling_ae_title == "CT1"
    assert stored.peer.address == "127.0.0.1"
    assert stored.received_at.utcoffset().total_seconds() == 0
    association.release()


def test_the_release_is_told_after_the_last_instance_and_before_the_peer_reads_it(
    node: Any, make_instance: MakeInstance
) -> None:
    association = node.associate()
    for _ in range(3):
        association.send_c_store(make_instance())
    association.release()
    assert node.told == ["opened", "stored", "stored", "stored", "released"]
    assert node.ended == [(node.opened[0], False)]


def test_each_association_has_an_id_of_its_own(node: Any) -> None:
    for _ in range(3):
        node.associate().release()
    assert len({peer.association_id for peer in node.opened}) == 3


def test_the_same_instance_twice_is_one_file_and_two_successes(node: Any, make_instance: MakeInstance) -> None:
    instance = make_instance()
    association = node.associate()
    assert [association.send_c_store(instance).Status for _ in range(2)] == [0, 0]
    association.release()
    assert len(node.files()) == 1


def test_an_unreadable_dataset_is_quarantined_and_the_next_instance_stored(
    node: Any, make_instance: MakeInstance
) -> None:
    broken = make_instance()
    del broken.StudyInstanceUID
    association = node.associate()
    assert association.send_c_store(broken).Status == 0xC000
    assert association.send_c_store(make_instance()).Status == 0x0000
    association.release()
    (quarantined,) = node.quarantined
    assert "StudyInstanceUID" in quarantined.reason
    assert quarantined.status_code == 0xC000
    assert quarantined.peer == node.opened[0]
    assert dcmread(quarantined.path).SOPInstanceUID == broken.SOPInstanceUID
    assert len(node.files()) == 1


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_a_command_that_names_another_instance_than_the_dataset_is_refused(
    node: Any, make_instance: MakeInstance, write_instances: WriteInstances, keyword: str
) -> None:
    instance = make_instance()
    (path,) = write_instances(instance)
    content = path.read_bytes()
    uid = str(getattr(instance, keyword)).encode()
    where = content.rindex(uid)
    other = uid[:-1] + (b"3" if uid.endswith(b"2") else b"2")
    path.write_bytes(content[:where] + other + content[where + len(uid) :])
    association = node.associate()
    assert (
        association.send_c_store(path).Status == 0xA900
    )  # a path goes out under the UIDs of its File Meta Information
    association.release()
    assert keyword.replace("UID", "").replace("SOP", "SOP ") in node.quarantined[0].reason
    assert node.files() == []


@pytest.mark.parametrize("sop_class_uid", ["31", "1.2.826.0.1.3680043.9.1"])
def test_a_command_of_a_class_that_nobody_knows_is_refused_and_the_next_instance_stored(
    node: Any, make_instance: MakeInstance, sop_class_uid: str
) -> None:
    instance = make_instance()
    instance.SOPClassUID = sop_class_uid
    association = node.associate()
    context = association.accepted_contexts[0]
    context.abstract_syntax = UID(sop_class_uid)  # what DCMTK's dcmsend sends for a file that contradicts itself
    assert association.send_c_store(instance).Status == 0xA900
    context.abstract_syntax = UID(CT_IMAGE_STORAGE)
    assert association.send_c_store(make_instance()).Status == 0x0000
    association.release()
    assert len(node.files()) == 1
    assert f"{sop_class_uid} in the C-STORE command and {CT_IMAGE_STORAGE} was agreed on" in node.quarantined[0].reason


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["../../../outside", "..", "1.2/3"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_with_a_path_in_it_reaches_no_path(
    node: Any, make_instance: MakeInstance, tmp_path: Path, keyword: str, uid: str
) -> None:
    instance = make_instance()
    instance[keyword].value = uid
    association = node.associate()
    assert association.send_c_store(instance).Status == 0xC000
    association.release()
    assert node.files() == []
    assert not list(tmp_path.rglob("outside*"))
    assert keyword in node.quarantined[0].reason


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_command_with_a_path_for_a_uid_is_quarantined(node: Any, make_instance: MakeInstance) -> None:
    instance = make_instance()
    instance["SOPInstanceUID"].value = "../../../outside"
    association = node.associate()
    assert association.send_c_store(instance).Status == 0xC000
    association.release()
    assert "Affected SOP Instance UID" in node.quarantined[0].reason


@pytest.mark.parametrize("name", ["../../山田^太郎", "${jndi:ldap://x}", "'; DROP TABLE studies; --"])
def test_a_patient_name_is_only_ever_a_value(node: Any, make_instance: MakeInstance, name: str) -> None:
    association = node.associate()
    with capture_logs() as logs:
        instance = make_instance(SpecificCharacterSet="ISO_IR 192", PatientName=name, PatientID="")
        assert association.send_c_store(instance).Status == 0x0000
    association.release()
    assert [path.name for path in node.files()] == [f"{instance.SOPInstanceUID}.dcm"]
    assert name not in repr(logs)


def test_low_disk_is_answered_before_the_floor_is_reached(
    make_node: Callable[..., Any], make_instance: MakeInstance, tmp_path: Path
) -> None:
    node = make_node(floor_bytes=shutil.disk_usage(tmp_path).total + 1)
    association = node.associate()
    assert association.send_c_store(make_instance()).Status == 0xA700
    association.release()
    assert node.files() == []
    assert node.stored == node.quarantined == []


def test_a_dataset_over_the_limit_is_refused_and_the_next_one_stored(
    make_node: Callable[..., Any], make_instance: MakeInstance
) -> None:
    node = make_node(limits=Limits(maximum_dataset_bytes=1_000_000, maximum_pdu_bytes=65_536))
    association = node.associate()
    assert association.send_c_store(make_instance(size=2048)).Status == 0xA700
    assert association.send_c_store(make_instance()).Status == 0x0000
    association.release()
    assert len(node.files()) == 1


def test_what_nobody_foresaw_is_a_processing_failure_and_not_the_end_of_the_association(
    make_node: Callable[..., Any], make_instance: MakeInstance
) -> None:
    def defective(_part10: bytes) -> Any:
        raise ZeroDivisionError

    node = make_node(read_header=defective)
    association = node.associate()
    assert [association.send_c_store(make_instance()).Status for _ in range(2)] == [0x0110, 0x0110]
    association.release()
    assert node.files() == []


def test_callbacks_that_raise_break_nothing(make_node: Callable[..., Any], make_instance: MakeInstance) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the database is down")

    node = make_node(on_stored=broken, on_quarantined=broken, on_association_opened=broken, on_association_ended=broken)
    association = node.associate()
    assert association.send_c_store(make_instance()).Status == 0x0000
    association.release()
    assert association.is_released
    assert len(node.files()) == 1


def test_a_refusal_of_the_reader_is_kept_with_its_words(
    make_node: Callable[..., Any], make_instance: MakeInstance
) -> None:
    def refusing(_part10: bytes) -> Any:
        raise Refused("the dataset ends within the header of an element, at byte 400")

    node = make_node(read_header=refusing)
    association = node.associate()
    association.send_c_store(make_instance())
    association.release()
    assert node.quarantined[0].reason == "the dataset ends within the header of an element, at byte 400"


def test_instances_of_one_series_over_four_associations_at_once_all_arrive(
    node: Any, make_instance: MakeInstance
) -> None:
    def scan() -> None:
        association = node.associate()
        for _ in range(5):
            assert association.send_c_store(make_instance()).Status == 0x0000
        association.release()

    scanners = [threading.Thread(target=scan) for _ in range(4)]
    for scanner in scanners:
        scanner.start()
    for scanner in scanners:
        scanner.join(timeout=30)
    assert len(node.files()) == len(node.stored) == 20
    assert len(node.ended) == 4


@pytest.mark.parametrize(
    ("title", "peers", "diagnostic"),
    [("OTHER", [], 7), ("TRIAGE", ["CT2"], 3), ("TRIAGE", ["CT1@10.0.0.0/8"], 3)],
)
def test_a_stranger_is_rejected_with_the_reason(
    make_node: Callable[..., Any], title: str, peers: list[str], diagnostic: int
) -> None:
    node = make_node(policy=PeerPolicy.parse(peers, "TRIAGE"))
    association = node.associate(title=title)
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, diagnostic)
    assert node.opened == node.ended == []


def test_the_node_may_ask_itself_whether_it_lives_and_nothing_else(make_node: Callable[..., Any]) -> None:
    node = make_node(policy=PeerPolicy.parse(["CT1@10.0.0.0/8"], "TRIAGE"))
    entity = AE("TRIAGE")
    for sop_class in (Verification, CT_IMAGE_STORAGE):
        entity.add_requested_context(sop_class)
    association = entity.associate("127.0.0.1", node.port, ae_title="TRIAGE")
    assert [context.abstract_syntax for context in association.accepted_contexts] == [Verification]
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_one_association_too_many_is_put_off(make_node: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    node = make_node(limits=Limits(maximum_associations=2))
    held = [node.associate() for _ in range(2)]
    rejected = node.associate()
    assert rejected.is_rejected
    answer = rejected.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    held[0].release()
    eventually(lambda: node.associate().is_established)


def test_two_processes_may_share_a_port_and_only_on_purpose(make_node: Callable[..., Any]) -> None:
    first = make_node(reuse_port=True)
    second = make_node(reuse_port=True, port=first.port)
    assert second.port == first.port
    alone = make_node()
    with pytest.raises(OSError, match="in use"):
        make_node(port=alone.port)


def test_shutdown_waits_for_those_who_are_done_in_time_and_aborts_the_others(
    node: Any, make_instance: MakeInstance, eventually: Callable[..., Any]
) -> None:
    done, idle = node.associate(), node.associate()
    ending = threading.Thread(target=node.scp.shutdown, kwargs={"grace_s": 1.0})
    ending.start()
    assert done.send_c_store(make_instance()).Status == 0x0000
    done.release()
    ending.join(timeout=10)
    eventually(lambda: idle.is_aborted)
    assert sorted(aborted for _, aborted in node.ended) == [False, True]
    assert not node.associate().is_established


@pytest.mark.parametrize("count", [0, 401])
def test_more_associations_than_can_be_waited_for_are_a_wrong_setting(count: int) -> None:
    with pytest.raises(ConfigurationRejected, match="1 to 400"):
        Limits(maximum_associations=count)
