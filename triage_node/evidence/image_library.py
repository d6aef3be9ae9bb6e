"""The image library of a report: which series and images it rests on (TID 1600, TID 1601, TID 1602)."""

from __future__ import annotations

import highdicom.sr as sr
from highdicom.sr import RelationshipTypeValues

from triage_node.core.conformance import CT_SOP_CLASSES
from triage_node.evidence import codes
from triage_node.evidence.source_series import SourceSeries


def image_library(series: SourceSeries) -> sr.ContainerContentItem:
    """List every image of the source series in one group.

    What all images share is said once for the group (TID 1600 row 3), and no geometry is repeated: whoever needs it has
    the images. Objects that are no CT images stand in the document's evidence sequence only.
    """
    group = sr.ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=RelationshipTypeValues.CONTAINS)
    group.ContentSequence = sr.ContentSequence()
    context = RelationshipTypeValues.HAS_ACQ_CONTEXT
    images = [each for each in series.instances if each.sop_class_uid in CT_SOP_CLASSES]
    if images:
        group.ContentSequence.append(sr.CodeContentItem(codes.MODALITY, codes.COMPUTED_TOMOGRAPHY, context))
    group.ContentSequence.append(sr.UIDRefContentItem(codes.SERIES_INSTANCE_UID, series.series_instance_uid, context))
    if series.frame_of_reference_uid is not None:
        group.ContentSequence.append(
            sr.UIDRefContentItem(codes.FRAME_OF_REFERENCE_UID, series.frame_of_reference_uid, context)
        )
    for each in images:
        group.ContentSequence.append(
            sr.ImageContentItem(
                codes.SOURCE,
                each.sop_class_uid,
                each.sop_instance_uid,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    library = sr.ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=RelationshipTypeValues.CONTAINS)
    library.ContentSequence = sr.ContentSequence([group])
    return library
