"""The summary page as an Encapsulated PDF in the source study.

In: a finding with its heatmaps, or a refusal; the source series. Out: one Encapsulated PDF object that says what the
structured report says. Its page names the patient, so Burned In Annotation is YES.
Answers to PS3.3 A.45.1 (Encapsulated PDF), C.24.1 and C.24.2 (Encapsulated Document).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import highdicom as hd
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian
from pydicom.valuerep import PersonName

from triage_node.core.report import finding_rows, rows_not_assessed
from triage_node.evidence import codes
from triage_node.evidence.heatmap_picture import heatmap_picture
from triage_node.evidence.provenance import MODEL_NAME, Provenance
from triage_node.evidence.secondary_capture import HeatmapSource, captions
from triage_node.evidence.source_series import SourceSeries
from triage_node.evidence.summary_page import Summary, summary_page

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: summary"
TITLE = "Triage of intracranial hemorrhage"
KEY_PICTURES = 3


def summary_pdf(
    indices: Sequence[int], source: HeatmapSource, series: SourceSeries, provenance: Provenance, *, text: str
) -> hd.base.SOPClass:
    """Build the object of one reading.

    Parameters
    ----------
    indices
        Slices that have a heatmap; the strongest are shown.
    text
        The impression.
    """
    slices = source.finding.slices
    strongest = heapq.nsmallest(KEY_PICTURES, indices, key=lambda index: (-slices[index].ich_probability, index))
    pictures = [
        heatmap_picture(
            source.volume.as_stored(source.volume.volume_hu[index]),
            source.volume.as_stored(source.heatmaps[index]),
            captions(index, source, series.slices[index]),
        )
        for index in sorted(strongest)
    ]
    finding = source.finding
    model = (
        f"{finding.model_name} {finding.model_version}, operating point {finding.operating_point} at "
        f"{finding.operating_threshold:.2f}, weights SHA-256 {finding.weights_sha256}"
    )
    page = Summary(TITLE, _identity(series), text, finding_rows(finding), pictures, [model, *_origin(provenance)])
    return _document(page, series, provenance)


def not_analysed_pdf(series: SourceSeries, provenance: Provenance, *, text: str) -> hd.base.SOPClass:
    """Build the object of a series that was not read; ``text`` is the impression."""
    page = Summary(f"{TITLE}: NOT ANALYSED", _identity(series), text, rows_not_assessed(), [], _origin(provenance))
    return _document(page, series, provenance)


def _identity(series: SourceSeries) -> list[tuple[str, str]]:
    known = series.attributes
    name = PersonName(known.PatientName).alphabetic or str(known.PatientName)
    lines = {
        "Patient": name.replace("^", " ").strip(),
        "Patient ID": str(known.PatientID),
        "Date of birth": _date(str(known.PatientBirthDate)),
        "Accession number": str(known.AccessionNumber),
        "Study date": _date(str(known.StudyDate)),
    }
    return [(label, value) for label, value in lines.items() if value] or [("Patient", "(not named in the images)")]


def _date(written: str) -> str:
    """Write a DICOM date (PS3.5 6.2, DA) as people read it.

    Examples
    --------
    >>> _date("20261123")
    '2026-11-23'
    """
    return "-".join(filter(None, (written[:4], written[4:6], written[6:])))


def _origin(provenance: Provenance) -> list[str]:
    node = provenance.node
    return [
        f"{MODEL_NAME} {node.software_version}, station {node.station_name}, "
        f"{provenance.created_at.isoformat(sep=' ', timespec='seconds')}"
    ]


def _document(page: Summary, series: SourceSeries, provenance: Provenance) -> hd.base.SOPClass:
    document = hd.base.SOPClass(
        study_instance_uid=series.study_instance_uid,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=None,  # the real ones follow: highdicom would warn of unusual names, with the name in the warning
        patient_name=None,
        patient_birth_date=None,
        patient_sex=None,
        **provenance.identifiers("PDF", 1, SERIES_DESCRIPTION),
        **provenance.equipment(),
    )
    written = summary_page(page)
    document.ConversionType = "WSD"
    document.BurnedInAnnotation = "YES"
    document.AcquisitionDateTime = ""
    document.DocumentTitle = page.title
    document.ConceptNameCodeSequence = [codes.REPORT_TITLE]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(written)
    document.EncapsulatedDocument = written + b"\0" * (len(written) % 2)
    document.SourceInstanceSequence = [each.as_reference() for each in series.instances]
    provenance.finish(document, series, "Read the images and wrote this summary")
    return document
