"""The DICOM File Format around a received dataset: preamble, prefix and File Meta Information (PS3.10 7.1).

In: what the association and the C-STORE command say of a dataset. Out: the bytes that stand before it in a file. The
dataset itself is never decoded here. Written by hand, because pydicom refuses to write UIDs whose components have leading
zeros, which old scanners send and which ``core.identifiers.checked_uid`` lets through.
"""

from __future__ import annotations

import struct

from triage_node.core.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = bytes(128) + b"DICM"


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str) -> bytes:
    """Return preamble, prefix and group 0002 in Explicit VR Little Endian, ready for the dataset to follow.

    Examples
    --------
    >>> file_meta("1.2", "1.3", "1.2.840.10008.1.2.1", "CT1")[128:132]
    b'DICM'
    """
    elements = b"".join(
        (
            struct.pack("<HH2s2xLH", 0x0002, 0x0001, b"OB", 2, 0x0100),  # File Meta Information Version 00\\01
            _text(0x0002, b"UI", sop_class_uid),
            _text(0x0003, b"UI", sop_instance_uid),
            _text(0x0010, b"UI", transfer_syntax_uid),
            _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _text(0x0016, b"AE", source_ae_title),
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements


def _text(element: int, vr: bytes, value: str) -> bytes:
    """Encode one short text element of group 0002, padded to even length (PS3.5 6.2: UI with null, others with space)."""
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 0x0002, element, vr, len(encoded)) + encoded
