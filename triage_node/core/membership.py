"""Which instances of a series are its slices, and where each of them lies.

In: the headers of one series. Out: those that are slices of an original CT acquisition, and their planes. A scout or a dose
page that a scanner puts into a series is no slice of it. Answers to PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1 (Image Type of CT).
"""

from __future__ import annotations

from collections.abc import Sequence

from triage_node.core.conformance import CT_SOP_CLASSES
from triage_node.core.geometry import SlicePlane, StackGeometry, is_orthonormal, measured_stack, parallel_groups
from triage_node.core.instance import InstanceHeader
from triage_node.core.reason import Reason, Refusal

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LOSSY_TRANSFER_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{each}" for each in ("50", "51", "81", "91", "203"))
_LOCALIZER_TYPES = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM", "REF_SURVIEW"})
_DERIVED_TYPES = frozenset(
    {"MPR", "REFORMATTED", "CURVED", "MIP", "MINIP", "MAXIP", "VRT", "SSD", "3D", "SCREEN SAVE", "SCREEN CAPTURE", "DOSE_INFO",
     "PATIENT_INFO", "RESULTS", "PERFUSION", "RCBF", "RCBV", "RMTT", "SUBTRACTION", "CSA MPR", "PROJECTION IMAGE"},
)  # fmt: skip


def slice_members(headers: Sequence[InstanceHeader]) -> list[InstanceHeader]:
    """Return the instances that are slices of an original CT acquisition.

    Examples
    --------
    >>> slice_members([InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", modality="MR")])
    []
    """
    return [header for header in headers if instance_refusal(header) is None]


def instance_refusal(header: InstanceHeader) -> Refusal | None:
    """Return why one instance is no slice of an original CT acquisition, None where it is one.

    A Secondary Capture is derived whatever it calls itself; a dose report (SR) with Modality CT is not CT.

    Examples
    --------
    >>> instance_refusal(InstanceHeader("1.2", "1.2.840.10008.5.1.4.1.1.7", "1.4", "1.5", "1.6", modality="CT"))
    Refusal(reason=<Reason.DERIVED: 'DERIVED'>, detail='Secondary Capture')
    """
    types = {each.upper() for each in header.image_type}
    is_ct = header.modality in ("CT", "")
    if is_ct and header.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return Refusal(Reason.DERIVED, "Secondary Capture")
    if not is_ct or header.sop_class_uid not in CT_SOP_CLASSES:
        return Refusal(Reason.NOT_CT, f"Modality {header.modality or 'empty'}, SOP class {header.sop_class_uid}")
    if types & _LOCALIZER_TYPES:
        return Refusal(Reason.LOCALIZER, f"Image Type {sorted(types & _LOCALIZER_TYPES)[0]}")
    if found := _derived(header):
        return Refusal(Reason.DERIVED, found)
    return None if header.has_pixels else Refusal(Reason.NO_PIXELS)


def _derived(header: InstanceHeader) -> str | None:
    """Return what shows that an image is not as the scanner first made it.

    ORIGINAL\\SECONDARY passes: some scanners write it on their first reconstruction. So does DERIVED\\PRIMARY\\AXIAL where the
    only derivation is lossy compression, which PS3.3 C.7.6.1.1.2 calls derived.
    """
    types = [each.upper() for each in header.image_type]
    if marks := [each for each in types if each in _DERIVED_TYPES]:
        return f"Image Type {marks[0]}"
    if types[:1] == ["DERIVED"]:
        only_compressed = header.transfer_syntax_uid in _LOSSY_TRANSFER_SYNTAXES and types[1:2] == ["PRIMARY"]
        return None if only_compressed else "Image Type DERIVED"
    return "colour image" if header.samples_per_pixel > 1 else None


def has_geometry(header: InstanceHeader) -> bool:
    """Tell whether an instance says where each of its pixels lies.

    Examples
    --------
    >>> has_geometry(InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6"))
    False
    """
    planes = slice_planes([header])
    spacing = header.pixel_spacing_mm
    return (
        len(planes) == header.number_of_frames
        and all(is_orthonormal(plane.orientation) for plane in planes)
        and spacing is not None
        and min(spacing) > 0
        and header.rows > 0
        and header.columns > 0
    )


def slice_planes(headers: Sequence[InstanceHeader]) -> list[SlicePlane]:
    """Return every slice of instances that have geometry, the frames of multi-frame instances one by one.

    Examples
    --------
    >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", frames=((0, 0, 5, 1, 0, 0, 0, 1, 0),) * 2)
    >>> [plane.frame_number for plane in slice_planes([header])]
    [1, 2]
    """
    planes = []
    for index, header in enumerate(headers):
        frames = header.frames
        if not frames and header.image_position_patient and header.image_orientation_patient:
            frames = ((*header.image_position_patient, *header.image_orientation_patient),)
        for number, (x, y, z, a, b, c, d, e, f) in enumerate(frames, start=1):
            planes.append(SlicePlane(index, number, (x, y, z), (a, b, c, d, e, f), header.slice_thickness_mm))
    return planes


def measured_series(members: Sequence[InstanceHeader]) -> StackGeometry:
    """Measure the largest stack of a series; of slices at one position the first by instance number leads.

    Parameters
    ----------
    members
        At least one, each with geometry.

    Examples
    --------
    >>> header = InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", frames=((0, 0, 5, 1, 0, 0, 0, 1, 0),))
    >>> measured_series([header]).positions_mm
    (5.0,)
    """
    first_come = sorted(
        range(len(members)), key=lambda i: (members[i].instance_number or 0, members[i].sop_instance_uid)
    )
    rank = {index: place for place, index in enumerate(first_come)}
    group = parallel_groups(slice_planes(members))[0]
    return measured_stack(sorted(group, key=lambda plane: (rank[plane.instance], plane.frame_number)))
