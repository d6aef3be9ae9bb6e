"""Where the frames of a multi-frame image lie, and what they share.

In: the dataset of an Enhanced CT image. Out: the same attributes a single-frame image has at its top level. Answers to
PS3.3 C.7.6.16 (Multi-frame Functional Groups): what is not in a frame's own group is in the shared one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ContrastBolusAgentSequence")

_NUMBERS = {
    "slice_thickness_mm": ("PixelMeasuresSequence", "SliceThickness"),
    "rescale_slope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "rescale_intercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
}


def described_frames(dataset: Dataset) -> dict[str, object]:
    """Return the fields of an instance header that functional groups give; nothing for a single-frame image.

    Frames are given only where each of them says where it lies: a stack with one unknown position has no order.
    """
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if not shared and not per_frame:
        return {}
    common = shared[0] if shared else Dataset()
    groups = list(per_frame) or [common]
    found: dict[str, object] = {}
    for name, (macro, keyword) in _NUMBERS.items():
        if (number := frame_number(groups[0], common, macro, keyword)) is not None:
            found[name] = number
    if len(spacing := _floats(attribute(groups[0], common, "PixelMeasuresSequence", "PixelSpacing"))) == 2:
        found["pixel_spacing_mm"] = spacing
    if kernel := attribute(groups[0], common, "CTReconstructionSequence", "ConvolutionKernel"):
        found["convolution_kernel"] = kernel if isinstance(kernel, str) else "\\".join(map(str, _several(kernel)))
    frames = [frame_plane(group, common) for group in groups]
    if all(each is not None for each in frames):
        found["frames"] = tuple(each for each in frames if each is not None)
    agents = [
        each for item in _items(dataset, "ContrastBolusAgentSequence") for each in [str(item.get("CodeMeaning", ""))]
    ]
    if agents:
        found["contrast_agent"] = "\\".join(each or "unnamed" for each in agents)
    return found


def attribute(group: Dataset, shared: Dataset, macro: str, keyword: str) -> object | None:
    """Return an attribute of a frame, from its own functional group or the shared one; None where it is in neither."""
    for each in (group, shared):
        for item in _items(each, macro):
            value = _converted(item, keyword)
            if value is not None and value != "":
                return value
    return None


def frame_number(group: Dataset, shared: Dataset, macro: str, keyword: str) -> float | None:
    """Return an attribute of a frame as a finite number, None where there is none."""
    return next(iter(_floats([attribute(group, shared, macro, keyword)])), None)


def frame_plane(group: Dataset, shared: Dataset) -> tuple[float, ...] | None:
    """Return (x, y, z) in mm and the six direction cosines of one frame, or None."""
    position = attribute(group, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = attribute(group, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    plane = (*_floats(position), *_floats(orientation))
    return plane if len(plane) == 9 else None


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    sequence = _converted(dataset, keyword)
    return [each for each in sequence if isinstance(each, Dataset)] if isinstance(sequence, Sequence) else []


def _converted(dataset: Dataset, keyword: str) -> object | None:
    """Return an element's value, None where there is none or pydicom, which converts it only now, cannot read it."""
    try:
        value: object = dataset.get(keyword, None)
    except Exception:  # whatever the bytes lead it to
        return None
    return value


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else ()


def _floats(value: object) -> tuple[float, ...]:
    """Return several finite numbers; none where one of them is no number."""
    try:
        numbers = tuple(float(each) for each in _several(value))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return ()
    return numbers if all(math.isfinite(each) for each in numbers) else ()
