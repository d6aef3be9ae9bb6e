"""Which of a study's series to read: soft kernel, then cover, then slices near 5 mm, as the node chooses.

In: headers of all images of one study. Out: the slices of one series in order, or the reason why none will do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from triage_node.training.datasets.dicom_series import (
    NotAnAxialStack,
    SliceHeader,
    ordered_slices,
    slice_spacing_mm,
)

MINIMUM_SLICES = 8
MINIMUM_COVER_MM = 60.0
PREFERRED_SPACING_MM = 5.0
SHARP = re.compile(r"bone|sharp|edge|detail|lung|hi ?-?res|hrct|\b[BH]r?[67]\d|\bFC[38]\d", re.IGNORECASE)
"""Kernel names and series descriptions of sharp reconstructions (GE BONE, Siemens H60 and above, Toshiba FC30, FC80)."""
PLAIN = re.compile(r"\b(non|pre|without|no|w/?o)[ ._-]*(iv[ ._-]*)?(contrast|con\b|c\b)", re.IGNORECASE)
CONTRAST = re.compile(r"\bpost\b|contrast|\bcect\b|angio|\bcta\b|\boral\b|\d ?cc\b|\bc\b", re.IGNORECASE)
"""Descriptions of contrast phases once the plain ones (``PLAIN``) are taken out; CQ500 has ``CT C`` and ``CT 4cc sec``."""


class NoSuitableSeries(ValueError):
    """None of a study's series is a plain axial head series; the message lists why."""


def chosen_slices(headers: Iterable[SliceHeader]) -> list[SliceHeader]:
    """Choose one series and return its slices from inferior to superior.

    Raises
    ------
    NoSuitableSeries
        Every series was refused.
    """
    by_series: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_series[header.series].append(header)
    suitable: list[list[SliceHeader]] = []
    refused: list[str] = []
    for series in sorted(by_series):
        try:
            suitable.append(_plain_axial(by_series[series]))
        except NotAnAxialStack as problem:
            description = by_series[series][0].series_description or "a series without description"
            refused.append(f"{description}: {problem}")
    if not suitable:
        raise NoSuitableSeries("no plain axial head series (" + "; ".join(refused) + ")")
    return min(suitable, key=_rank)


def _plain_axial(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    first = headers[0]
    kinds = {kind.upper() for header in headers for kind in header.image_type}
    if first.modality not in ("CT", ""):
        raise NotAnAxialStack(f"it is {first.modality}")
    if kinds & {"LOCALIZER", "DERIVED", "SECONDARY"}:
        raise NotAnAxialStack("it is a localizer or derived")
    if first.contrast_agent or CONTRAST.search(PLAIN.sub("", first.series_description)):
        raise NotAnAxialStack("it was taken with contrast agent")
    slices = ordered_slices(headers)
    if len(slices) < MINIMUM_SLICES or _cover_mm(slices) < MINIMUM_COVER_MM:
        raise NotAnAxialStack(f"its {len(slices)} slices do not cover a head")
    return slices


def _cover_mm(slices: Sequence[SliceHeader]) -> float:
    return slice_spacing_mm(slices) * len(slices)


def _rank(slices: Sequence[SliceHeader]) -> tuple[bool, float, float, str]:
    first = slices[0]
    sharp = bool(SHARP.search(first.convolution_kernel) or SHARP.search(first.series_description))
    cover_cm = -round(_cover_mm(slices) / 10.0)  # a centimetre more or less is no reason to prefer thin slices
    return sharp, cover_cm, abs(slice_spacing_mm(slices) - PREFERRED_SPACING_MM), first.series
