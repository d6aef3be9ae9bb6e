"""Which study without a reading is told about: one report where somebody waits, none for what comes along."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.not_analysed import NEVER_EXPECTED, SeriesStanding, leading_refusal
from triage_node.core.reason import Reason
from triage_node.core.study_state import State


def refused(number: int, reason: Reason, count: int = 30, modality: str = "CT") -> SeriesStanding:
    return SeriesStanding(number, modality, State.NOT_ANALYSED, reason, count)


SCOUT, DOSE = refused(8, Reason.LOCALIZER, 2), refused(9, Reason.NOT_CT, 1, "SR")


def test_series_with_the_most_images_speaks_for_the_study():
    few, many = refused(1, Reason.TOO_FEW_SLICES, 4), refused(2, Reason.CONTRAST, 40)
    assert leading_refusal([SCOUT, few, many, DOSE]) == many


@pytest.mark.parametrize("reason", sorted(NEVER_EXPECTED))
def test_what_nobody_waits_for_is_not_reported(reason):
    assert leading_refusal([refused(1, reason)]) is None


def test_study_without_ct_is_not_reported():
    assert leading_refusal([refused(1, Reason.NOT_CT, 200, "MR"), DOSE]) is None
    assert leading_refusal([]) is None


@pytest.mark.parametrize("state", [each for each in State if each is not State.NOT_ANALYSED])
def test_study_with_a_ct_series_in_any_other_state_is_not_reported(state):
    head = SeriesStanding(2, "CT", state, None, 30)
    assert leading_refusal([refused(1, Reason.CONTRAST), head]) is None


def test_dose_report_that_is_still_arriving_holds_up_nothing():
    arriving = SeriesStanding(2, "SR", State.RECEIVING, None, 1)
    assert leading_refusal([refused(1, Reason.MISSING_SLICES), arriving]) is not None


def test_better_series_speaks_only_where_nothing_else_does():
    other, better = refused(1, Reason.BETTER_SERIES, 300), refused(2, Reason.UNDECODABLE, 20)
    assert leading_refusal([other, better]) == better
    assert leading_refusal([other]) == other


@given(st.permutations([refused(1, Reason.CONTRAST), refused(2, Reason.NOT_HEAD), SCOUT, DOSE]))
def test_order_of_the_series_does_not_matter(series):
    leader = leading_refusal(series)
    assert leader is not None
    assert leader.series_id == 1
