"""What the SQL views hold, column by column: for ``triage-node query --list`` and docs/DATABASE.md, which tests hold to this.

``migrations/`` creates the views. Times are UTC (``timestamptz`` on PostgreSQL, text without an offset on SQLite), states,
priorities and reasons are their codes as text, probabilities lie in 0 to 1, truth is 1 or 0 on SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from triage_node.core.finding import SUBTYPE_NAMES, SUBTYPES


@dataclass(frozen=True)
class View:
    """One view: what a row is, and what its columns mean, in their order."""

    row: str
    columns: Mapping[str, str]


_STUDY = {"study_instance_uid": "Study Instance UID (0020,000D)."}
_SERIES = _STUDY | {"series_instance_uid": "Series Instance UID (0020,000E)."}


def _subtypes(of: str) -> dict[str, str]:
    return {
        f"{name.lower()}_probability": f"{SUBTYPE_NAMES[name]} {of}, probability 0 to 1; null where stage two did not run."
        for name in SUBTYPES
    }


VIEWS: Mapping[str, View] = {
    "v_studies": View(
        "A study, as the worklist shows it.",
        _STUDY
        | {
            "patient_id": "Patient ID (0010,0020).",
            "patient_name": "Patient's name (0010,0010) in DICOM's form, FAMILY^GIVEN.",
            "accession_number": "Accession number (0008,0050).",
            "study_date": "Study date (0008,0020), YYYYMMDD in the site's time zone.",
            "study_time": "Study time (0008,0030), HHMMSS in the site's time zone.",
            "study_description": "Study description (0008,1030).",
            "state": "RECEIVING, CLOSED, CLASSIFIED, EVIDENCED, FORWARDED, NOT_ANALYSED or FAILED.",
            "reason": "Reason code of NOT_ANALYSED and FAILED, else null.",
            "reason_detail": "What was measured, in words; else empty.",
            "priority": "STAT, HIGH or ROUTINE; it never falls.",
            "flagged": "Whether the reading lies at or above the operating point; null where there is none.",
            "ich_probability": "Probability of hemorrhage in the study, 0 to 1; null where it was not read.",
            **_subtypes("in the study"),
            "received_at": "When its first instance was kept.",
            "last_received_at": "When its latest instance was kept.",
            "released_at": "When the sender released the association that carried what was read.",
            "classified_at": "When it was read: from here on it is flagged or not.",
            "forwarded_at": "When the last destination had its evidence.",
            "task_state": "Reading by a person: SCHEDULED, IN_PROGRESS or COMPLETED.",
            "performer": "Who has it in progress: a user, or AE: and the AE title of a reading system.",
            "taken_at": "Since when.",
            "acknowledged_by": "Who first took note of it.",
            "acknowledged_at": "When.",
            "completed_by": "Who completed its reading last.",
            "completed_at": "When.",
        },
    ),
    "v_series": View(
        "A series in its current revision, with its reading where it was read.",
        _SERIES
        | {
            "modality": "Modality (0008,0060).",
            "series_description": "Series description (0008,103E).",
            "revision": "1, and one more for each time that slices came late or it was read again.",
            "state": "As of a study.",
            "reason": "Reason code of NOT_ANALYSED and FAILED, else null.",
            "reason_detail": "What was measured, in words; else empty.",
            "instance_count": "Instances of all revisions.",
            "calling_ae_title": "AE title of the peer that last added to it.",
            "revision_opened_at": "When this revision began.",
            "last_received_at": "When its latest instance was kept.",
            "closed_at": "When it counted as complete.",
            "ended_at": "When it reached FORWARDED, NOT_ANALYSED or FAILED.",
            "flagged": "Whether the reading lies at or above the operating point.",
            "ich_probability": "Probability of hemorrhage in the series, 0 to 1.",
            **_subtypes("in the series"),
            "model_name": "Release that read it.",
            "model_version": "Version of that release.",
            "operating_point": "Name of the operating point.",
            "operating_threshold": "Probability from which on a series is flagged, 0 to 1.",
            "elapsed_ms": "How long the reading took, milliseconds.",
            "classified_at": "When it was read.",
        },
    ),
    "v_slices": View(
        "A slice of a reading, of every revision.",
        _SERIES
        | {
            "revision": "Revision of the series that was read.",
            "slice_index": "Place in the series, 0 the most inferior.",
            "sop_instance_uid": "SOP Instance UID (0008,0018) of the slice.",
            "ich_probability": "Probability of hemorrhage in the slice, 0 to 1.",
            "flagged": "Whether that lies at or above the operating point of slices.",
            **_subtypes("in the slice"),
        },
    ),
    "v_turnaround": View(
        "A study that was read, and how long each stage took; the reading is the one the worklist shows."
        " Readings repeated by request are left out.",
        _SERIES
        | {
            "revision": "Revision of the series that was read.",
            "flagged": "Whether it was flagged.",
            "received_at": "When the first instance of the study was kept.",
            "last_slice_at": "When the last slice was kept.",
            "closed_at": "When the series counted as complete.",
            "classified_at": "When it was flagged, or not.",
            "forwarded_at": "When the last destination had its evidence.",
            "acknowledged_at": "When somebody took note of it.",
            "completed_at": "When its reading by a person ended.",
            "slice_to_close_s": "From the last slice until the series was complete, seconds.",
            "slice_to_flag_s": "From the last slice until it was flagged, or not, seconds.",
            "flag_to_forward_s": "From there until the last destination had its evidence, seconds.",
            "flag_to_acknowledge_s": "From there until somebody took note, seconds; negative where that was before.",
            "flag_to_complete_s": "From there until its reading by a person ended, seconds; negative where that was before.",
        },
    ),
    "v_deliveries": View(
        "An object on its way to a destination.",
        {"delivery_id": "Number of the delivery, as the API and the study page name it."}
        | _SERIES
        | {
            "revision": "Revision of the series that it was made from.",
            "kind": "SR, SC, KO, PR, PDF, or the kind of a message.",
            "number": "Counts the objects of a kind from 1.",
            "sop_instance_uid": "SOP Instance UID of the object.",
            "destination": "Name of the destination.",
            "state": "DUE, SENT, GIVEN_UP or SUPERSEDED.",
            "attempts": "How often it was tried.",
            "due_since": "When it came into being, or was made due again.",
            "next_attempt_at": "Not before when it is tried next; null unless it is DUE.",
            "sent_at": "When the destination took it.",
            "due_to_sent_s": "From due_since to sent_at, seconds.",
            "status_code": "What the destination answered last: a DIMSE or HTTP status.",
            "detail": "The same in words.",
            "warned": "Whether it was taken with a warning.",
            "commitment": "Storage commitment; null where none is wanted.",
            "committed_at": "When the destination committed to it.",
        },
    ),
    "v_feedback": View(
        "What a reader said of a finding.",
        _STUDY
        | {
            "revision": "Revision that the reader saw.",
            "finding": "ICH or a subtype (CPH, IVH, SDH, EDH, SAH).",
            "present": "What the node had said.",
            "verdict": "AGREE or DISAGREE.",
            "comment": "What the reader added.",
            "reader": "Who.",
            "given_at": "When.",
            "present_by_reader": "Whether the finding is there according to the reader.",
            "is_latest_of_reader": "Whether this reader said nothing later of this finding of this study.",
            "is_latest": "Whether nobody did.",
        },
    ),
    "v_escalations": View(
        "A step of the chain that is called while nobody acknowledges a flagged study.",
        _STUDY
        | {
            "step": "Counts from 1.",
            "state": "DUE, DONE, STOPPED or GIVEN_UP.",
            "due_at": "When its time comes.",
            "attempts": "How often it was tried.",
            "ended_at": "When it was done, stopped or given up.",
            "detail": "What came of it, in words.",
        },
    ),
    "v_refusals": View(
        "A series that was not read. It identifies nobody, and stays when the study is deleted.",
        {
            "observed_at": "When it was refused.",
            "observed_on": "Day of that (UTC).",
            "calling_ae_title": "AE title of the scanner or its sender; empty: unknown.",
            "station_name": "Station name (0008,1010); empty: unknown.",
            "reason": "Reason code.",
        },
    ),
    "v_scanner_days": View(
        "A day (UTC) of a scanner. It identifies nobody, and stays when studies are deleted.",
        {
            "observed_on": "The day.",
            "calling_ae_title": "AE title of the scanner or its sender; empty: unknown.",
            "station_name": "Station name (0008,1010); empty: unknown.",
            "series_count": "Series that were read or refused.",
            "read_count": "Of these, read.",
            "flagged_count": "Of these, flagged.",
            "refused_count": "Series that were refused.",
            "last_observed_at": "When the last of them was.",
        },
    ),
}
