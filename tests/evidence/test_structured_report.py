"""The report read back with highdicom: what it says, of what, by whom, and after which report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import highdicom.sr as sr
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard

from triage_node.core.finding import SUBTYPES
from triage_node.core.ports import EarlierReport, NotAnalysedOrder
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer, Evaluation
from triage_node.evidence import codes
from triage_node.evidence.provenance import ModelIdentity


@pytest.fixture
def report_of(make_writer):
    """Write the evidence of an order and return its report as highdicom reads it."""

    def run(order):
        return sr.srread(make_writer(kinds=("SR",)).write(order)[0].path)

    return run


def groups(report):
    found = report.content.get_image_measurement_groups()
    return {group.tracking_identifier: group for group in found}


def evaluation(group, code):
    return group.get_qualitative_evaluations(codes.FINDINGS[code])[0].value


def probability(group):
    found = group.get_measurements(codes.PROBABILITY)
    return found[0].value if found else None


def texts(report, concept):
    return [
        item.TextValue
        for item in sr.utils.find_content_items(
            report, name=concept, value_type=sr.ValueTypeValues.TEXT, recursive=True
        )
    ]


def test_flagged_report_says_present_and_absent_with_probabilities(report_of, make_order, make_series):
    found = groups(report_of(make_order(make_series())))
    assert list(found) == [
        "Intracranial hemorrhage",
        "Cerebral parenchymal hemorrhage",
        "Intraventricular hemorrhage",
        "Subdural hemorrhage",
        "Epidural hemorrhage",
        "Subarachnoid hemorrhage",
    ]
    said = {code: evaluation(group, code) for code, group in zip(("ICH", *SUBTYPES), found.values(), strict=True)}
    present, absent = codes.EVALUATIONS[Evaluation.PRESENT], codes.EVALUATIONS[Evaluation.ABSENT]
    assert said == {"ICH": present, "CPH": absent, "IVH": absent, "SDH": present, "EDH": absent, "SAH": present}
    assert [probability(group) for group in found.values()] == [0.93, 0.12, 0.03, 0.88, 0.05, 0.71]


def test_report_of_a_study_not_flagged_says_absent_and_not_assessed(report_of, make_order, make_series):
    found = groups(report_of(make_order(make_series(), flagged=False)))
    said = [evaluation(group, code) for code, group in zip(("ICH", *SUBTYPES), found.values(), strict=True)]
    assert said == [codes.EVALUATIONS[Evaluation.ABSENT], *[codes.EVALUATIONS[Evaluation.NOT_ASSESSED]] * 5]
    assert [probability(group) for group in found.values()] == [0.12, *[None] * 5]


def test_finding_is_named_only_where_it_is_present(report_of, make_order, make_series):
    found = groups(report_of(make_order(make_series())))
    named = [group.finding_type for group in found.values()]
    assert named == [codes.FINDINGS["ICH"], None, None, codes.FINDINGS["SDH"], None, codes.FINDINGS["SAH"]]


def test_flagged_slices_are_referenced_and_measured(report_of, make_order, make_series):
    volume = make_series()
    ich = groups(report_of(make_order(volume)))["Intracranial hemorrhage"]
    referenced = [each.referenced_sop_instance_uid for each in ich.source_images]
    assert referenced == list(volume.sop_instance_uids[1:4])
    expected = {
        codes.SLICES_READ: (5, None),
        codes.SLICES_FLAGGED: (3, None),
        codes.FIRST_FLAGGED_SLICE: (2, 1),
        codes.LAST_FLAGGED_SLICE: (4, 3),
        codes.TOP_SLICE: (4, 3),
        codes.TOP_SLICE_PROBABILITY: (0.75, 3),
    }
    for concept, (value, index) in expected.items():
        (measurement,) = ich.get_measurements(concept)
        assert measurement.value == value
        images = [each.referenced_sop_instance_uid for each in measurement.referenced_images]
        assert images == ([] if index is None else [volume.sop_instance_uids[index]])


def test_counts_are_written_as_whole_numbers(make_writer, make_order, make_series):
    written = make_writer(kinds=("SR",)).write(make_order(make_series()))[0]
    numbers = []
    dcmread(written.path).walk(
        lambda _, element: numbers.append(str(element.value)) if element.keyword == "NumericValue" else None
    )
    assert numbers[:7] == ["0.93", "5", "3", "2", "4", "4", "0.75"]


def test_source_series_and_all_its_images_stand_in_library_and_evidence(report_of, make_order, make_series):
    volume = make_series()
    report = report_of(make_order(volume))
    source = dcmread(volume.paths[0])
    assert [each[2] for each in report.get_evidence()] == list(volume.sop_instance_uids)
    assert report.get_evidence_series() == [(source.StudyInstanceUID, source.SeriesInstanceUID)]
    (library,) = sr.utils.find_content_items(report, name=codes.IMAGE_LIBRARY)
    images = sr.utils.find_content_items(library, value_type=sr.ValueTypeValues.IMAGE, recursive=True)
    assert [each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in images] == list(volume.sop_instance_uids)
    (series,) = sr.utils.find_content_items(library, name=codes.SERIES_INSTANCE_UID, recursive=True)
    assert source.SeriesInstanceUID == series.UID


def test_everything_referenced_is_evidence(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    images = sr.utils.find_content_items(report, value_type=sr.ValueTypeValues.IMAGE, recursive=True)
    referenced = {each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in images}
    assert referenced <= {each[2] for each in report.get_evidence()}


def test_impressions_come_first_and_rows_in_the_order_of_the_template(report_of, make_order, make_series):
    names = [item.name.meaning for item in report_of(make_order(make_series())).content[0].ContentSequence]
    assert names[0] == "Language of Content Item and Descendants"
    assert names[-4:] == ["Procedure reported", "Impressions", "Image Library", "Imaging Measurements"]


def test_observer_is_this_node_and_the_procedure_is_the_ct(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    (observer,) = report.content.get_observer_contexts(standard.DCM.Device)
    device = observer.observer_identifying_attributes
    assert (device.name, device.model_name, device.serial_number) == ("TRIAGE", "triage_node", "node-1")
    (procedure,) = sr.utils.find_content_items(report, name=standard.DCM.ProcedureReported)
    assert procedure.value == codes.CT_HEAD_WITHOUT_CONTRAST


def test_procedure_code_of_the_study_wins(report_of, make_order, make_series):
    def coded(dataset):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "CTHEAD", "99HOSPITAL", "CT of the head"
        dataset.ProcedureCodeSequence = [item]

    report = report_of(make_order(make_series(change=coded)))
    (procedure,) = sr.utils.find_content_items(report, name=standard.DCM.ProcedureReported)
    assert procedure.value.value == "CTHEAD"
    assert report.PerformedProcedureCodeSequence[0].CodeMeaning == "CT of the head"


def test_algorithm_is_identified_with_weights_and_operating_point(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    assert set(texts(report, standard.DCM.AlgorithmName)) == {"cnn-gru"}
    assert set(texts(report, standard.DCM.AlgorithmVersion)) == {"2026.11"}
    assert set(texts(report, standard.DCM.AlgorithmParameters)) == {
        "operating_point=balanced",
        "operating_threshold=0.5",
        f"weights_sha256={'ab' * 32}",
    }


def test_equipment_tells_the_scanner_the_node_and_the_cascade_apart(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    scanner, node, cascade = report.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("ACME", "Scanner 3000")
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == codes.ACQUISITION_EQUIPMENT.value
    assert node.PurposeOfReferenceCodeSequence[0].CodeValue == codes.PROCESSING_EQUIPMENT.value
    assert list(node.SoftwareVersions) == ["0.1.0", "cnn-gru 2026.11"]
    assert (report.ManufacturerModelName, report.DeviceSerialNumber) == ("triage_node", "node-1")
    assert cascade.PurposeOfReferenceCodeSequence[0].CodeValue == codes.PROCESSING_EQUIPMENT.value
    assert (cascade.ManufacturerModelName, cascade.SoftwareVersions) == ("cnn-gru", "2026.11")
    assert cascade.DeviceUID == ModelIdentity("renamed", "2", "ab" * 32).device_uid


def test_other_weights_are_another_device():
    first, second = (ModelIdentity("cnn-gru", "2026.11", weights * 32).device_uid for weights in ("ab", "cd"))
    assert first != second


def test_impression_is_readable_and_the_notices_stand(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    (impression,) = texts(report, codes.IMPRESSION)
    assert impression.startswith(
        "Flagged for suspected intracranial hemorrhage (probability 0.93, operating point balanced"
    )
    assert "subdural and subarachnoid hemorrhage" in impression
    assert texts(report, codes.COMMENT) == ["Not for diagnostic use.", "Research use only."]


def test_report_is_complete_and_unverified_and_leaves_the_last_word_to_others(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )


def test_later_revision_names_its_predecessor_and_keeps_tracking(report_of, make_writer, make_order, make_series):
    volume = make_series()
    first = make_writer(kinds=("SR",)).write(make_order(volume))[0]
    second = report_of(make_order(volume, revision=2, predecessor=EarlierReport(first.path, EarlierAnswer(False))))
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert study.StudyInstanceUID == first.study_instance_uid
    assert series.SeriesInstanceUID == first.series_instance_uid
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.sop_instance_uid
    tracked = [[group.tracking_uid for group in groups(each).values()] for each in (sr.srread(first.path), second)]
    assert tracked[0] == tracked[1]
    assert (
        "Revision 2: this report replaces the earlier one. The answer has changed: it was not flagged."
        in texts(second, codes.IMPRESSION)[0]
    )
    assert second.SeriesDescription.endswith("report (revision 2)")


def test_predecessor_that_retention_took_does_not_stop_the_report(report_of, make_order, make_series, tmp_path):
    report = report_of(
        make_order(make_series(), revision=2, predecessor=EarlierReport(tmp_path / "gone.dcm", EarlierAnswer(True)))
    )
    assert "PredecessorDocumentsSequence" not in report


def test_private_codes_are_declared(report_of, make_order, make_series):
    report = report_of(make_order(make_series()))
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.PRIVATE_SCHEME
    used = {item.CodingSchemeDesignator for item in walked_codes(report)}
    assert {each for each in used if each.startswith("99")} == {codes.PRIVATE_SCHEME}


def walked_codes(dataset):
    found = []
    dataset.walk(lambda each, element: found.append(each) if element.keyword == "CodingSchemeDesignator" else None)
    return [each for each in found if "CodeMeaning" in each]


def test_frames_of_a_multi_frame_source_are_referenced(report_of, make_order, make_series):
    def enhanced(dataset):
        dataset.NumberOfFrames = "5"

    volume = make_series(change=enhanced)
    one = (volume.sop_instance_uids[0],) * 5
    volume = replace(volume, sop_instance_uids=one, frame_numbers=(1, 2, 3, 4, 5), paths=(volume.paths[0],) * 5)
    ich = groups(report_of(make_order(volume)))["Intracranial hemorrhage"]
    assert [list(each.referenced_frame_numbers) for each in ich.source_images] == [[2], [3], [4]]


def test_report_of_a_series_not_read_states_the_reason(make_writer, make_series):
    volume = make_series()
    refusal = Refusal(Reason.IRREGULAR_SPACING, "1.1 to 7.0 mm")
    when = datetime(2026, 11, 23, tzinfo=UTC)
    (written,) = make_writer().write_not_analysed(NotAnalysedOrder(volume.paths, refusal, 1, when))
    report = sr.srread(written.path)
    found = groups(report)
    said = {evaluation(group, code) for code, group in zip(("ICH", *SUBTYPES), found.values(), strict=True)}
    assert said == {codes.EVALUATIONS[Evaluation.NOT_ASSESSED]}
    (reason,) = found["Intracranial hemorrhage"].get_qualitative_evaluations(codes.NOT_ANALYSED_REASON)
    assert reason.value.value == "IRREGULAR_SPACING"
    (impression,) = texts(report, codes.IMPRESSION)
    assert impression.startswith("NOT ANALYSED")
    assert "1.1 to 7.0 mm" in impression


def test_objects_of_a_private_class_that_were_not_read_are_still_named(make_writer, make_series):
    def private(dataset):
        dataset.SOPClassUID = "1.2.840.113619.4.26"
        dataset.Modality = "MR"

    volume = make_series(change=private)
    when = datetime(2026, 11, 23, tzinfo=UTC)
    (written,) = make_writer().write_not_analysed(NotAnalysedOrder(volume.paths, Refusal(Reason.NOT_CT), 1, when))
    report = sr.srread(written.path)
    assert {(each[2], each[3]) for each in report.get_evidence()} == {
        (uid, "1.2.840.113619.4.26") for uid in volume.sop_instance_uids
    }
    (procedure,) = sr.utils.find_content_items(report, name=standard.DCM.ProcedureReported)
    assert procedure.value == codes.IMAGING_PROCEDURE
