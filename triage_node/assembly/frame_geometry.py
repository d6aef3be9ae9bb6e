"""Where the frames of a multi-frame image lie, and what they share.

In: the dataset of an Enhanced CT image. Out: the same attributes a single-frame image has at its top level. Answers to
PS3.3 C.7.6.16 (Multi-frame Functional Groups): what is not in a frame's own group is in the shared one.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ContrastBolusAgentSequence")

_MACROS = {
    "pixel_spacing_mm": ("PixelMeasuresSequence", "PixelSpacing"),
    "slice_thickness_mm": ("PixelMeasuresSequence", "SliceThickness"),
    "rescale_slope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "rescale_intercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "convolution_kernel": ("CTReconstructionSequence", "ConvolutionKernel"),
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
    for name, (macro, keyword) in _MACROS.items():
        if (value := attribute(groups[0], common, macro, keyword)) is not None:
            found[name] = _plain(value)
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
            try:
                value: object = item.get(keyword, None)
            except (ValueError, TypeError, OverflowError, KeyError):
                continue
            if value is not None and value != "":
                return value
    return None


def frame_plane(group: Dataset, shared: Dataset) -> tuple[float, ...] | None:
    """Return (x, y, z) in mm and the six direction cosines of one frame, or None."""
    position = attribute(group, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = attribute(group, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    plane = (*_floats(position), *_floats(orientation))
    return plane if len(plane) == 9 else None


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    try:
        return [each for each in dataset.get(keyword, None) or () if isinstance(each, Dataset)]
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError, NotImplementedError, EOFError, OSError):
        return []


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return
    yield from (float(each) for each in value)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "__iter__"):
        values = list(value)
        return "\\".join(values) if values and isinstance(values[0], str) else tuple(float(each) for each in values)
    return float(value)  # type: ignore[arg-type]
