"""The structure of a DICOM file: where its dataset and its pixel data begin, and that nothing is cut off.

In: the bytes of a Part 10 file. Out: a ``Part10`` whose elements all end within the file, or a refusal. Values are not
looked at. pydicom reads a dataset that ends in the middle of an element without a word, so completeness is checked here,
before anything is acknowledged. Answers to PS3.10 7.1 (File Meta Information) and PS3.5 7 (The Data Set).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from triage_node.core.errors import Refused

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and (plain) Pixel Data."""

INFLATED_LIMIT_BYTES = 1 << 30
"""A deflated dataset may not grow beyond this: a few kilobytes can inflate to fill any memory."""

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX_UID = 0x00020010
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_DEEPEST_NESTING = 64

Buffer = bytes | mmap.mmap


class UnreadableDataset(Refused):
    """The bytes are not a DICOM dataset that this node can make sense of."""


class TruncatedDataset(UnreadableDataset):
    """The dataset ends before its elements do."""


@dataclass(frozen=True)
class Element:
    """Where one data element lies: tag, value representation (empty for implicit), offset and length of its value (bytes)."""

    tag: int
    vr: bytes
    value_offset: int
    length: int


@dataclass(frozen=True)
class Encoding:
    """How elements are written: with or without value representation, in which byte order (PS3.5 7.1, 7.3)."""

    implicit_vr: bool
    little_endian: bool

    @property
    def order(self) -> str:
        """The byte order as ``struct`` writes it."""
        return "<" if self.little_endian else ">"


@dataclass(frozen=True)
class Part10:
    """A complete Part 10 file.

    Attributes
    ----------
    buffer
        The file, or for the deflated transfer syntax the inflated dataset.
    dataset_offset, dataset_end
        Where the dataset begins, and where its elements before the pixel data end (bytes into ``buffer``).
    pixel_data
        The Pixel Data element, None where there is none.
    """

    transfer_syntax_uid: str
    encoding: Encoding
    buffer: Buffer
    dataset_offset: int
    dataset_end: int
    pixel_data: Element | None


def parsed_part10(buffer: Buffer) -> Part10:
    """Walk a Part 10 file from end to end.

    Raises
    ------
    UnreadableDataset
        No DICM prefix, no transfer syntax, or no dataset.
    TruncatedDataset
        An element, a sequence or the deflated stream has no end.
    """
    if len(buffer) < 132 or buffer[128:132] != b"DICM":
        raise UnreadableDataset("not a DICOM file: there is no DICM prefix after the preamble (PS3.10 7.1)")
    transfer_syntax_uid, offset = _file_meta(buffer)
    if transfer_syntax_uid == DEFLATED:
        buffer, offset = _inflated(buffer[offset:]), 0
    encoding = Encoding(
        implicit_vr=transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN,
        little_endian=transfer_syntax_uid != EXPLICIT_BIG_ENDIAN,
    )
    encoding = _as_written(buffer, offset, encoding)
    pixel_data, end, seen = None, len(buffer), 0
    for element, element_offset in _elements(buffer, offset, encoding):
        seen += 1
        if element.tag in PIXEL_DATA_TAGS and pixel_data is None:
            pixel_data, end = element, element_offset
    if not seen:
        raise UnreadableDataset("there is no dataset after the file meta information")
    return Part10(transfer_syntax_uid, encoding, buffer, offset, end, pixel_data)


def _file_meta(buffer: Buffer) -> tuple[str, int]:
    """Return the transfer syntax and the offset behind group 0002. Its group length is optional in practice."""
    explicit = Encoding(implicit_vr=False, little_endian=True)
    offset, uid = 132, ""
    while offset + 8 <= len(buffer) and buffer[offset : offset + 2] == b"\x02\x00":
        element = _element(buffer, offset, explicit)
        offset = _end(buffer, element, explicit, 0)
        if element.tag == _TRANSFER_SYNTAX_UID:
            value = buffer[element.value_offset : element.value_offset + element.length]
            uid = value.rstrip(b"\0 ").decode("ascii", "replace")
    if not uid:
        raise UnreadableDataset("the file meta information names no transfer syntax (PS3.10 7.1)")
    return uid, offset


def _inflated(deflated: bytes) -> bytes:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflator.decompress(deflated, INFLATED_LIMIT_BYTES)
    except zlib.error as error:
        raise UnreadableDataset(f"the deflated dataset cannot be inflated: {error}") from None
    if inflator.unconsumed_tail:
        raise UnreadableDataset(f"the deflated dataset is larger than {INFLATED_LIMIT_BYTES} bytes")
    if not inflator.eof:
        raise TruncatedDataset("the deflated dataset ends before its stream does")
    return inflated


def _as_written(buffer: Buffer, offset: int, declared: Encoding) -> Encoding:
    """Return how the dataset is really written: some archives name explicit VR and write implicit, or the reverse."""
    vr = buffer[offset + 4 : offset + 6]
    has_vr = len(vr) == 2 and all(65 <= byte <= 90 for byte in vr)
    if not declared.little_endian or has_vr != declared.implicit_vr:
        return declared
    return Encoding(implicit_vr=not has_vr, little_endian=True)


def _elements(buffer: Buffer, offset: int, encoding: Encoding) -> Iterator[tuple[Element, int]]:
    """Yield each top-level element with the offset of its tag."""
    content_end = _content_end(buffer)
    while offset < len(buffer):
        if offset >= content_end and buffer[offset : offset + 4] == b"\0\0\0\0":
            return  # padding to a block of the medium
        element = _element(buffer, offset, encoding)
        yield element, offset
        offset = _end(buffer, element, encoding, 0)


def _content_end(buffer: Buffer) -> int:
    """Return the offset behind the last byte that is not 0."""
    block = 4096
    for start in range((len(buffer) - 1) // block * block, -1, -block):
        if content := buffer[start : start + block].rstrip(b"\0"):
            return start + len(content)
    return 0


def _element(buffer: Buffer, offset: int, encoding: Encoding) -> Element:
    try:
        group, number = struct.unpack_from(encoding.order + "HH", buffer, offset)
        tag = group << 16 | number
        vr = b"" if encoding.implicit_vr or group == 0xFFFE else buffer[offset + 4 : offset + 6]
        if not vr:
            return Element(tag, vr, offset + 8, struct.unpack_from(encoding.order + "L", buffer, offset + 4)[0])
        if vr in _LONG_VRS:
            return Element(tag, vr, offset + 12, struct.unpack_from(encoding.order + "L", buffer, offset + 8)[0])
        return Element(tag, vr, offset + 8, struct.unpack_from(encoding.order + "H", buffer, offset + 6)[0])
    except struct.error:
        raise TruncatedDataset(f"the dataset ends within the header of an element, at byte {len(buffer)}") from None


def _end(buffer: Buffer, element: Element, encoding: Encoding, depth: int) -> int:
    """Return the offset behind an element."""
    if element.length != UNDEFINED_LENGTH:
        end = element.value_offset + element.length
        if end > len(buffer):
            raise TruncatedDataset(
                f"element {_shown(element.tag)} declares {element.length} bytes, "
                f"{max(0, len(buffer) - element.value_offset)} are there",
            )
        return end
    if depth > _DEEPEST_NESTING:
        raise UnreadableDataset(f"sequences are nested deeper than {_DEEPEST_NESTING}")
    # A sequence whose VR the writer did not know is written implicit VR little endian (PS3.5 6.2.2, note 4).
    inner = Encoding(implicit_vr=True, little_endian=True) if element.vr == b"UN" else encoding
    offset = element.value_offset
    while True:
        item = _element(buffer, offset, inner)
        if item.tag == _SEQUENCE_END:
            return item.value_offset
        if item.tag != _ITEM:
            raise UnreadableDataset(f"sequence {_shown(element.tag)} holds {_shown(item.tag)} where an item is due")
        offset = (
            _item_end(buffer, item, inner, depth) if item.length == UNDEFINED_LENGTH else _end(buffer, item, inner, 0)
        )


def _item_end(buffer: Buffer, item: Element, encoding: Encoding, depth: int) -> int:
    offset = item.value_offset
    while True:
        element = _element(buffer, offset, encoding)
        if element.tag == _ITEM_END:
            return element.value_offset
        offset = _end(buffer, element, encoding, depth + 1)


def _shown(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
