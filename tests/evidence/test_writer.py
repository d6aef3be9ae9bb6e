"""The port on a folder: which objects a reading brings, and that repeating it brings the same ones."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydicom import config, dcmread
from pydicom.uid import Comprehensive3DSRStorage, KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage

from triage_node.core.errors import Defect
from triage_node.core.identifiers import IllegalUid
from triage_node.core.ports import EarlierReport, NotAnalysedOrder
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer
from triage_node.evidence.kept_heatmaps import archive_name
from triage_node.evidence.message_files import MessageFiles


def kinds(written):
    return [each.kind for each in written]


def test_flagged_study_gets_a_report_a_heatmap_per_flagged_slice_and_key_objects(make_writer, make_order, make_series):
    written = make_writer().write(make_order(make_series()))
    assert kinds(written) == ["SR", "SC", "SC", "SC", "KO"]
    assert [each.number for each in written] == [1, 1, 2, 3, 1]
    assert [each.sop_class_uid for each in written] == [
        Comprehensive3DSRStorage,
        *[SecondaryCaptureImageStorage] * 3,
        KeyObjectSelectionDocumentStorage,
    ]


def test_study_that_is_not_flagged_gets_a_report_only(make_writer, make_order, make_series):
    assert kinds(make_writer().write(make_order(make_series(), flagged=False))) == ["SR"]


def test_returned_objects_name_what_is_on_disk(make_writer, make_order, make_series):
    volume = make_series()
    source = dcmread(volume.paths[0])
    for each in make_writer().write(make_order(volume)):
        dataset = dcmread(each.path)
        assert dataset.SOPInstanceUID == each.sop_instance_uid == dataset.file_meta.MediaStorageSOPInstanceUID
        assert dataset.SeriesInstanceUID == each.series_instance_uid != source.SeriesInstanceUID
        assert dataset.StudyInstanceUID == each.study_instance_uid == source.StudyInstanceUID
        assert each.path.parent.name == source.StudyInstanceUID


def test_writing_again_gives_the_same_bytes(make_writer, make_order, make_series):
    order = make_order(make_series())
    first = {each.path: each.path.read_bytes() for each in make_writer().write(order)}
    second = {each.path: each.path.read_bytes() for each in make_writer().write(order)}
    assert first == second


def test_each_revision_model_and_operating_point_has_uids_of_its_own(make_writer, make_order, make_series):
    order = make_order(make_series())
    orders = [
        order,
        replace(order, revision=2),
        replace(order, finding=replace(order.finding, weights_sha256="cd" * 32)),
        replace(order, finding=replace(order.finding, operating_threshold=0.6)),
    ]
    uids = [each.sop_instance_uid for one in orders for each in make_writer().write(one)]
    assert len(uids) == len(set(uids)) == 4 * 5


def test_objects_of_one_kind_share_a_series_and_kinds_do_not(make_writer, make_order, make_series):
    written = make_writer().write(make_order(make_series()))
    series = {(each.kind, each.series_instance_uid) for each in written}
    assert len(series) == len({uid for _, uid in series}) == 3


def test_only_the_kinds_asked_for_are_made(make_writer, make_order, make_series):
    order = make_order(make_series())
    assert kinds(make_writer(kinds=("KO",)).write(order)) == ["KO"]
    with pytest.raises(ValueError, match="XYZ"):
        make_writer(kinds=("SR", "XYZ"))


def test_limit_keeps_the_heatmaps_of_the_highest_probability_in_order(make_writer, make_order, make_series):
    volume = make_series(8)
    written = make_writer(kinds=("SC",), heatmap_limit=2).write(make_order(volume))
    shown = [dcmread(each.path).SourceImageSequence[0].ReferencedSOPInstanceUID for each in written]
    assert shown == [volume.sop_instance_uids[5], volume.sop_instance_uids[6]]


def test_flagged_slice_without_a_heatmap_gets_none(make_writer, make_order, make_series):
    order = make_order(make_series())
    written = make_writer().write(replace(order, heatmaps={2: order.heatmaps[2]}))
    assert kinds(written) == ["SR", "SC", "KO"]


def test_finding_of_another_volume_is_a_defect(make_writer, make_order, make_series):
    order = make_order(make_series())
    with pytest.raises(Defect, match="slices"):
        make_writer().write(replace(order, volume=make_series()))


def test_study_uid_that_would_leave_the_folder_is_refused(make_writer, make_order, make_series):
    def climb(dataset):
        with config.disable_value_validation():
            dataset.StudyInstanceUID = "../../etc"

    with pytest.raises(IllegalUid):
        make_writer().write(make_order(make_series(change=climb)))


def test_no_temporary_file_is_left(make_writer, make_order, make_series, tmp_path):
    volume = make_series()
    written = make_writer().write(make_order(volume))
    folder = written[0].path.parent
    kept = folder / archive_name(str(dcmread(volume.paths[0]).SeriesInstanceUID), 1)
    assert sorted(tmp_path.joinpath("evidence").rglob("*.*")) == sorted(
        [*(each.path for each in written), kept, folder]
    )


def test_times_are_those_of_the_reading_in_the_zone_of_the_study(make_writer, make_order, make_series):
    def in_japan(dataset):
        dataset.TimezoneOffsetFromUTC = "+0900"

    for change, zone, expected in (
        (in_japan, None, ("20261123", "153015.250000")),
        (None, timezone(timedelta(hours=-5)), ("20261123", "013015.250000")),
    ):
        for each in make_writer(time_zone=zone).write(make_order(make_series(change=change))):
            dataset = dcmread(each.path)
            for moment in ("Content", "Series", "InstanceCreation"):
                assert (dataset[f"{moment}Date"].value, dataset[f"{moment}Time"].value) == expected
            assert dataset.get("TimezoneOffsetFromUTC") == ("+0900" if change else None)


def test_everything_passes_strict_reading(make_writer, make_order, make_series, monkeypatch):
    written = make_writer().write(make_order(make_series()))
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    for each in written:
        dcmread(each.path).walk(lambda dataset, element: element.value)


def test_series_that_was_not_read_gets_a_report_where_reports_are_made(make_writer, make_series):
    volume = make_series()
    refusal = Refusal(Reason.MISSING_SLICES, "gap of 10.0 mm after slice 2")
    now = datetime(2026, 11, 23, tzinfo=UTC)
    first = make_writer().write_not_analysed(NotAnalysedOrder(volume.paths, refusal, 1, now))
    again = make_writer().write_not_analysed(NotAnalysedOrder(volume.paths, refusal, 1, now))
    assert kinds(first) == ["SR"]
    assert first == again
    assert make_writer(kinds=("SC",)).write_not_analysed(NotAnalysedOrder(volume.paths, refusal, 1, now)) == []


@pytest.fixture
def with_messages(make_writer):
    return make_writer(messages=MessageFiles(frozenset({"HL7", "WEBHOOK", "FHIR"})))


def test_messages_come_after_the_objects_and_name_them(with_messages, make_order, make_series):
    written = with_messages.write(make_order(make_series()))
    assert kinds(written) == ["SR", "SC", "SC", "SC", "KO", "FHIR", "HL7", "WEBHOOK"]
    document = json.loads(written[-1].path.read_bytes())
    assert [each["sop_instance_uid"] for each in document["evidence"]] == [
        each.sop_instance_uid for each in written[:5]
    ]
    assert written[0].sop_instance_uid in written[6].path.read_text()
    assert f"urn:oid:{written[0].sop_instance_uid}" in written[5].path.read_text()
    for each in written[5:]:
        assert each.path.parent == written[0].path.parent
        assert (each.path.stem, each.number, each.sop_class_uid) == (each.sop_instance_uid, 1, "")
        assert each.study_instance_uid == written[0].study_instance_uid


def test_messages_are_the_same_bytes_when_the_step_repeats(with_messages, make_order, make_series):
    order = make_order(make_series())
    first, second = ({each.path: each.path.read_bytes() for each in with_messages.write(order)} for _ in range(2))
    assert first == second


def test_message_of_a_study_that_was_not_read_tells_the_reason_where_no_report_is_made(make_writer, make_series):
    writer = make_writer(kinds=("SC",), messages=MessageFiles(frozenset({"WEBHOOK"})))
    refusal = Refusal(Reason.NOT_HEAD, "")
    order = NotAnalysedOrder(make_series().paths, refusal, 1, datetime(2026, 11, 23, tzinfo=UTC))
    (written,) = writer.write_not_analysed(order)
    assert (written.kind, json.loads(written.path.read_bytes())["reason"]) == ("WEBHOOK", "NOT_HEAD")


def test_message_of_a_later_revision_names_the_report_that_it_supersedes(with_messages, make_order, make_series):
    order = make_order(make_series())
    first = with_messages.write(order)[0]
    earlier = EarlierReport(first.path, EarlierAnswer(False))
    written = with_messages.write(replace(order, revision=2, predecessor=earlier))
    document = json.loads(written[-1].path.read_bytes())
    assert (document["revision"], document["supersedes_report"]) == (2, first.sop_instance_uid)
    assert "The answer has changed" in document["impression"]


def test_all_slices_are_drawn_where_the_order_has_them_and_say_which_are_flagged(make_writer, make_order, make_series):
    order = make_order(make_series())
    everywhere = dict.fromkeys(range(5), order.heatmaps[2])
    written = make_writer(kinds=("SC", "PR")).write(replace(order, heatmaps=everywhere))
    assert kinds(written) == [*["SC"] * 5, "PR"]
    headlines = [dcmread(each.path).ImageComments.partition(" 0.")[0] for each in written[:5]]
    assert headlines == ["Not flagged, probability", *["Suspected hemorrhage"] * 3, "Not flagged, probability"]
    assert len(dcmread(written[5].path).GraphicAnnotationSequence) == 3
    unflagged = make_order(make_series(), flagged=False)
    assert make_writer(kinds=("SC", "KO", "PR")).write(replace(unflagged, heatmaps=everywhere)) == []
