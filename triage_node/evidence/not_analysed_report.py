"""The report of a series that was not read: every kind of blood not assessed, and the reason.

In: a refusal and the source instances, of any kind. Out: the same Comprehensive 3D SR as after a reading, so that whoever
reads the one reads the other. Answers to TID 1500 and PS3.3 A.35.13.
"""

from __future__ import annotations

import highdicom.sr as sr
from pydicom.dataset import Dataset

from triage_node.core.reason import Refusal
from triage_node.core.report import rows_not_assessed
from triage_node.evidence import codes
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.source_series import SourceSeries
from triage_node.evidence.structured_report import ReportContent, assembled_report, finding_group, procedures

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: NOT ANALYSED"


def not_analysed_report(
    refusal: Refusal, series: SourceSeries, provenance: Provenance, *, text: str, predecessor: Dataset | None = None
) -> sr.Comprehensive3DSR:
    """Build the report; the reason stands in the group of hemorrhage as such, coded, and in words in the impression.

    Parameters
    ----------
    text
        The impression.
    predecessor
        Header of the report that this one supersedes.
    """
    groups = [finding_group(row, series) for row in rows_not_assessed()]
    reason = sr.QualitativeEvaluation(codes.NOT_ANALYSED_REASON, codes.reason_code(refusal.reason))
    groups[0][0].ContentSequence.extend(reason)
    # A series that was refused may be of any modality: without a code of its own no more is known than that it is imaging.
    done = procedures(series, codes.IMAGING_PROCEDURE)
    content = ReportContent(groups, text, done, predecessor)
    return assembled_report(content, series, provenance, SERIES_DESCRIPTION)
