"""The UPS SCP: what is to be read, most urgent first, and one performer a study whoever asks from wherever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.slices import head
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import Engine

from triage_node.core.audit import AuditFilter
from triage_node.core.conformance import UPS_PULL, UPS_PUSH, UPS_QUERY
from triage_node.core.reader_task import TaskTaken


def test_flagged_studies_come_first_with_high_priority(room: Any) -> None:
    plain, flagged, waiting = room.studies.arrive(), room.studies.arrive(), room.studies.arrive(minutes_ago=60)
    room.studies.classify(plain, 0.05)
    room.studies.classify(flagged, 0.93)
    matches, statuses = room.find(
        StudyInstanceUID="",
        ScheduledProcedureStepPriority="",
        ProcedureStepState="SCHEDULED",
        ProcedureStepLabel="",
        CommentsOnTheScheduledProcedureStep="",
    )
    assert [each.StudyInstanceUID for each in matches] == [flagged, waiting, plain]
    assert [each.ScheduledProcedureStepPriority for each in matches] == ["HIGH", "LOW", "LOW"]
    assert [each.ProcedureStepLabel for each in matches] == [
        "ICH triage: flagged",
        "ICH triage: not read yet",
        "ICH triage: not flagged",
    ]
    assert all("Not for diagnostic use" in each.CommentsOnTheScheduledProcedureStep for each in matches)
    assert statuses == [0xFF00, 0xFF00, 0xFF00, 0x0000]


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"ScheduledProcedureStepPriority": "HIGH"}, 1),
        ({"ScheduledProcedureStepPriority": "MEDIUM"}, 0),
        ({"PatientName": "doe*"}, 2),
        ({"PatientName": "DOE^JANE1"}, 1),
        ({"PatientName": "*"}, 2),
        ({"PatientID": "MRN000?"}, 2),
        ({"PatientID": "mrn000?"}, 0),
        ({"PatientID": "MRN0002"}, 1),
        ({"ProcedureStepLabel": "*flagged"}, 2),
        ({"ProcedureStepLabel": "ICH triage: flagged"}, 1),
        ({"WorklistLabel": "ICH*"}, 2),
        ({"WorklistLabel": "other"}, 0),
        ({"InputReadinessState": "READY"}, 2),
        ({"ProcedureStepState": "COMPLETED"}, 0),
        ({"ScheduledProcedureStepStartDateTime": "20200101-"}, 2),
        ({"ScheduledProcedureStepStartDateTime": "-20200101"}, 0),
        ({"PatientBirthDate": "19700101"}, 0),
    ],
)
def test_keys_match_as_the_standard_says(room: Any, keys: dict[str, str], count: int) -> None:
    room.studies.classify(room.studies.arrive(), 0.93)
    room.studies.classify(room.studies.arrive(), 0.05)
    matches, statuses = room.find(**keys)
    assert len(matches) == count
    assert statuses[-1] == 0x0000


def test_lists_of_uids_and_items_of_sequences_match(room: Any, dataset: Callable[..., Dataset]) -> None:
    first, second = room.studies.arrive(), room.studies.arrive()
    assert len(room.find(StudyInstanceUID=[first, second, "1.2.99"])[0]) == 2
    wanted = dataset(AccessionNumber="A0002", StudyInstanceUID="")
    (match,) = room.find(ReferencedRequestSequence=[wanted])[0]
    assert match.ReferencedRequestSequence[0].StudyInstanceUID == second
    assert "RequestedProcedureID" not in match.ReferencedRequestSequence[0]
    interpretation = dataset(CodeValue="110005", CodingSchemeDesignator="DCM")
    assert len(room.find(ScheduledWorkitemCodeSequence=[interpretation])[0]) == 2
    assert room.find(ScheduledWorkitemCodeSequence=[dataset(CodeValue="110001")])[0] == []
    assert room.find(ScheduledStationNameCodeSequence=[dataset(CodeValue="OTHER")])[0] == []


def test_keys_that_are_not_known_are_left_aside_and_said_so(room: Any) -> None:
    room.studies.arrive()
    matches, statuses = room.find(PatientID="", BodyPartExamined="HEAD")
    assert statuses == [0xFF01, 0x0000]
    assert "BodyPartExamined" not in matches[0]


def test_workitem_says_what_is_to_be_read_and_where_it_is(room: Any) -> None:
    uid = room.studies.arrive()
    room.studies.classify(uid)
    workitem = room.workitem(uid)
    status, found = room.get(workitem)
    assert status == 0x0000
    assert (found.SOPClassUID, found.SOPInstanceUID) == (UPS_PUSH, workitem)
    (series,) = found.InputInformationSequence
    assert (series.StudyInstanceUID, len(series.ReferencedSOPSequence)) == (uid, 28)
    assert series.DICOMRetrievalSequence[0].RetrieveAETitle == "PACS"
    assert found.ScheduledWorkitemCodeSequence[0].CodeValue == "110005"
    assert found.ReferencedRequestSequence[0].AccessionNumber == "A0001"
    assert found.InputReadinessState == "READY"


def test_some_attributes_are_got_by_tag_and_the_lock_is_never_shown(room: Any, transaction: str) -> None:
    workitem = room.workitem(room.studies.arrive())
    assert room.change(workitem, "IN PROGRESS", transaction) == 0x0000
    status, found = room.get(workitem, [0x00741000, 0x00081195])
    assert (status, found.ProcedureStepState, len(found)) == (0x0001, "IN PROGRESS", 1)
    assert "TransactionUID" not in room.get(workitem)[1]
    assert room.get("1.2.3.4")[0] == 0xC307


def test_a_claim_over_dicom_is_a_claim_in_the_browser_and_back(
    room: Any, transaction: str, performed: Callable[[str], Dataset]
) -> None:
    first, second = room.studies.arrive(), room.studies.arrive()
    workitem = room.workitem(first)
    assert room.change(workitem, "IN PROGRESS", transaction) == 0x0000
    assert room.tasks.state_of(first).performer == "AE:VIEWER"
    with pytest.raises(TaskTaken, match="AE:VIEWER"):
        room.tasks.take(first, "ann", room.tasks.state_of(first).taken_at)
    assert room.set(workitem, performed(transaction)) == 0x0000
    assert room.change(workitem, "COMPLETED", transaction) == 0x0000
    assert room.tasks.state_of(first).completed_by == "AE:VIEWER"

    room.tasks.take(second, "ann", room.tasks.state_of(first).completed_at)
    assert room.change(room.workitem(second), "IN PROGRESS", transaction) == 0xC302
    actions = [line.action for line in reversed(room.audit.of_study(first, 20))]
    assert actions == ["TAKEN", "PROGRESS_NOTED", "COMPLETED"]
    shown = room.audit.page(AuditFilter(action="WORKLIST_SHOWN"), 5)
    assert (shown[0].actor, shown[0].detail["matches"]) == ("AE:VIEWER", 1)


def test_states_change_as_the_table_of_the_standard_says(
    room: Any, transaction: str, performed: Callable[[str], Dataset]
) -> None:
    workitem, other = room.workitem(room.studies.arrive()), str(generate_uid())
    assert room.change(workitem, "SCHEDULED", transaction) == 0xC303
    assert room.change(workitem, "COMPLETED", transaction) == 0xC310
    assert room.change(workitem, "CANCELED", transaction) == 0xC310
    assert room.change(workitem, "IN PROGRESS") == 0xC301
    assert room.change(workitem, "ASLEEP", transaction) == 0x0115
    assert room.set(workitem, performed(transaction)) == 0xC310
    assert room.change(workitem, "IN PROGRESS", transaction) == 0x0000
    assert room.change(workitem, "IN PROGRESS", transaction) == 0xC302
    assert room.change(workitem, "COMPLETED", other) == 0xC301
    assert room.change(workitem, "CANCELED", other) == 0xC301
    assert room.set(workitem, performed(other)) == 0xC301
    assert room.change(workitem, "COMPLETED", transaction) == 0xC304
    assert room.set(workitem, performed(transaction)) == 0x0000
    assert room.change(workitem, "COMPLETED", transaction) == 0x0000
    assert room.change(workitem, "COMPLETED", transaction) == 0xB306
    assert room.change(workitem, "CANCELED", transaction) == 0xC300
    assert room.change(workitem, "IN PROGRESS", other) == 0xC300
    assert room.set(workitem, performed(transaction)) == 0xC300
    assert room.change("1.2.3.4", "IN PROGRESS", transaction) == 0xC307
    (item,) = room.get(workitem)[1].UnifiedProcedureStepPerformedProcedureSequence
    assert item.PerformedStationNameCodeSequence[0].CodeValue == "VIEWER1"


def test_the_transaction_uid_is_the_lock_whichever_title_asks(
    room: Any, transaction: str, performed: Callable[[str], Dataset]
) -> None:
    """A reading system may claim with one of its AE titles and end with another (PS3.4 CC.2.1.3)."""
    workitem = room.workitem(room.studies.arrive())
    assert room.change(workitem, "IN PROGRESS", transaction, "VIEWER1") == 0x0000
    assert room.set(workitem, performed(transaction), "VIEWER2") == 0x0000
    assert room.change(workitem, "COMPLETED", transaction, "VIEWER3") == 0x0000


def test_a_workitem_given_up_makes_place_for_the_next(room: Any, transaction: str) -> None:
    study = room.studies.arrive()
    workitem = room.workitem(study)
    assert room.change(workitem, "IN PROGRESS", transaction) == 0x0000
    assert room.change(workitem, "CANCELED", transaction) == 0x0000
    assert room.change(workitem, "COMPLETED", transaction) == 0xC307
    assert room.tasks.state_of(study).state.value == "SCHEDULED"
    following = room.workitem(study)
    assert following != workitem
    assert room.change(following, "IN PROGRESS", transaction) == 0x0000


def test_one_of_many_claims_at_once_wins(room: Any) -> None:
    workitem = room.workitem(room.studies.arrive())
    claims = [(f"VIEWER{number}", str(generate_uid())) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: room.change(workitem, "IN PROGRESS", each[1], each[0]), claims))
    assert sorted(answers) == [0x0000] + [0xC302] * 5


def test_other_actions_and_creation_are_refused(room: Any, transaction: str, dataset: Callable[..., Dataset]) -> None:
    workitem = room.workitem(room.studies.arrive())
    association = room.associate()
    status, _ = association.send_n_action(dataset(ReceivingAE="VIEWER"), 3, UPS_PUSH, workitem, meta_uid=UPS_PULL)
    assert status.Status == 0x0123
    status, _ = association.send_n_create(dataset(ProcedureStepState="SCHEDULED"), UPS_PULL, "1.2.3.4")
    assert status.Status == 0x0124
    association.release()
    refused = room.associate("VIEWER", UPS_PUSH)
    assert not refused.is_established, "nothing is offered under UPS Push"


def test_query_class_answers_queries_alone(room: Any, dataset: Callable[..., Dataset]) -> None:
    room.studies.arrive()
    association = room.associate("VIEWER", UPS_QUERY)
    responses = list(association.send_c_find(dataset(PatientID=""), UPS_QUERY))
    association.release()
    assert [int(status.Status) for status, _ in responses] == [0xFF00, 0x0000]


@pytest.mark.parametrize("hostile", ["' OR '1'='1", "'; DROP TABLE studies; --", "%", "_", "a\0b", "[a-z]*"])
@pytest.mark.parametrize(
    "keyword", ["PatientName", "PatientID", "ProcedureStepLabel", "ProcedureStepState", "WorklistLabel"]
)
def test_sql_in_a_key_is_only_text(room: Any, dataset: Callable[..., Dataset], keyword: str, hostile: str) -> None:
    room.studies.arrive()
    asked = dataset(SpecificCharacterSet="ISO_IR 192")
    setattr(asked, keyword, hostile)
    matches, statuses = room.ask(asked)
    assert matches == []
    assert statuses[-1] == 0x0000
    assert len(room.find(PatientID="MRN0001")[0]) == 1


@pytest.mark.parametrize(
    ("keyword", "value", "status"),
    [
        ("ScheduledProcedureStepStartDateTime", "yesterday", 0xC000),
        ("PatientName", "*a*b*c*d*e*f*g*h*i*j", 0xC000),
        ("StudyInstanceUID", "1.2' OR 1=1", 0x0000),
    ],
)
def test_values_that_break_their_kind_are_refused_or_match_nothing(
    room: Any, keyword: str, value: str, status: int
) -> None:
    room.studies.arrive()
    matches, statuses = room.find(**{keyword: value})
    assert (matches, statuses) == ([], [status])


def test_a_key_with_two_items_does_not_fit(room: Any, dataset: Callable[..., Dataset]) -> None:
    two = [dataset(AccessionNumber="1"), dataset(AccessionNumber="2")]
    assert room.find(ReferencedRequestSequence=two)[1] == [0xA900]


def test_names_of_several_groups_match_in_any_script(room: Any, dataset: Callable[..., Dataset]) -> None:
    room.studies.arrive(patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう")
    asked = dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="山田*")
    (match,) = room.ask(asked)[0]
    assert (match.SpecificCharacterSet, match.PatientName.ideographic) == ("ISO_IR 192", "山田^太郎")
    assert len(room.find(PatientName="yamada^tarou")[0]) == 1
    room.studies.arrive(patient_name="Müller^Jörg")
    (match,) = room.ask(dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller*"))[0]
    assert (match.SpecificCharacterSet, str(match.PatientName)) == ("ISO_IR 100", "Müller^Jörg")


@pytest.mark.slow
def test_two_thousand_matches_come_in_order_and_a_query_stops_where_it_is_cancelled(
    sqlite_engine: Engine, open_room: Callable[..., Any], dataset: Callable[..., Dataset]
) -> None:
    room = open_room(sqlite_engine)
    start, now = room.studies.arrive(), datetime.now(UTC)
    room.studies.repository.add_instances(
        [
            each
            for number in range(1999)
            for each in head(now - timedelta(seconds=number), study=f"1.9.{number}", numbers=[0], association=None)
        ]
    )
    matches, statuses = room.find(StudyInstanceUID="", PatientID="", ScheduledProcedureStepStartDateTime="")
    assert (len(matches), statuses[-1]) == (2000, 0x0000)
    times = [each.ScheduledProcedureStepStartDateTime for each in matches]
    assert times == sorted(times)
    assert start in {each.StudyInstanceUID for each in matches}

    association = room.associate()
    statuses = []
    for status, _ in association.send_c_find(dataset(StudyInstanceUID=""), UPS_PULL, msg_id=7):
        statuses.append(int(status.Status))
        if len(statuses) == 5:
            association.send_c_cancel(7, None, UPS_PULL)
    association.release()
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 2000


def test_more_matches_than_the_limit_are_cut_and_said_so(sqlite_engine: Engine, open_room: Callable[..., Any]) -> None:
    room = open_room(sqlite_engine, limit=2)
    for _ in range(3):
        room.studies.arrive()
    assert room.find(PatientID="")[1] == [0xFF00, 0xFF00, 0xA700]
