"""Holes are told from changes of protocol."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.reason import Reason
from triage_node.core.spacing import spacing_refusal

GE_GAPS = [4.0] * 13 + [1.08] + [7.0] * 13
GE_THICKNESSES = [4.0] * 14 + [7.0] * 14


def reason(gaps: list[float], thicknesses: list[float | None]) -> Reason | None:
    refusal = spacing_refusal(gaps, thicknesses)
    return refusal.reason if refusal else None


def without(gaps: list[float], thicknesses: list[float], lost: int) -> tuple[list[float], list[float | None]]:
    """Take one inner slice out: its two distances become one."""
    return [*gaps[: lost - 1], gaps[lost - 1] + gaps[lost], *gaps[lost + 1 :]], [
        *thicknesses[:lost],
        *thicknesses[lost + 1 :],
    ]


@pytest.mark.parametrize(
    ("gaps", "thicknesses"),
    [
        pytest.param(GE_GAPS, GE_THICKNESSES, id="GE HiSpeed, 4 mm below 7 mm"),
        pytest.param(GE_GAPS[::-1], GE_THICKNESSES[::-1], id="thick below thin"),
        pytest.param([2.5] * 12 + [5.0] * 16, [2.5] * 13 + [5.0] * 16, id="fossa 2.5, above 5"),
        pytest.param([2.5] * 12 + [5.0] * 16, [5.0] * 29, id="fossa 2.5, above 5, one thickness said"),
        pytest.param([3.0] * 10 + [8.0] * 12, [3.0] * 11 + [8.0] * 12, id="fossa 3, above 8"),
        pytest.param([3.0] * 10 + [8.0] * 12, [None] * 23, id="fossa 3, above 8, no thickness said"),
        pytest.param([3.0] * 10 + [5.5] + [8.0] * 12, [3.0] * 11 + [8.0] * 13, id="fossa 3, step, above 8"),
        pytest.param([2.5] * 50, [5.0] * 51, id="overlapping"),
        pytest.param([0.625] * 240, [0.625] * 241, id="thin"),
        pytest.param([0.6, 0.7, 0.6, 0.6] * 60, [0.625] * 241, id="thin, positions rounded"),
        pytest.param([8.0] * 16, [5.0] * 17, id="5 mm every 8 mm"),
        pytest.param([5.0, 5.01, 4.99] * 9, [5.0] * 28, id="rounding"),
    ],
)
def test_legitimate_spacing_passes(gaps: list[float], thicknesses: list[float | None]) -> None:
    assert spacing_refusal(gaps, thicknesses) is None


@pytest.mark.parametrize("lost", range(1, 30))
def test_a_lost_slice_is_missed_wherever_it_was(lost: int) -> None:
    assert reason(*without([5.0] * 30, [5.0] * 31, lost)) is Reason.MISSING_SLICES


@pytest.mark.parametrize("lost", [*range(1, 13), *range(15, 27)])
def test_a_lost_slice_is_missed_in_either_part_of_a_variable_series(lost: int) -> None:
    """At the joint (13, 14) the neighbours close the hole: 5 to 8 mm are no more than the thicknesses there."""
    assert reason(*without(GE_GAPS, GE_THICKNESSES, lost)) is Reason.MISSING_SLICES


@given(
    spacing=st.floats(0.5, 10.0),
    count=st.integers(12, 60),
    lost=st.data(),
)
def test_any_lost_slices_that_leave_neighbours_are_missed(spacing: float, count: int, lost: st.DataObject) -> None:
    # Three or more alternate slices lost at an end leave an even zone of twice the spacing, which scanners make on purpose.
    gone = lost.draw(st.sets(st.integers(1, count - 2), min_size=1, max_size=2))
    kept = [index for index in range(count) if index not in gone]
    gaps = [(upper - lower) * spacing for lower, upper in pairwise(kept)]
    assert reason(gaps, [spacing] * len(kept)) is Reason.MISSING_SLICES


def test_the_half_of_a_series_that_one_of_two_associations_lost_is_missed() -> None:
    assert reason([10.0] * 14, [5.0] * 15) is Reason.MISSING_SLICES


def test_a_wide_part_between_narrow_ones_is_a_hole() -> None:
    assert reason([5.0] * 8 + [10.0] * 5 + [5.0] * 8, [5.0] * 22) is Reason.MISSING_SLICES


def test_no_steady_spacing_is_irregular() -> None:
    gaps = [2.0, 2.4, 2.9, 3.4, 3.9, 4.4, 4.9, 5.4, 4.9, 4.4, 3.9, 3.4, 2.9, 2.4]
    assert reason(gaps, [5.0] * 15) is Reason.IRREGULAR_SPACING


def test_the_detail_says_where_and_how_much() -> None:
    refusal = spacing_refusal([5.0] * 8 + [10.0] + [5.0] * 8, [5.0] * 18)
    assert refusal is not None
    assert refusal.detail == "1 gap: 10.0 mm after slice 9, where 5.0 mm is due"
