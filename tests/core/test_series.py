"""Which series is read, which is declined and why, and which of several is best: from headers alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.instance import InstanceHeader
from triage_node.core.membership import slice_planes
from triage_node.core.reason import Reason
from triage_node.core.series import (
    EligibilityLimits,
    eligibility,
    expected_count,
    looks_complete,
    ordered,
    rank_key,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
HEAD_5_MM = [5.0 * index for index in range(30)]


def made_slice(number: int, z: float, **fields: Any) -> InstanceHeader:
    """Return a plain axial head slice at height z (mm)."""
    plain = InstanceHeader(
        sop_instance_uid=f"1.2.3.{number}",
        sop_class_uid=CT,
        series_instance_uid="1.2.3",
        study_instance_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        series_description="HEAD 5.0 H31s",
        body_part_examined="HEAD",
        convolution_kernel="H31s",
        instance_number=number,
        image_position_patient=(-117.5, -117.5, z),
        image_orientation_patient=AXIAL,
        pixel_spacing_mm=(0.46, 0.46),
        slice_thickness_mm=5.0,
        rows=512,
        columns=512,
        bits_allocated=16,
        has_pixels=True,
    )
    return replace(plain, **fields)


def made_series(heights: list[float] | None = None, **fields: Any) -> list[InstanceHeader]:
    heights = HEAD_5_MM if heights is None else heights
    return [made_slice(number, z, **fields) for number, z in enumerate(heights, start=1)]


def reason(headers: list[InstanceHeader]) -> Reason | None:
    refusal = eligibility(headers)
    return refusal.reason if refusal else None


def test_a_plain_head_series_is_read_and_may_close_at_once() -> None:
    assert eligibility(made_series()) is None
    assert looks_complete(made_series())


def test_absent_descriptions_and_image_type_do_not_stand_in_the_way() -> None:
    bare = made_series(
        series_description="", body_part_examined="", convolution_kernel="", image_type=(), slice_thickness_mm=None
    )
    assert eligibility(bare) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"modality": "MR", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}, Reason.NOT_CT, id="MR"),
        pytest.param(
            {"modality": "US", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.6.1"}, Reason.NOT_CT, id="ultrasound"
        ),
        pytest.param({"modality": "PT"}, Reason.NOT_CT, id="CT class, modality PT"),
        pytest.param({"sop_class_uid": DOSE_REPORT, "has_pixels": False}, Reason.NOT_CT, id="dose SR with Modality CT"),
        pytest.param({"sop_class_uid": SECONDARY_CAPTURE}, Reason.DERIVED, id="screen save with Modality CT"),
        pytest.param({"sop_class_uid": SECONDARY_CAPTURE, "modality": "OT"}, Reason.NOT_CT, id="screen save"),
        pytest.param({"image_type": ("DERIVED", "SECONDARY", "DOSE_INFO")}, Reason.DERIVED, id="dose page"),
        pytest.param({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, Reason.LOCALIZER, id="scout"),
        pytest.param({"image_type": ("DERIVED", "PRIMARY", "AXIAL")}, Reason.DERIVED, id="derived"),
        pytest.param({"image_type": ("ORIGINAL", "PRIMARY", "MPR")}, Reason.DERIVED, id="reformat said original"),
        pytest.param(
            {"image_type": ("DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE")}, Reason.DERIVED, id="GE reformat"
        ),
        pytest.param({"samples_per_pixel": 3}, Reason.DERIVED, id="colour"),
        pytest.param({"has_pixels": False}, Reason.NO_PIXELS, id="no pixels"),
        pytest.param({"contrast_agent": "OMNIPAQUE"}, Reason.CONTRAST, id="agent"),
        pytest.param({"series_description": "CTA HEAD"}, Reason.CONTRAST, id="CTA"),
        pytest.param({"series_description": "", "body_part_examined": "CHEST"}, Reason.NOT_HEAD, id="chest"),
        pytest.param({"series_description": "C-SPINE 2.0"}, Reason.NOT_HEAD, id="neck"),
        pytest.param({"pixel_spacing_mm": (0.2, 0.2)}, Reason.NOT_HEAD, id="inner ear field of view"),
        pytest.param({"image_position_patient": None}, Reason.NO_GEOMETRY, id="no position"),
        pytest.param({"image_orientation_patient": (0.0,) * 6}, Reason.NO_GEOMETRY, id="orientation of zeros"),
        pytest.param({"image_position_patient": (0.0, 0.0, 0.0)}, Reason.NO_GEOMETRY, id="all at one position"),
        pytest.param(
            {"rows": 65535, "pixel_spacing_mm": (0.005, 0.46)}, Reason.UNDECODABLE, id="a matrix to fill the memory"
        ),
        pytest.param({"pixel_spacing_mm": None}, Reason.NO_GEOMETRY, id="no pixel spacing"),
        pytest.param({"image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)}, Reason.NOT_AXIAL, id="coronal"),
        pytest.param(
            {"image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 0.766, -0.643)}, Reason.NOT_AXIAL, id="40 degrees"
        ),
    ],
)
def test_a_series_that_cannot_be_read_says_why(fields: dict[str, Any], expected: Reason) -> None:
    assert reason(made_series(**fields)) is expected


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"image_type": ("ORIGINAL", "SECONDARY", "AXIAL")}, id="original, secondary"),
        pytest.param({"image_type": ("ORIGINAL", "PRIMARY", "AXIAL", "ADD")}, id="GE, added rotations"),
        pytest.param(
            {"image_type": ("DERIVED", "PRIMARY", "AXIAL"), "transfer_syntax_uid": "1.2.840.10008.1.2.4.91"},
            id="lossy compression",
        ),
        pytest.param(
            {"image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 0.9063, -0.4226)}, id="gantry tilt of 25 degrees"
        ),
        pytest.param({"series_description": "HEAD W/O CONTRAST"}, id="without contrast"),
        pytest.param({"contrast_agent": "NONE"}, id="no agent"),
    ],
)
def test_vendor_habits_do_not_cost_a_reading(fields: dict[str, Any]) -> None:
    assert eligibility(made_series(**fields)) is None


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([5.0 * index for index in range(7)], Reason.TOO_FEW_SLICES),
        ([0.3 * index for index in range(900)], Reason.TOO_MANY_SLICES),
        ([2.5 * index for index in range(20)], Reason.SHORT_COVERAGE),
        ([5.0 * index for index in range(80)], Reason.NOT_HEAD),
        ([5.0 * index for index in range(30) if index != 12], Reason.MISSING_SLICES),
        ([15.0 * index for index in range(12)], Reason.MISSING_SLICES),
    ],
)
def test_stacks_out_of_measure_are_declined(heights: list[float], expected: Reason) -> None:
    assert reason(made_series(heights)) is expected


def test_slices_too_far_apart_are_declined_where_no_thickness_is_said() -> None:
    assert (
        reason(made_series([15.0 * index for index in range(12)], slice_thickness_mm=None)) is Reason.IRREGULAR_SPACING
    )


def test_the_limits_are_the_callers() -> None:
    assert eligibility(made_series(HEAD_5_MM[:6]), EligibilityLimits(min_slices=5, min_coverage_mm=20.0)) is None


def test_what_was_measured_is_in_the_detail_and_nothing_of_the_patient() -> None:
    refusal = eligibility(made_series(HEAD_5_MM[:7], patient_name="DOE^JOHN"))
    assert refusal is not None
    assert refusal.detail == "7 slices, at least 8 are needed"


def test_a_scout_and_a_dose_page_inside_the_series_are_left_out() -> None:
    scout = made_slice(
        90,
        0.0,
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        image_orientation_patient=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    )
    dose_page = made_slice(91, 0.0, sop_class_uid=SECONDARY_CAPTURE, image_position_patient=None)
    headers = [scout, *made_series(), dose_page]
    assert eligibility(headers) is None
    assert [header.instance_number for header, _ in ordered([(header, Path()) for header in headers])] == list(
        range(1, 31)
    )


def test_two_orientations_are_two_stacks() -> None:
    tilted = made_series([z + 2.5 for z in HEAD_5_MM], image_orientation_patient=(1.0, 0.0, 0.0, 0.0, 0.9397, -0.342))
    assert reason([*made_series(), *tilted]) is Reason.MULTIPLE_STACKS


def test_pixel_spacing_rounded_differently_is_one_stack() -> None:
    headers = made_series(pixel_spacing_mm=(0.4882812, 0.4882812))
    assert (
        eligibility(
            [*headers[:10], *(replace(each, pixel_spacing_mm=(0.48828125, 0.48828125)) for each in headers[10:])]
        )
        is None
    )


def test_two_matrices_are_two_stacks() -> None:
    assert reason([*made_series(), *made_series([z + 2.5 for z in HEAD_5_MM], rows=256)]) is Reason.MULTIPLE_STACKS


def resent(headers: list[InstanceHeader], **fields: Any) -> list[InstanceHeader]:
    return [replace(each, sop_instance_uid=each.sop_instance_uid + ".9", **fields) for each in headers]


def test_slices_sent_twice_under_other_uids_are_read_once() -> None:
    headers = made_series()
    everything = [*headers, *resent(headers)]
    assert eligibility(everything) is None
    assert len(ordered([(header, Path()) for header in everything])) == 30


def test_a_few_slices_repeated_under_new_numbers_are_read_once() -> None:
    headers = made_series()
    again = [replace(each, instance_number=100 + index) for index, each in enumerate(resent(headers[4:8]))]
    assert eligibility([*headers, *again]) is None


@pytest.mark.parametrize(
    "fields", [{"convolution_kernel": "H60s"}, {"acquisition_number": 2}, {"slice_thickness_mm": 2.5}, {"kvp": 80.0}]
)
def test_two_reconstructions_in_one_series_are_two_stacks(fields: dict[str, Any]) -> None:
    headers = made_series()
    assert reason([*headers, *resent(headers, **fields)]) is Reason.MULTIPLE_STACKS


def test_a_head_scanned_twice_under_running_numbers_is_two_stacks() -> None:
    headers = made_series()
    again = [replace(each, instance_number=31 + index) for index, each in enumerate(resent(headers))]
    assert reason([*headers, *again]) is Reason.MULTIPLE_STACKS


@given(seed=st.integers(0, 2**16), shift=st.floats(-500, 500), lost=st.none() | st.integers(1, 28))
def test_arrival_order_and_table_height_change_nothing(seed: int, shift: float, lost: int | None) -> None:
    heights = [z + shift for index, z in enumerate(HEAD_5_MM) if index != lost]
    headers = made_series(heights)
    shuffled = random.Random(seed).sample(headers, len(headers))
    assert eligibility(shuffled) == eligibility(headers)
    assert looks_complete(shuffled) == looks_complete(headers) == (lost is None)
    assert [header for header, _ in ordered([(header, Path()) for header in shuffled])] == headers


def test_instance_numbers_from_the_top_do_not_turn_the_order() -> None:
    headers = [replace(header, instance_number=31 - number) for number, header in enumerate(made_series(), start=1)]
    assert [
        header.image_position_patient[2] for header, _ in ordered([(header, Path()) for header in headers])
    ] == HEAD_5_MM  # type: ignore[index]


def test_a_series_that_has_only_begun_does_not_look_complete() -> None:
    assert not looks_complete(made_series(HEAD_5_MM[:20]))


def test_a_series_whose_numbers_leave_some_out_does_not_look_complete() -> None:
    """Geometry alone cannot tell that the scan goes on above or below what came."""
    headers = made_series()
    assert not looks_complete([*headers[:-1], replace(headers[-1], instance_number=34)])


def test_an_expected_count_decides_when_a_series_is_complete() -> None:
    headers = made_series(expected_instances=30)
    assert expected_count(headers) == 30
    assert looks_complete(headers)
    assert not looks_complete(headers[:-1])
    assert expected_count(made_series()) is None


def test_the_best_series_is_soft_then_whole_then_near_five_millimetres() -> None:
    soft = made_series()
    bone = made_series(convolution_kernel="H60s", slice_thickness_mm=5.0)
    short = made_series(HEAD_5_MM[:22])
    thin = made_series([1.0 * index for index in range(150)], slice_thickness_mm=1.0)
    assert max([bone, short, thin, soft], key=rank_key) is soft
    assert max([bone, thin], key=rank_key) is thin
    assert max([short, thin], key=rank_key) is thin


def test_equal_series_rank_equal_whatever_their_numbers() -> None:
    first, second = (rank_key(made_series(series_number=number)) for number in (4, 2))
    assert first == second


def test_more_slices_than_the_memory_is_meant_for_are_too_many_whatever_the_setting() -> None:
    limits = EligibilityLimits(max_slices=2000, max_voxels=512 * 512 * 100)
    refusal = eligibility(made_series([1.0 * index for index in range(150)], slice_thickness_mm=1.0), limits)
    assert refusal is not None
    assert refusal.reason is Reason.TOO_MANY_SLICES
    assert "at most 100 of this size" in refusal.detail


def test_a_multi_frame_head_is_measured_by_its_frames() -> None:
    frames = tuple((-117.5, -117.5, z, *AXIAL) for z in reversed(HEAD_5_MM))
    enhanced = made_slice(
        1,
        0.0,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2.1",
        image_position_patient=None,
        image_orientation_patient=None,
        number_of_frames=30,
        frames=frames,
    )
    assert eligibility([enhanced]) is None
    assert looks_complete([enhanced])
    assert len(slice_planes([enhanced])) == 30
    assert ordered([(enhanced, Path("a"))]) == [(enhanced, Path("a"))]
    assert InstanceHeader.from_json(json.loads(json.dumps(enhanced.to_json()))) == enhanced
    gap = replace(enhanced, number_of_frames=29, frames=frames[:10] + frames[11:])
    assert reason([gap]) is Reason.MISSING_SLICES
    assert reason([replace(enhanced, frames=())]) is Reason.NO_GEOMETRY


def test_a_real_ge_head_with_tilt_and_two_spacings_is_read() -> None:
    """GE HiSpeed: 14 slices of 4 mm, a step of 1.08 mm, 14 slices of 7 mm, gantry tilt 18.5 degrees."""
    tilted = (1.0, 0.0, 0.0, 0.0, 0.9483237, -0.3173047)
    lower = [5.836 + 4.22 * index for index in range(14)]
    upper = [61.836 + 7.38 * index for index in range(14)]
    headers = [made_slice(index, z, slice_thickness_mm=4.0) for index, z in enumerate(lower, start=1)]
    headers += [
        made_slice(index, z, slice_thickness_mm=7.0, image_type=("ORIGINAL", "PRIMARY", "AXIAL", "ADD"))
        for index, z in enumerate(upper, 15)
    ]
    headers = [replace(each, image_orientation_patient=tilted) for each in headers]
    assert eligibility(headers) is None
    assert looks_complete(headers)
    assert reason([*headers[:20], *headers[21:]]) is Reason.MISSING_SLICES
