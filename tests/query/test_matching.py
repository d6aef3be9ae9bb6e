"""Keys as PS3.4 C.2.2.2 reads them, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from triage_node.worklist.matching import Criterion, KeyRejected, Moments, Span, Texts, criterion, zone_of

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def _criterion(keyword: str, value: str) -> Criterion | None:
    asked = Dataset()
    setattr(asked, keyword, value)
    return criterion(asked[keyword], UTC)


@pytest.mark.parametrize(
    ("value", "since", "until"),
    [
        ("20260301", DAY, DAY + timedelta(days=1)),
        ("202602", DAY - timedelta(days=28), DAY),
        ("20260301-", DAY, None),
        ("-20260301", None, DAY + timedelta(days=1)),
        ("20260301-20260302", DAY, DAY + timedelta(days=2)),
        ("20260301000000-0500", DAY + timedelta(hours=5), DAY + timedelta(hours=5, seconds=1)),
        ("20260301000000-0500-20260302+0100", DAY + timedelta(hours=5), DAY + timedelta(hours=47)),
        ("2025-2026", DAY.replace(year=2025, month=1), DAY.replace(year=2027, month=1)),
    ],
)
def test_date_times_are_periods_and_hyphens_part_ranges(
    value: str, since: datetime | None, until: datetime | None
) -> None:
    assert _criterion("ScheduledProcedureStepStartDateTime", value) == Moments(since, until)


@pytest.mark.parametrize("value", ["yesterday", "-", "20260230", "2026030125", "1-2"])
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(KeyRejected):
        _criterion("ScheduledProcedureStepStartDateTime", value)


@pytest.mark.parametrize(("keyword", "value"), [("PatientID", ""), ("PatientID", "*"), ("PatientName", "**")])
def test_empty_and_star_match_everything(keyword: str, value: str) -> None:
    assert _criterion(keyword, value) is None


def test_wildcards_hold_for_what_they_say_and_nothing_else() -> None:
    wanted = _criterion("PatientID", "A?1*")
    assert isinstance(wanted, Texts)
    assert [wanted.holds(each) for each in ("AB1", "AB1xyz", "A1", "ab1", "XAB1")] == [True, True, False, False, False]


def test_zones_beyond_the_standard_are_none() -> None:
    assert [zone_of(each) for each in ("", "+1500", "-1300", "0100")] == [None] * 4


@given(st.text(max_size=40), st.sampled_from(["PatientID", "StudyDate", "StudyTime", "StudyInstanceUID"]))
def test_any_value_is_read_or_refused(value: str, keyword: str) -> None:
    try:
        found = _criterion(keyword, value)
    except KeyRejected:
        return
    assert found is None or isinstance(found, Texts | Span)
