"""Made-up CT: heads with the five kinds of blood, blood in real heads, and what is no head, as arrays and as DICOM.

``make_head`` makes a head from a seed; ``paste_blood`` puts made-up blood into a real one; ``make_body`` and
``make_plastic_head`` make what a node has to decline; ``dicom_series`` writes any of them as a scanner would. Volumes
are in HU with slice 0 the most inferior; bit i of a mask is ``SUBTYPES[i]``. This module imports no pydicom.
"""

from triage_node.phantom.compartments import NoCavityFound, find_compartments
from triage_node.phantom.head import make_head
from triage_node.phantom.no_head import make_body, make_plastic_head
from triage_node.phantom.pasting import paste_blood
from triage_node.phantom.scans import Lesion, PhantomHead, PhantomScan, slice_labels

GENERATION = 7
"""Rises when the same seed begins to give another scan or other labels in training, so that what was kept of earlier ones is not
taken for it."""

__all__ = [
    "GENERATION",
    "Lesion",
    "NoCavityFound",
    "PhantomHead",
    "PhantomScan",
    "find_compartments",
    "make_body",
    "make_head",
    "make_plastic_head",
    "paste_blood",
    "slice_labels",
]
