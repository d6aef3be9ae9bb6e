"""Which series can be read, when one is whole, which of several suits best, and in what order its slices lie.

In: the headers of one series, in any order. Out: a refusal with its reason code and what was measured, or None. Headers
alone decide here, before anything is decoded; what the pixels show is ``core.head_check``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triage_node.core.acquisition import BodyPart, body_part, contrast_named, kernel
from triage_node.core.geometry import StackGeometry, parallel_groups, tilt_deg
from triage_node.core.instance import InstanceHeader
from triage_node.core.membership import has_geometry, instance_refusal, measured_series, slice_members, slice_planes
from triage_node.core.reason import Reason, Refusal
from triage_node.core.spacing import spacing_refusal


@dataclass(frozen=True)
class EligibilityLimits:
    """What a series must keep to be read.

    Attributes
    ----------
    min_slices, max_slices
        Head protocols make 20 to 350 slices; 8 slices of 10 mm are the least that show a head.
    min_coverage_mm, max_coverage_mm
        The brain is 110 to 150 mm high; beyond the upper limit a neck or a body is in the series.
    complete_coverage_mm
        From here on a series without gaps counts as a whole head and need not wait for the quiet period.
    max_tilt_deg
        Between the slices and the transverse plane; gantries tilt up to 30 degrees.
    min_field_of_view_mm, max_field_of_view_mm
        Of the longer side. A head is 130 to 220 mm; below the lower limit it is cut (inner ear, orbits).
    max_slice_spacing_mm
        Wider slices pass small bleedings by.
    max_matrix
        Rows or columns; scanners make 512 to 1024. Beyond it a header lies, or means to fill the memory.
    max_voxels
        Of the whole series; 800 slices of 512 x 512 are half of it.
    """

    min_slices: int = 8
    max_slices: int = 800
    min_coverage_mm: float = 80.0
    max_coverage_mm: float = 320.0
    complete_coverage_mm: float = 110.0
    max_tilt_deg: float = 35.0
    min_field_of_view_mm: float = 120.0
    max_field_of_view_mm: float = 700.0
    max_slice_spacing_mm: float = 12.0
    max_matrix: int = 2048
    max_voxels: int = 420_000_000


DEFAULT_LIMITS = EligibilityLimits()


def eligibility(headers: Sequence[InstanceHeader], limits: EligibilityLimits = DEFAULT_LIMITS) -> Refusal | None:
    """Return why a series is not to be read, or None.

    Single instances that are no slices (a scout or a dose page that a scanner put into the series) are left out; where
    nothing else is there, they give the reason.

    Examples
    --------
    >>> eligibility([InstanceHeader("1.2", "1.2.840.10008.5.1.4.1.1.4", "1.4", "1.5", "1.6", modality="MR")]).reason
    <Reason.NOT_CT: 'NOT_CT'>
    """
    members = slice_members(headers)
    if not members:
        refusals = Counter(refusal for header in headers if (refusal := instance_refusal(header)) is not None)
        return refusals.most_common(1)[0][0] if refusals else Refusal(Reason.TOO_FEW_SLICES, "0 slices")
    return _tag_refusal(members) or _stack_refusal(members, limits)


def looks_complete(headers: Sequence[InstanceHeader], limits: EligibilityLimits = DEFAULT_LIMITS) -> bool:
    """Tell whether a series can be closed as soon as its associations are released.

    An expected count, where the sender gives one, decides. Else the slices must be an eligible stack as high as a whole
    head, and the instance numbers, though they give no order, must leave none out: a stack that ends early has no gap.

    Examples
    --------
    >>> looks_complete([])
    False
    """
    expected = expected_count(headers)
    if expected is not None:
        return len(headers) >= expected
    if eligibility(headers, limits) is not None:
        return False
    numbers = {header.instance_number for header in headers if header.instance_number is not None}
    if numbers and max(numbers) - min(numbers) + 1 > len(headers):
        return False
    return measured_series(slice_members(headers)).coverage_mm >= limits.complete_coverage_mm


def expected_count(headers: Sequence[InstanceHeader]) -> int | None:
    """Return how many instances the sender says the series has, None where it does not say.

    Examples
    --------
    >>> expected_count([InstanceHeader("1.2", "1.3", "1.4", "1.5", "1.6", expected_instances=30)])
    30
    """
    said = [each.expected_instances for each in headers if each.expected_instances is not None]
    return max((count for count in said if count > 0), default=None)


def rank_key(headers: Sequence[InstanceHeader]) -> tuple[int, int, float]:
    """Return a key by which the greatest of several eligible series is the best to read.

    A soft kernel comes first, then cover (in steps of 20 mm: a slice more or less decides nothing), then the thickness
    nearest to the 5 mm that the network was trained on. Equals are equal: of them the first that came is read, and none
    of the others sends a second set of reports.

    Examples
    --------
    >>> rank_key([])
    (0, 0, -1000.0)
    """
    members = [header for header in slice_members(headers) if has_geometry(header)]
    if not members:
        return (0, 0, -1000.0)
    first = members[0]
    thickness_mm = first.slice_thickness_mm or 0.0
    return (
        kernel(first).value,
        round(measured_series(members).coverage_mm / 20.0),
        -abs(thickness_mm - 5.0),
    )


def ordered(instances: Sequence[tuple[InstanceHeader, Path]]) -> list[tuple[InstanceHeader, Path]]:
    """Return the slices of an eligible series from inferior to superior, one instance a position.

    A multi-frame instance stands once, where its lowest frame lies.

    Examples
    --------
    >>> ordered([])
    []
    """
    members = [pair for pair in instances if instance_refusal(pair[0]) is None and has_geometry(pair[0])]
    if not members:
        return []
    stack = measured_series([header for header, _ in members])
    return [members[index] for index in dict.fromkeys(plane.instance for plane in stack.slices)]


def _tag_refusal(members: Sequence[InstanceHeader]) -> Refusal | None:
    for header in members:
        if found := contrast_named(header):
            return Refusal(Reason.CONTRAST, found)
    if all(body_part(header) is BodyPart.OTHER for header in members):
        return Refusal(Reason.NOT_HEAD, "the tags name another part of the body")
    return None


def _stack_refusal(members: Sequence[InstanceHeader], limits: EligibilityLimits) -> Refusal | None:
    lacking = sum(not has_geometry(header) for header in members)
    if lacking:
        return Refusal(Reason.NO_GEOMETRY, f"{lacking} of {len(members)} instances")
    groups = parallel_groups(slice_planes(members))
    tilt = tilt_deg(groups[0][0].orientation)
    if tilt > limits.max_tilt_deg:
        return Refusal(Reason.NOT_AXIAL, f"tilt {tilt:.0f} degrees, limit {limits.max_tilt_deg:.0f}")
    if len(groups) > 1:
        return Refusal(Reason.MULTIPLE_STACKS, f"{len(groups)} orientations")
    stack = measured_series(members)
    if len(members) > 1 and len(stack.slices) == 1:
        return Refusal(Reason.NO_GEOMETRY, f"all {len(members)} instances say they lie at one position")
    return (
        _mixture_refusal(members)
        or _repetition_refusal(members, stack)
        or _size_refusal(members, stack, limits)
        or spacing_refusal(stack.gaps_mm, [plane.thickness_mm for plane in stack.slices])
        or _coverage_refusal(stack, limits)
    )


def _mixture_refusal(members: Sequence[InstanceHeader]) -> Refusal | None:
    formats = {(each.rows, each.columns, *(round(mm, 2) for mm in each.pixel_spacing_mm or ())) for each in members}
    if len(formats) > 1:
        return Refusal(Reason.MULTIPLE_STACKS, f"{len(formats)} different matrices or pixel spacings")
    return None


def _repetition_refusal(members: Sequence[InstanceHeader], stack: StackGeometry) -> Refusal | None:
    """Tell one slice sent twice, which is harmless, from two stacks in one series, of which we cannot know the right one.

    The same slice under two SOP Instance UIDs agrees in kernel, thickness, acquisition and image type, and either keeps its
    instance number or is one of few. Two reconstructions or two passes over the head disagree, or repeat most positions
    under other numbers.
    """
    for slices in stack.repeated:
        takes = {_take(members[plane.instance]) for plane in slices}
        if len(takes) > 1 or len({plane.instance for plane in slices}) < len(slices):
            return Refusal(
                Reason.MULTIPLE_STACKS, f"{len(stack.repeated)} positions hold slices of different reconstructions"
            )
    renumbered = sum(len({members[plane.instance].instance_number for plane in each}) > 1 for each in stack.repeated)
    if renumbered * 2 > len(stack.slices):
        return Refusal(Reason.MULTIPLE_STACKS, f"{renumbered} of {len(stack.slices)} positions hold several slices")
    return None


def _take(header: InstanceHeader) -> tuple[object, ...]:
    return (
        header.convolution_kernel,
        header.slice_thickness_mm,
        header.acquisition_number,
        header.image_type,
        header.kvp,
    )


def _size_refusal(members: Sequence[InstanceHeader], stack: StackGeometry, limits: EligibilityLimits) -> Refusal | None:
    count = len(stack.slices)
    if count < limits.min_slices:
        return Refusal(Reason.TOO_FEW_SLICES, f"{count} slices, at least {limits.min_slices} are needed")
    if count > limits.max_slices:
        return Refusal(Reason.TOO_MANY_SLICES, f"{count} slices, at most {limits.max_slices} are read")
    header = members[0]
    matrix = f"{header.rows} x {header.columns} pixels"
    if max(header.rows, header.columns) > limits.max_matrix:
        return Refusal(Reason.UNDECODABLE, f"slices of {matrix} are larger than this node reads")
    most = limits.max_voxels // max(1, header.rows * header.columns)
    if count > most:
        return Refusal(Reason.TOO_MANY_SLICES, f"{count} slices of {matrix}, at most {most} of this size are read")
    between_rows, between_columns = header.pixel_spacing_mm or (0.0, 0.0)
    field_of_view = max(header.rows * between_rows, header.columns * between_columns)
    if not limits.min_field_of_view_mm <= field_of_view <= limits.max_field_of_view_mm:
        return Refusal(Reason.NOT_HEAD, f"field of view {field_of_view:.0f} mm")
    return None


def _coverage_refusal(stack: StackGeometry, limits: EligibilityLimits) -> Refusal | None:
    if max(stack.gaps_mm) > limits.max_slice_spacing_mm:
        detail = f"slices {max(stack.gaps_mm):.1f} mm apart, limit {limits.max_slice_spacing_mm:.1f} mm"
        return Refusal(Reason.IRREGULAR_SPACING, detail)
    if stack.coverage_mm < limits.min_coverage_mm:
        detail = f"{stack.coverage_mm:.0f} mm covered, at least {limits.min_coverage_mm:.0f} mm are needed"
        return Refusal(Reason.SHORT_COVERAGE, detail)
    if stack.coverage_mm > limits.max_coverage_mm:
        return Refusal(Reason.NOT_HEAD, f"{stack.coverage_mm:.0f} mm covered, more than a head")
    return None
