"""Study root C-FIND: our studies with their priority, level by level, for whoever may ask."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import Engine

from triage_node.arrival.peer_policy import PeerPolicy
from triage_node.core.conformance import CT_IMAGE_STORAGE, STUDY_ROOT_FIND, UPS_PULL


def _studies(room: Any, **keys: Any) -> tuple[list[Dataset], list[int]]:
    matches, statuses = room.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", **keys)
    return list(matches), list(statuses)


def test_flagged_studies_come_first_and_say_so(room: Any) -> None:
    plain, flagged = room.studies.arrive(), room.studies.arrive()
    room.studies.classify(plain, 0.05)
    room.studies.classify(flagged, 0.93)
    asked = ("StudyInstanceUID", "PatientName", "RequestedProcedurePriority", "StudyComments", "ModalitiesInStudy")
    counts = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
    matches, statuses = _studies(room, **dict.fromkeys(asked, ""), **dict.fromkeys(counts, None))
    assert statuses == [0xFF00, 0xFF00, 0x0000]
    assert [each.StudyInstanceUID for each in matches] == [flagged, plain]
    assert [each.RequestedProcedurePriority for each in matches] == ["STAT", "ROUTINE"]
    first = matches[0]
    assert (first.PatientName, first.ModalitiesInStudy, first.NumberOfStudyRelatedInstances) == ("Doe^Jane2", "CT", 28)
    assert (first.RetrieveAETitle, first.InstanceAvailability) == ("PACS", "ONLINE")
    assert "Flagged for intracranial hemorrhage" in first.StudyComments


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"RequestedProcedurePriority": "STAT"}, 1),
        ({"PatientName": "DOE*"}, 2),
        ({"PatientID": "MRN0001"}, 1),
        ({"AccessionNumber": "A000*"}, 2),
        ({"StudyDate": "20200101-20991231"}, 2),
        ({"StudyDate": "-20200101"}, 0),
        ({"StudyDate": "20200101"}, 0),
        ({"StudyTime": "-"}, None),
        ({"ModalitiesInStudy": ["MR", "CT"]}, 2),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyDescription": "*head*"}, 2),
        ({"StudyDescription": "*Head*"}, 0),
        ({"StudyID": "1"}, 0),
        ({"AccessionNumber": "' OR '1'='1"}, 0),
    ],
)
def test_keys_match_as_the_standard_says(room: Any, keys: dict[str, Any], count: int | None) -> None:
    room.studies.classify(room.studies.arrive(), 0.93)
    room.studies.arrive()
    matches, statuses = _studies(room, **keys)
    if count is None:
        assert statuses == [0xC000]
    else:
        assert (len(matches), statuses[-1]) == (count, 0x0000)


def test_series_and_images_are_found_below_what_is_named(room: Any) -> None:
    uid = room.studies.arrive()
    (series,), _ = room.find(
        STUDY_ROOT_FIND,
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID=uid,
        Modality="CT",
        NumberOfSeriesRelatedInstances=None,
        SeriesNumber=None,
        PatientID="",
    )
    assert (series.NumberOfSeriesRelatedInstances, series.SeriesNumber, series.PatientID) == (28, 1, "MRN0001")
    keys = {"StudyInstanceUID": uid, "SeriesInstanceUID": series.SeriesInstanceUID}
    images, _ = room.find(STUDY_ROOT_FIND, QueryRetrieveLevel="IMAGE", **keys, InstanceNumber=None, SOPClassUID="")
    assert len(images) == 28
    assert {each.SOPClassUID for each in images} == {CT_IMAGE_STORAGE}
    (one,), _ = room.find(STUDY_ROOT_FIND, QueryRetrieveLevel="IMAGE", **keys, InstanceNumber="7", Rows=None)
    assert (one.InstanceNumber, one.Rows) == (7, 512)


@pytest.mark.parametrize(
    "keys",
    [{}, {"QueryRetrieveLevel": "PATIENT"}, {"QueryRetrieveLevel": "SERIES"}, {"QueryRetrieveLevel": "IMAGE"}],
)
def test_identifiers_without_level_or_unique_keys_do_not_fit(room: Any, keys: dict[str, str]) -> None:
    assert room.find(STUDY_ROOT_FIND, **keys, PatientID="")[1] == [0xA900]


def test_a_study_of_odd_values_hides_no_other(room: Any) -> None:
    room.studies.arrive(study_date="☃" * 8, patient_name="A\\B=C=D=E^^^^^^^", patient_id="x" * 400, modality="ÄÖ")
    room.studies.arrive()
    keys = dict.fromkeys(("StudyDate", "PatientName", "PatientID", "ModalitiesInStudy"), "")
    matches, statuses = _studies(room, **keys)
    assert statuses == [0xFF00, 0xFF00, 0x0000]
    assert matches[0].StudyDate == ""
    assert room.find(PatientName="", PatientID="")[1] == [0xFF00, 0xFF00, 0x0000]


def test_no_log_names_a_patient(
    sqlite_engine: Engine, open_room: Callable[..., Any], caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    room = open_room(sqlite_engine)
    room.studies.arrive(patient_name="Secret^Name")
    with caplog.at_level(logging.INFO):
        assert len(_studies(room, PatientName="SECRET*")[0]) == 1
        assert len(room.find(PatientName="Secret^Name")[0]) == 1
    assert "secret" not in (caplog.text + capsys.readouterr().out).lower()


def test_only_those_who_may_query_are_offered_it(
    sqlite_engine: Engine, open_room: Callable[..., Any], dataset: Callable[..., Dataset]
) -> None:
    room = open_room(
        sqlite_engine,
        policy=PeerPolicy.parse(["CT1", "BOTH"], "TRIAGE"),
        query_policy=PeerPolicy.parse(["VIEWER", "BOTH"], "TRIAGE"),
    )
    every = (CT_IMAGE_STORAGE, STUDY_ROOT_FIND, UPS_PULL)
    offered = {}
    for title in ("CT1", "VIEWER", "BOTH", "STRANGER"):
        association = room.associate(title, *every)
        offered[title] = {str(each.abstract_syntax) for each in association.accepted_contexts}
        if association.is_established:
            association.release()
    assert offered == {
        "CT1": {CT_IMAGE_STORAGE},
        "VIEWER": {STUDY_ROOT_FIND, UPS_PULL},
        "BOTH": set(every),
        "STRANGER": set(),
    }


def _findscu(room: Any, model: str, *keys: str, expected: int = 0) -> str:
    options = ["-v", "-aet", "VIEWER", "-aec", "TRIAGE", model, *(part for key in keys for part in ("-k", key))]
    command = ["findscu", *options, "127.0.0.1", str(room.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stderr
    return done.stdout + done.stderr


def _values(shown: str, keyword: str) -> list[str]:
    return re.findall(rf"\[([^]]*?)[ \0]?\] .* {keyword}$", shown, re.MULTILINE)


needs_findscu = pytest.mark.skipif(shutil.which("findscu") is None, reason="needs DCMTK (apt-get install dcmtk)")


@pytest.mark.debian
@needs_findscu
def test_findscu_reads_the_studies(sqlite_engine: Engine, open_room: Callable[..., Any]) -> None:
    room = open_room(sqlite_engine)
    room.studies.classify(room.studies.arrive(), 0.05)
    room.studies.classify(room.studies.arrive(), 0.93)
    keys = ("QueryRetrieveLevel=STUDY", "PatientName=DOE*", "RequestedProcedurePriority", "StudyInstanceUID")
    shown = _findscu(room, "-S", *keys)
    assert _values(shown, "RequestedProcedurePriority") == ["STAT", "ROUTINE"]
    assert _values(shown, "PatientName") == ["DOE*", "Doe^Jane2", "Doe^Jane1"]


@pytest.mark.debian
@needs_findscu
def test_findscu_goes_down_to_series_and_images(sqlite_engine: Engine, open_room: Callable[..., Any]) -> None:
    room = open_room(sqlite_engine)
    uid = room.studies.arrive()
    room.studies.arrive()
    study = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={uid}")
    shown = _findscu(room, "-S", *study, "SeriesInstanceUID", "Modality")
    (series,) = _values(shown, "SeriesInstanceUID")
    image = (
        "QueryRetrieveLevel=IMAGE",
        *study[1:],
        f"SeriesInstanceUID={series}",
        "SOPInstanceUID",
        "InstanceNumber=3",
    )
    assert _values(_findscu(room, "-S", *image), "InstanceNumber") == ["3", "3"]
    assert "DataSetDoesNotMatchSOPClass" in _findscu(room, "-S", "QueryRetrieveLevel=SERIES", "Modality")


@pytest.mark.debian
@needs_findscu
@pytest.mark.parametrize("model", ["-W", "-P", "-O"], ids=["modality worklist", "patient root", "patient only"])
def test_findscu_is_offered_no_other_model(sqlite_engine: Engine, open_room: Callable[..., Any], model: str) -> None:
    room = open_room(sqlite_engine)
    room.studies.arrive()
    assert "No Acceptable Presentation Contexts" in _findscu(room, model, "PatientName", expected=2)
