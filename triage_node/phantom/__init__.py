"""Made-up head CT with the five kinds of blood, as arrays and as DICOM series.

``make_head`` makes a head from a seed; ``paste_blood`` puts made-up blood into a real one. Both give HU volumes with
slice 0 the most inferior and masks whose bit i is ``SUBTYPES[i]``.
"""

from triage_node.phantom.compartments import NoCavityFound, find_compartments
from triage_node.phantom.head import Lesion, PhantomHead, make_head, slice_labels
from triage_node.phantom.pasting import paste_blood

__all__ = ["Lesion", "NoCavityFound", "PhantomHead", "find_compartments", "make_head", "paste_blood", "slice_labels"]
