"""From one file to its frames in Hounsfield units.

In: a complete Part 10 file. Out: (frames, rows, columns) int16 HU, or a refusal. Uncompressed pixels are viewed in place;
compressed ones go through pydicom's decoders (GDCM, OpenJPEG, CharLS, RLE), tried in turn. Answers to PS3.5 8 (encoding of
pixel data) and PS3.3 C.7.6.3, C.7.5.1.1.2 (padding), C.11.1 (Modality LUT).

MONOCHROME1 says how to show a CT, not what its values mean (PS3.3 C.7.6.3.1.2), so it changes nothing here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEG2000TransferSyntaxes

from triage_node.assembly.frame_geometry import frame_number
from triage_node.assembly.header_values import HeaderValues
from triage_node.assembly.part10 import UNDEFINED_LENGTH, Part10, parsed_part10
from triage_node.core.errors import Refused
from triage_node.core.hounsfield import AIR_HU

_KEYWORDS = frozenset(
    {"Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
     "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept"},
)  # fmt: skip
_FUNCTIONAL_GROUPS = frozenset({"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})
_PIXEL_DATA = 0x7FE00010
_UNCOMPRESSED = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
_SIZ = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 code stream, at once followed by the marker of its size."""

_MOST_TILES = 1024
_AIR = int(AIR_HU)
_HIGHEST_HU = 32767


class UndecodablePixels(Refused):
    """The pixel data cannot be turned into Hounsfield units."""


@dataclass(frozen=True)
class _Format:
    """How pixels are stored (PS3.3 C.7.6.3)."""

    frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def samples(self) -> int:
        return self.frames * self.rows * self.columns


def frames_hu(path: Path, number_of_frames: int = 1) -> npt.NDArray[np.int16]:
    """Decode one file.

    Returns
    -------
    (frames, rows, columns), int16 HU; padding and what is below air become -1024

    Raises
    ------
    UndecodablePixels
        With what is wrong.
    UnreadableDataset
        The file changed since it was stored.
    """
    content = path.read_bytes()
    part10 = parsed_part10(content)
    values = HeaderValues(part10, _KEYWORDS | _FUNCTIONAL_GROUPS if number_of_frames > 1 else _KEYWORDS)
    form = _format(values)
    stored, masked = _stored(part10, form, content)
    padded = _padded(stored, values, form)
    stored = stored if masked else _without_unused_bits(stored, form)
    volume_hu = np.empty(stored.shape, dtype=np.int16)
    for index, (slope, intercept) in enumerate(_rescales(values, form.frames)):
        volume_hu[index] = _hounsfield(stored[index], slope, intercept)
    if padded is not None:
        volume_hu[padded] = _AIR
    return volume_hu


def _format(values: HeaderValues) -> _Format:
    bits_allocated = values.integer("BitsAllocated") or 0
    bits_stored = values.integer("BitsStored") or bits_allocated
    high_bit = values.integer("HighBit")
    form = _Format(
        frames=max(1, values.integer("NumberOfFrames") or 1),
        rows=values.integer("Rows") or 0,
        columns=values.integer("Columns") or 0,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=values.integer("PixelRepresentation") == 1,
    )
    if (values.integer("SamplesPerPixel") or 1) != 1:
        raise UndecodablePixels("the pixels have more than one sample")
    if form.bits_allocated not in (8, 16, 32) or not 0 < form.bits_stored <= form.high_bit + 1 <= form.bits_allocated:
        raise UndecodablePixels(
            f"{form.bits_stored} bits stored of {form.bits_allocated} allocated, high bit {form.high_bit}"
        )
    if form.rows < 1 or form.columns < 1:
        raise UndecodablePixels(f"{form.rows} rows, {form.columns} columns")
    return form


def _stored(part10: Part10, form: _Format, content: bytes) -> tuple[npt.NDArray[np.integer], bool]:
    """Return (frames, rows, columns) stored values, and whether unused bits are already gone."""
    element = part10.pixel_data
    if element is None or element.tag != _PIXEL_DATA:
        raise UndecodablePixels("there is no integer pixel data")
    if part10.transfer_syntax_uid in _UNCOMPRESSED and element.length != UNDEFINED_LENGTH:
        kind = np.dtype(f"{part10.encoding.order}{'i' if form.signed else 'u'}{form.bits_allocated // 8}")
        if element.length < form.samples * kind.itemsize:
            raise UndecodablePixels(f"{element.length} bytes of pixel data, {form.samples * kind.itemsize} are needed")
        stored = np.frombuffer(part10.buffer, kind, form.samples, element.value_offset)
        return stored.reshape(form.frames, form.rows, form.columns), False
    return _decompressed(part10.transfer_syntax_uid, content).reshape(form.frames, form.rows, form.columns), True


def _decompressed(transfer_syntax_uid: str, content: bytes) -> npt.NDArray[np.integer]:
    try:
        dataset = dcmread(BytesIO(content))
        if transfer_syntax_uid in JPEG2000TransferSyntaxes:
            _check_code_streams(dataset)
        decoder = get_decoder(UID(transfer_syntax_uid))
        stored: npt.NDArray[np.generic] = decoder.as_array(dataset, raw=True)[0]
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except (
        BaseException
    ) as error:  # decoders raise whatever the bytes lead them to; those in Rust a PanicException, no Exception
        lines = str(error).splitlines() or [""]
        raise UndecodablePixels(f"{transfer_syntax_uid}: {type(error).__name__}: {lines[0][:200]}") from error
    if not np.issubdtype(stored.dtype, np.integer):
        raise UndecodablePixels(f"the pixels decode to {stored.dtype}")
    return stored.astype(np.dtype(stored.dtype.name), copy=False)


def _check_code_streams(dataset: Dataset) -> None:
    """Compare the size a JPEG 2000 code stream claims with the image's: a damaged one keeps decoders busy for minutes.

    ISO/IEC 15444-1 A.5.1: marker SIZ, its length, capabilities, then the reference grid, its offset, tiles, their offset.
    """
    for frame in generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", None) or 1)):
        start = frame.find(_SIZ)
        if start < 0 or len(frame) < start + 40:
            raise ValueError("no JPEG 2000 code stream")
        right, bottom, left, top, across, down, *_ = struct.unpack_from(">8I", frame, start + len(_SIZ) + 4)
        if (right - left, bottom - top) != (dataset.Columns, dataset.Rows):
            raise ValueError(f"the code stream holds {bottom - top} x {right - left} pixels")
        if min(across, down) < 1 or -(-right // across) * -(-bottom // down) > _MOST_TILES:
            raise ValueError(f"the code stream has tiles of {down} x {across} pixels")


def _padded(stored: npt.NDArray[np.integer], values: HeaderValues, form: _Format) -> npt.NDArray[np.bool_] | None:
    """Return where padding is, told before unused bits are cut off: GE pads 12-bit images with -2000 in 16 bits."""
    first = values.stored_value("PixelPaddingValue", form.bits_allocated, signed=form.signed)
    if first is None:
        return None
    last = values.stored_value("PixelPaddingRangeLimit", form.bits_allocated, signed=form.signed)
    low, high = sorted((first, first if last is None else last))
    limits = np.iinfo(stored.dtype)
    if high < limits.min or low > limits.max:
        return None
    return (stored == low) if low == high else (stored >= low) & (stored <= high)


def _without_unused_bits(stored: npt.NDArray[np.integer], form: _Format) -> npt.NDArray[np.integer]:
    """Cut off bits above the high bit and below the stored ones: overlays, or a sign that was never extended."""
    above = form.bits_allocated - 1 - form.high_bit
    below = form.high_bit + 1 - form.bits_stored
    if above == below == 0:
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    return (native << above) >> (above + below)


def _rescales(values: HeaderValues, frames: int) -> list[tuple[float, float]]:
    """Return slope and intercept of each frame; without a rescale the stored values are HU."""
    whole = (values.number("RescaleSlope"), values.number("RescaleIntercept"))
    groups = list(values.dataset.get("PerFrameFunctionalGroupsSequence", None) or ())
    shared = next(iter(values.dataset.get("SharedFunctionalGroupsSequence", None) or ()), Dataset())
    found = []
    for index in range(frames):
        group = groups[index] if index < len(groups) else Dataset()
        slope, intercept = (
            frame_number(group, shared, "PixelValueTransformationSequence", keyword)
            for keyword in ("RescaleSlope", "RescaleIntercept")
        )
        slope = whole[0] if slope is None else slope
        intercept = whole[1] if intercept is None else intercept
        found.append((1.0 if slope is None else slope, 0.0 if intercept is None else intercept))
    if any(slope == 0 for slope, _ in found):
        raise UndecodablePixels("the rescale slope is 0")
    return found


def _hounsfield(stored: npt.NDArray[np.integer], slope: float, intercept: float) -> npt.NDArray[np.int16]:
    """Rescale (rows, columns) stored values to int16 HU, clipped to -1024 and above."""
    if slope == 1.0 and intercept == int(intercept) and stored.dtype.itemsize <= 2 and abs(intercept) <= _HIGHEST_HU:
        whole: npt.NDArray[np.int32] = np.add(stored, np.int32(intercept), dtype=np.int32)
        np.clip(whole, _AIR, _HIGHEST_HU, out=whole)
        return whole.astype(np.int16)
    real: npt.NDArray[np.float32] = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    np.clip(np.rint(real, out=real), _AIR, _HIGHEST_HU, out=real)
    return real.astype(np.int16)
