"""The flagged slices as a Key Object Selection, which a viewer shows as marked images.

In: the flagged slices, the impression. Out: one Key Object Selection Document titled Of Interest.
Answers to PS3.3 A.35.4, TID 2010 and CID 7010.
"""

from __future__ import annotations

import highdicom as hd
from pydicom.uid import ExplicitVRLittleEndian

from triage_node.core.finding import Finding
from triage_node.core.report import key_slices
from triage_node.evidence import codes
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.source_series import SourceSeries, carrying_blanks

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: key images"


def key_object_selection(
    finding: Finding, series: SourceSeries, provenance: Provenance, *, text: str
) -> hd.ko.KeyObjectSelectionDocument:
    """Build the selection of the flagged slices (at least one), each instance once; ``text`` is the impression."""
    flagged = dict.fromkeys(series.slices[index].instance for index in key_slices(finding).flagged)
    evidence = carrying_blanks([each.as_evidence(series) for each in flagged])
    document = hd.ko.KeyObjectSelectionDocument(
        evidence=evidence,
        content=hd.ko.KeyObjectSelection(
            document_title=codes.OF_INTEREST,
            referenced_objects=evidence,
            observer_device_context=provenance.node.observer(),
            description=text,
        ),
        **provenance.identifiers("KO", 1, SERIES_DESCRIPTION),
        **provenance.equipment(),
        specific_character_set=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    provenance.finish(document, series, "Read the images and selected these")
    return document
