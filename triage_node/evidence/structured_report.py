"""The report: Comprehensive 3D SR after TID 1500 in the study that was read, in the manner of IHE AI Results.

In: a finding, the source series, who reads and when. Out: one SR object. Kinds of blood are qualitative evaluations named
by the finding and valued present, absent or not evaluated, each with its probability and a tracking identifier; a
container of impressions says the same in words. The procedure reported is the CT, not the algorithm.
Answers to PS3.3 A.35.13 (Comprehensive 3D SR), TID 1500, TID 1501, TID 1600 and TID 4019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom.sr as sr
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from triage_node.core.conformance import CT_IMAGE_STORAGE
from triage_node.core.finding import Finding
from triage_node.core.identifiers import derived_uid
from triage_node.core.report import (
    NOT_FOR_DIAGNOSTIC_USE,
    RESEARCH_USE_ONLY,
    Evaluation,
    FindingRow,
    finding_rows,
    key_slices,
)
from triage_node.evidence import codes
from triage_node.evidence.image_library import image_library
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.source_series import SourceSeries, SourceSlice

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: report"


@dataclass(frozen=True)
class ReportContent:
    """What goes into the tree: measurement groups, the impression, the procedures reported, what precedes this report."""

    groups: Sequence[sr.MeasurementsAndQualitativeEvaluations]
    impression: str
    procedures: Sequence[sr.CodedConcept]
    predecessor: Dataset | None = None


def structured_report(
    finding: Finding,
    series: SourceSeries,
    provenance: Provenance,
    *,
    text: str,
    predecessor: Dataset | None = None,
) -> sr.Comprehensive3DSR:
    """Build the report of one reading.

    Parameters
    ----------
    finding
        One entry a slice of the volume, in its order.
    series
        With the slices that are flagged and the one with the highest probability read.
    text
        The impression.
    predecessor
        Header of the report that this one supersedes.
    """
    groups = [
        finding_group(
            row, series, _algorithm(finding), _key_measurements(row, finding, series), _sources(row, finding, series)
        )
        for row in finding_rows(finding)
    ]
    done = procedures(series, codes.CT_HEAD_WITHOUT_CONTRAST)
    content = ReportContent(groups, text, done, predecessor)
    return assembled_report(content, series, provenance, SERIES_DESCRIPTION)


def assembled_report(
    content: ReportContent, series: SourceSeries, provenance: Provenance, description: str
) -> sr.Comprehensive3DSR:
    """Put the content into a document of the source study."""
    root = _tree(content, provenance)[0]
    children = root.ContentSequence
    # What hangs in the tree while highdicom builds the document is copied, converted and searched: two thirds of the time.
    root.ContentSequence = sr.ContentSequence([_impressions(content.impression)])
    evidence = series.evidence()
    evidence[0].SOPClassUID = CT_IMAGE_STORAGE  # highdicom looks the first one up, and it may be of a private class
    report = sr.Comprehensive3DSR(
        evidence=evidence,
        content=root,
        **provenance.identifiers("SR", 1, description),
        **provenance.equipment(),
        is_complete=True,
        is_final=False,  # a radiologist's report is the definitive one (PS3.3 C.17.2, Preliminary Flag)
        performed_procedure_codes=content.procedures,
        previous_versions=None if content.predecessor is None else [content.predecessor],
        coding_schemes=[codes.private_scheme()],
        specific_character_set=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    first = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    first.ReferencedSOPClassUID = series.instances[0].sop_class_uid
    report.ContentSequence = _completed(children, content, series)
    provenance.finish(report, series, "Read the images and wrote this report")
    return report


def _completed(children: sr.ContentSequence, content: ReportContent, series: SourceSeries) -> sr.ContentSequence:
    """Put the image library before the measurements, where TID 1500 has it, and the impressions before both.

    Readers show a tree from its top, and the library has a line an image: the sentence that matters would come last.
    highdicom's own library says twenty things of every image.
    """
    names = [item.name for item in children]
    place = names.index(codes.IMAGING_MEASUREMENTS)
    children.insert(place, image_library(series))
    children.insert(place, _impressions(content.impression))
    return children


def procedures(series: SourceSeries, otherwise: sr.CodedConcept) -> list[sr.CodedConcept]:
    """Return the procedures as the study codes them, else the one given."""
    items = series.attributes.get("ProcedureCodeSequence") or []
    return [sr.CodedConcept.from_dataset(item) for item in items] or [otherwise]


def finding_group(
    row: FindingRow,
    series: SourceSeries,
    algorithm: sr.AlgorithmIdentification | None = None,
    key_measurements: Sequence[sr.Measurement] = (),
    sources: Sequence[sr.SourceImageForMeasurementGroup] = (),
) -> sr.MeasurementsAndQualitativeEvaluations:
    """Build the group of one kind of blood (TID 1501).

    The item Finding (121071, DCM) stands only where the kind is present: viewers list it without the evaluation beside it.
    The tracking UID is the same in every revision, because what is tracked is the same.
    """
    concept = codes.FINDINGS[row.code]
    measurements = list(key_measurements)
    if row.probability is not None:
        measurements.insert(0, sr.Measurement(codes.PROBABILITY, round(row.probability, 4), codes.NO_UNITS))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid("tracking", series.series_instance_uid, row.code), identifier=row.name
        ),
        finding_type=concept if row.evaluation is Evaluation.PRESENT else None,
        finding_sites=[sr.FindingSite(anatomic_location=codes.INTRACRANIAL)],
        algorithm_id=algorithm,
        measurements=measurements,
        qualitative_evaluations=[sr.QualitativeEvaluation(concept, codes.EVALUATIONS[row.evaluation])],
        source_images=list(sources) or None,
    )


def _tree(content: ReportContent, provenance: Provenance) -> sr.MeasurementReport:
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=provenance.node.observer()),
        procedure_reported=content.procedures,
        imaging_measurements=content.groups,
        title=codes.REPORT_TITLE,
    )


def _impressions(text: str) -> sr.ContainerContentItem:
    container = sr.ContainerContentItem(codes.IMPRESSIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    container.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(name, value, sr.RelationshipTypeValues.CONTAINS)
            for name, value in (
                (codes.IMPRESSION, text),
                (codes.COMMENT, f"{NOT_FOR_DIAGNOSTIC_USE}."),
                (codes.COMMENT, f"{RESEARCH_USE_ONLY}."),
            )
        ]
    )
    return container


def _algorithm(finding: Finding) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=finding.model_name,
        version=finding.model_version,
        parameters=[
            f"operating_point={finding.operating_point}",
            f"operating_threshold={finding.operating_threshold:.6g}",
            f"weights_sha256={finding.weights_sha256}",
        ],
    )


def _sources(row: FindingRow, finding: Finding, series: SourceSeries) -> list[sr.SourceImageForMeasurementGroup]:
    """Reference the flagged slices from the group of hemorrhage as such."""
    if row.code != "ICH":
        return []
    slices = [series.slices[index] for index in key_slices(finding).flagged]
    return [sr.SourceImageForMeasurementGroup(*_reference(each)) for each in slices]


def _key_measurements(row: FindingRow, finding: Finding, series: SourceSeries) -> list[sr.Measurement]:
    if row.code != "ICH":
        return []
    keys = key_slices(finding)
    measurements = [
        _whole(sr.Measurement(codes.SLICES_READ, keys.read_count, codes.SLICES)),
        _whole(sr.Measurement(codes.SLICES_FLAGGED, len(keys.flagged), codes.SLICES)),
    ]
    for name, index in (
        (codes.FIRST_FLAGGED_SLICE, keys.first),
        (codes.LAST_FLAGGED_SLICE, keys.last),
        (codes.TOP_SLICE, keys.top),
    ):
        if index is not None:
            measurements.append(_whole(_on_slice(name, index + 1, codes.SLICES, series.slices[index])))
    top = round(keys.top_probability, 4)
    return [*measurements, _on_slice(codes.TOP_SLICE_PROBABILITY, top, codes.NO_UNITS, series.slices[keys.top])]


def _on_slice(name: sr.CodedConcept, value: float, unit: sr.CodedConcept, where: SourceSlice) -> sr.Measurement:
    return sr.Measurement(name, value, unit, referenced_images=[sr.SourceImageForMeasurement(*_reference(where))])


def _whole(measurement: sr.Measurement) -> sr.Measurement:
    """Write a count as 29, not as highdicom's 29.0, which viewers show as it stands."""
    value = measurement[0].MeasuredValueSequence[0]
    value.NumericValue = str(int(value.NumericValue))
    return measurement


def _reference(where: SourceSlice) -> tuple[str, str, list[int] | None]:
    frames = None if where.frame_number is None else [where.frame_number]
    return where.instance.sop_class_uid, where.instance.sop_instance_uid, frames
