"""The values of one dataset as plain text and numbers, whatever state they are in.

In: a complete Part 10 file. Out: text without padding, finite numbers, or None and empty where a value is missing or odd.
Raw values are converted here rather than by pydicom's typed elements, which warn or raise on values that break their VR,
as values from the field do.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from triage_node.assembly.part10 import Part10, UnreadableDataset

_BINARY_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_BACKSLASH = 0x5C
_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C, 0x5E, 0x3D, _BACKSLASH}
"""Characters at which ISO 2022 falls back to the first character set (PS3.5 6.1.2.5.3); ``^`` and ``=`` in names."""

_CONTROLS = dict.fromkeys((*range(32), 127))
"""Control characters say nothing in one line of text, and PostgreSQL takes no null."""

_LONGEST_TEXT = 1024
"""Characters. The longest text read here, a name of three groups, has at most 194 (PS3.5 6.2)."""

_LARGEST_INTEGER = 2**31 - 1
"""IS, UL and every database column end here (PS3.5 6.2)."""

_US_KEYWORDS = frozenset(
    {"Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"},
)
"""Implicit VR names no representation; these are the unsigned shorts among the elements asked for."""


class HeaderValues:
    """The values of the dataset in front of the pixel data."""

    def __init__(self, part10: Part10, keywords: frozenset[str]) -> None:
        """Read the elements named, and no others.

        Raises
        ------
        UnreadableDataset
            pydicom cannot parse the dataset.
        """
        tags = [tag for each in keywords if (tag := tag_for_keyword(each)) is not None]
        before_pixels = part10.buffer[part10.dataset_offset : part10.dataset_end]
        try:
            self.dataset: Dataset = read_dataset(
                BytesIO(before_pixels),
                part10.encoding.implicit_vr,
                part10.encoding.little_endian,
                specific_tags=list(tags),
            )
            self._encodings = convert_encodings(list(self._character_sets()))
        except Exception as error:  # pydicom raises whatever the bytes lead it to
            raise UnreadableDataset(f"the dataset cannot be parsed: {type(error).__name__}: {error}") from error
        self._order = part10.encoding.order

    def text(self, keyword: str) -> str:
        """Return the text of an element, several values joined by backslashes; empty where there is none."""
        return "\\".join(self.texts(keyword))

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an element as text without padding; bytes outside the character set are replaced."""
        value = self._raw(keyword)
        if not value:
            return ()
        plain = value.isascii() and b"\x1b" not in value
        text = value.decode("ascii") if plain else self._decoded(value)
        values = tuple(each.translate(_CONTROLS).strip() for each in text[:_LONGEST_TEXT].split("\\"))
        return values if any(values) else ()

    def number(self, keyword: str) -> float | None:
        """Return the first value as a finite number, or None."""
        values = self._floats(keyword)
        return values[0] if values else None

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Return exactly so many finite numbers, or None."""
        values = self._floats(keyword)
        return values if values is not None and len(values) == count else None

    def integer(self, keyword: str) -> int | None:
        """Return the first value as a whole number of 32 bits, or None."""
        value = self.number(keyword)
        if value is None or value != int(value) or abs(value) > _LARGEST_INTEGER:
            return None
        return int(value)

    def stored_value(self, keyword: str, bits_allocated: int, *, signed: bool) -> int | None:
        """Return a pixel value element as the pixels of that format would hold it, whichever of US and SS it was written in."""
        element = self._element(keyword)
        if element is None:
            return None
        raw = self._raw(keyword)
        if len(raw) * 8 >= bits_allocated and element.VR in (None, "US", "SS", "UL", "SL", "OB", "OW", "UN"):
            return int.from_bytes(raw[: bits_allocated // 8], "little" if self._order == "<" else "big", signed=signed)
        return self.integer(keyword)

    def _floats(self, keyword: str) -> tuple[float, ...] | None:
        element = self._element(keyword)
        vr = element.VR if element is not None else None
        if vr in (None, "UN") and keyword in _US_KEYWORDS:
            vr = "US"
        values: list[float] = []
        try:
            if vr in _BINARY_FORMATS:
                raw = self._raw(keyword)
                form = f"{self._order}{len(raw) // struct.calcsize(_BINARY_FORMATS[vr])}{_BINARY_FORMATS[vr]}"
                values = [float(each) for each in struct.unpack(form, raw)]
            else:
                values = [float(each) for each in self.texts(keyword)]
        except (ValueError, struct.error):
            return None
        return tuple(values) if values and all(math.isfinite(each) for each in values) else None

    def _element(self, keyword: str) -> RawDataElement | None:
        tag = tag_for_keyword(keyword)
        try:
            element = self.dataset.get_item(tag) if tag is not None and tag in self.dataset else None
        except Exception:  # a sequence or an unknown VR where text is due, which pydicom converts at once
            return None
        return element if isinstance(element, RawDataElement) else None

    def _raw(self, keyword: str) -> bytes:
        element = self._element(keyword)
        return element.value if element is not None and isinstance(element.value, bytes) else b""

    def _character_sets(self) -> tuple[str, ...]:
        declared = self.dataset.get("SpecificCharacterSet", None) or ""
        return (declared,) if isinstance(declared, str) else tuple(str(each) for each in declared)

    def _decoded(self, value: bytes) -> str:
        try:
            return decode_bytes(value, self._encodings, _DELIMITERS)
        except (LookupError, UnicodeError):
            return value.decode("latin-1")
