"""What this node takes over the network: storage classes and transfer syntaxes, as data.

PS3.4 B.5 (Standard SOP Classes), PS3.5 10 (Transfer Syntax), PS3.6 A.
"""

from __future__ import annotations

from collections.abc import Mapping

IMPLEMENTATION_CLASS_UID = "2.25.131278247113878029669506777302738557568"
"""Names this implementation in associations and files; ``derived_uid("implementation class", "triage_node")``."""
IMPLEMENTATION_VERSION_NAME = "TRIAGE_NODE_0_1"
"""At most 16 characters (PS3.7 D.3.3.2.3)."""

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2.2"
CT_SOP_CLASSES = frozenset(
    {CT_IMAGE_STORAGE, ENHANCED_CT_IMAGE_STORAGE, LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE},
)
"""The classes that can hold a head series; every other storage class is kept and ends NOT_ANALYSED."""

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""The class of every workitem, whichever class they are asked about under (PS3.4 CC.3.1)."""
UPS_PULL = "1.2.840.10008.5.1.4.34.6.3"
UPS_QUERY = "1.2.840.10008.5.1.4.34.6.5"
QUERY_SOP_CLASSES = (STUDY_ROOT_FIND, UPS_PULL, UPS_QUERY)
"""What is answered beside storage."""

TRANSFER_SYNTAXES: Mapping[str, str] = {
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian (retired)",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless (Process 14)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless (Process 14, Selection Value 1)",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 with RPCL Lossless",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
}
"""UID and name of each transfer syntax that is accepted, in the order in which we prefer it when a peer lets us choose."""
