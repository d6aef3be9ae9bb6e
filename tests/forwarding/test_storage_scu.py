"""The SCU against every kind of PACS: one outcome an object, in order, and never an exception."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)
from pynetdicom import AllStoragePresentationContexts, evt

from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.outgoing import OutgoingInstance, proposals
from triage_node.forwarding.storage_scu import PeerUnreachable, StorageScu

SR, SC = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7"
VERIFICATION = "1.2.840.10008.1.1"

MakeObject = Callable[..., EvidenceObject]
MakePacs = Callable[..., Any]


def dataset_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    return content[132 + 12 + int.from_bytes(content[140:144], "little") :]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_all_objects_go_over_one_association_in_order(make_pacs: MakePacs, make_object: MakeObject) -> None:
    pacs = make_pacs()
    objects = [make_object(kind) for kind in ("SR", "SC", "SC", "KO")]
    outcomes = StorageScu("TRIAGE").send(pacs.peer, objects)
    assert [outcome.action for outcome in outcomes] == [Action.DONE] * 4
    assert [outcome.status_code for outcome in outcomes] == [0x0000] * 4
    uids = [each.sop_instance_uid for each in objects]
    assert [outcome.sop_instance_uid for outcome in outcomes] == uids
    assert [uid for uid, _, _ in pacs.received] == uids
    assert pacs.associations == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_peer_that_takes_the_file_gets_the_bytes_of_the_file(
    make_pacs: MakePacs, make_object: MakeObject, syntax: str
) -> None:
    pacs = make_pacs(syntaxes=[ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
    sent = make_object("SR", syntax=syntax)
    StorageScu("TRIAGE").send(pacs.peer, [sent])
    assert pacs.received == [(sent.sop_instance_uid, syntax, dataset_bytes(sent.path))]


@pytest.mark.parametrize("has", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("takes", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_peer_that_takes_one_uncompressed_syntax_only_gets_that_one(
    make_pacs: MakePacs, make_object: MakeObject, has: str, takes: str
) -> None:
    pacs = make_pacs(syntaxes=[takes])
    sent = make_object("SR", syntax=has)
    (outcome,) = StorageScu("TRIAGE").send(pacs.peer, [sent])
    assert outcome.action is Action.DONE
    ((_, syntax, encoded),) = pacs.received
    assert syntax == takes
    received = dcmread(DicomBytesIO(encoded), force=True)
    original = dcmread(sent.path)
    assert {element.tag: element.value for element in received} == {element.tag: element.value for element in original}


def test_compressed_pixels_go_as_they_are_or_not_at_all(make_pacs: MakePacs, make_object: MakeObject) -> None:
    compressed = make_object("SC", syntax=RLELossless)
    takes, refuses = make_pacs(syntaxes=[RLELossless]), make_pacs()
    (taken,) = StorageScu("TRIAGE").send(takes.peer, [compressed])
    (refused,) = StorageScu("TRIAGE").send(refuses.peer, [compressed])
    assert taken.action is Action.DONE
    assert takes.received[0][2] == dataset_bytes(compressed.path)
    assert refused.action is Action.GIVE_UP
    assert "RLE Lossless" in refused.detail


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0x0000, Action.DONE),
        (0x0111, Action.DONE),
        (0xB000, Action.DONE_WITH_WARNING),
        (0xB007, Action.DONE_WITH_WARNING),
        (0xA700, Action.TRY_AGAIN),
        (0x0110, Action.TRY_AGAIN),
        (0xA900, Action.GIVE_UP),
        (0xC000, Action.GIVE_UP),
        (0xC123, Action.GIVE_UP),
        (0x0122, Action.GIVE_UP),
    ],
)
def test_every_status_has_its_consequence(
    make_pacs: MakePacs, make_object: MakeObject, code: int, action: Action
) -> None:
    pacs = make_pacs()
    pacs.answer = lambda _event: code
    first, second = StorageScu("TRIAGE").send(pacs.peer, [make_object("SR"), make_object("SC")])
    assert (first.action, first.status_code) == (second.action, second.status_code) == (action, code)
    assert f"0x{code:04X}" in first.detail


def test_a_pacs_that_refuses_one_class_gets_the_others(make_pacs: MakePacs, make_object: MakeObject) -> None:
    pacs = make_pacs(classes=[SC])
    report, heatmap = StorageScu("TRIAGE").send(pacs.peer, [make_object("SR"), make_object("SC")])
    assert report.action is Action.GIVE_UP
    assert report.status_code is None
    assert "peer refused SOP class Comprehensive 3D SR Storage" in report.detail
    assert "abstract syntax not supported" in report.detail
    assert heatmap.action is Action.DONE


def test_a_pacs_that_refuses_every_class_is_given_up_with_the_reason(
    make_pacs: MakePacs, make_object: MakeObject
) -> None:
    pacs = make_pacs(classes=[VERIFICATION])
    (outcome,) = StorageScu("TRIAGE").send(pacs.peer, [make_object("SR")])
    assert outcome.action is Action.GIVE_UP
    assert "abstract syntax not supported" in outcome.detail


def test_a_pacs_that_is_down_is_tried_again(make_object: MakeObject) -> None:
    outcomes = StorageScu("TRIAGE").send(
        PeerAddress("PACS", "127.0.0.1", free_port()), [make_object("SR"), make_object("SC")]
    )
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN] * 2
    assert "no connection" in outcomes[0].detail


def test_a_pacs_whose_name_does_not_resolve_is_tried_again(make_object: MakeObject) -> None:
    (outcome,) = StorageScu("TRIAGE").send(PeerAddress("PACS", "name with spaces", 104), [make_object("SR")])
    assert outcome.action is Action.TRY_AGAIN


def test_a_rejected_association_is_tried_again_and_says_why(make_pacs: MakePacs, make_object: MakeObject) -> None:
    pacs = make_pacs(require_calling_aet=["SOMEBODY ELSE"])
    (outcome,) = StorageScu("TRIAGE").send(pacs.peer, [make_object("SR")])
    assert outcome.action is Action.TRY_AGAIN
    assert "Calling AE title not recognised" in outcome.detail


def test_a_pacs_that_listens_and_says_nothing_is_tried_again(make_object: MakeObject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peer = PeerAddress("PACS", "127.0.0.1", silent.getsockname()[1])
        started = time.monotonic()
        outcomes = StorageScu("TRIAGE", association_timeout_s=0.5).send(peer, [make_object("SR"), make_object("SC")])
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN] * 2
    assert "not answered within 0.5 s" in outcomes[0].detail
    assert time.monotonic() - started < 5


def test_a_pacs_that_does_not_answer_a_store_is_tried_again_after_one_time_out(
    make_pacs: MakePacs, make_object: MakeObject
) -> None:
    pacs = make_pacs()
    pacs.answer = lambda _event: time.sleep(3) or 0x0000
    started = time.monotonic()
    outcomes = StorageScu("TRIAGE", dimse_timeout_s=0.5).send(pacs.peer, [make_object() for _ in range(3)])
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN] * 3
    assert "no answer to C-STORE within 0.5 s" in outcomes[0].detail
    assert time.monotonic() - started < 3


def test_a_pacs_that_stops_reading_in_the_middle_does_not_hold_us_for_ever(
    make_pacs: MakePacs, make_object: MakeObject
) -> None:
    pacs = make_pacs(handlers=[(evt.EVT_PDU_RECV, lambda event: time.sleep(0.2))])
    started = time.monotonic()
    (outcome,) = StorageScu("TRIAGE", dimse_timeout_s=0.6).send(pacs.peer, [make_object("SC", size=32_000_000)])
    assert outcome.action is Action.TRY_AGAIN
    assert time.monotonic() - started < 10


def test_an_object_that_makes_the_pacs_abort_does_not_hold_back_the_others(
    make_pacs: MakePacs, make_object: MakeObject
) -> None:
    objects = [make_object(kind) for kind in ("SR", "SC", "KO")]
    pacs = make_pacs()

    def abort_at_the_second(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == objects[1].sop_instance_uid:
            event.assoc.abort()
        return 0x0000

    pacs.answer = abort_at_the_second
    outcomes = StorageScu("TRIAGE").send(pacs.peer, objects)
    assert [outcome.action for outcome in outcomes] == [Action.DONE, Action.TRY_AGAIN, Action.DONE]
    assert "aborted" in outcomes[1].detail
    assert pacs.associations == 2


def test_a_pacs_that_accepts_and_aborts_is_tried_again(make_pacs: MakePacs, make_object: MakeObject) -> None:
    pacs = make_pacs(handlers=[(evt.EVT_ESTABLISHED, lambda event: event.assoc.abort())])
    started = time.monotonic()
    outcomes = StorageScu("TRIAGE", dimse_timeout_s=5).send(pacs.peer, [make_object("SR"), make_object("SC")])
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN] * 2
    assert time.monotonic() - started < 5


def test_a_failing_pacs_is_still_asked_for_each_object(make_pacs: MakePacs, make_object: MakeObject) -> None:
    codes = iter([0xA700, 0x0000, 0xC000])
    pacs = make_pacs()
    pacs.answer = lambda _event: next(codes)
    outcomes = StorageScu("TRIAGE").send(pacs.peer, [make_object() for _ in range(3)])
    assert [outcome.action for outcome in outcomes] == [Action.TRY_AGAIN, Action.DONE, Action.GIVE_UP]


def test_a_file_that_is_gone_is_given_up_and_the_others_go(make_pacs: MakePacs, make_object: MakeObject) -> None:
    objects = [make_object(), make_object()]
    objects[0].path.unlink()
    gone, sent = StorageScu("TRIAGE").send(make_pacs().peer, objects)
    assert (gone.action, sent.action) == (Action.GIVE_UP, Action.DONE)
    assert gone.sop_instance_uid == objects[0].sop_instance_uid
    assert "No such file" in gone.detail


@pytest.mark.parametrize("stale", ["MediaStorageSOPInstanceUID", "MediaStorageSOPClassUID"])
def test_the_command_names_what_is_in_the_dataset_of_an_anonymized_file(
    make_pacs: MakePacs, make_object: MakeObject, stale: str
) -> None:
    sent = make_object("SC")
    encoded, meta = dataset_bytes(sent.path), dcmread(sent.path).file_meta
    meta[stale].value = SR if stale.endswith("ClassUID") else generate_uid()
    with sent.path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta)
        file.write(encoded)
    pacs = make_pacs()
    (outcome,) = StorageScu("TRIAGE").send(pacs.peer, [sent])
    assert outcome.action is Action.DONE
    assert pacs.received == [(sent.sop_instance_uid, ExplicitVRLittleEndian, encoded)]


def test_nothing_to_send_needs_no_association(make_pacs: MakePacs) -> None:
    pacs = make_pacs()
    assert StorageScu("TRIAGE").send(pacs.peer, []) == []
    assert pacs.associations == 0


def test_a_folder_goes_out_file_by_file_and_what_is_not_dicom_is_named(
    make_pacs: MakePacs, make_object: MakeObject, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not DICOM")
    empty = tmp_path / "empty.dcm"
    empty.touch()
    pacs = make_pacs()
    paths = [make_object().path, notes, make_object("SC").path, empty]
    outcomes = list(StorageScu("TRIAGE").send_files(pacs.peer, paths))
    assert [outcome.action for outcome in outcomes] == [Action.DONE, Action.GIVE_UP, Action.DONE, Action.GIVE_UP]
    assert "notes.txt" in outcomes[1].detail
    assert pacs.associations == 1


def test_more_than_128_contexts_go_over_more_associations(make_pacs: MakePacs, make_object: MakeObject) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts][:100]
    pacs = make_pacs(classes=classes)
    paths = [make_object(sop_class_uid=uid).path for uid in classes]
    outcomes = list(StorageScu("TRIAGE").send_files(pacs.peer, paths))
    assert [outcome.action for outcome in outcomes] == [Action.DONE] * 100
    assert pacs.associations == 2


def test_outcomes_come_while_the_sending_goes_on_and_the_peer_sees_a_release(
    make_pacs: MakePacs, make_object: MakeObject
) -> None:
    ends: list[str] = []
    pacs = make_pacs(
        handlers=[
            (evt.EVT_RELEASED, lambda _event: ends.append("released")),
            (evt.EVT_ABORTED, lambda _event: ends.append("aborted")),
        ]
    )
    outcomes = StorageScu("TRIAGE").send_files(pacs.peer, [make_object().path for _ in range(3)])
    next(outcomes)
    assert len(pacs.received) == 1
    list(outcomes)
    assert ends == ["released"]
    interrupted = StorageScu("TRIAGE").send_files(pacs.peer, [make_object().path for _ in range(3)])
    next(interrupted)
    interrupted.close()
    assert ends == ["released", "released"]


def test_echo_is_silent_when_all_is_well(make_pacs: MakePacs) -> None:
    StorageScu("TRIAGE").echo(make_pacs().peer)


def test_echo_says_what_is_wrong(make_pacs: MakePacs) -> None:
    scu = StorageScu("TRIAGE")
    with pytest.raises(PeerUnreachable, match="no connection"):
        scu.echo(PeerAddress("PACS", "127.0.0.1", free_port()))
    with pytest.raises(PeerUnreachable, match="no presentation context accepted"):
        scu.echo(make_pacs(classes=[SC]).peer)
    with pytest.raises(PeerUnreachable, match="Called AE title not recognised"):
        scu.echo(make_pacs(require_called_aet=True, ae_title="OTHER").peer)
    failing = make_pacs(handlers=[(evt.EVT_C_ECHO, lambda _event: 0x0122)])
    with pytest.raises(PeerUnreachable, match="0x0122"):
        scu.echo(failing.peer)


def test_the_jpeg_file_of_a_modality_is_proposed_in_its_own_syntax_only(make_object: MakeObject) -> None:
    instance = OutgoingInstance(Path("x"), SC, generate_uid(), JPEGLosslessSV1)
    assert proposals(instance) == ((SC, JPEGLosslessSV1),)
