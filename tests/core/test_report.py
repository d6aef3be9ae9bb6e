"""What a report says: the same words everywhere, that flag and never diagnose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.finding import SUBTYPES, Finding, SliceFinding
from triage_node.core.reason import REASON_TEXTS, Reason, Refusal
from triage_node.core.report import (
    NOTICE,
    EarlierAnswer,
    Evaluation,
    finding_rows,
    impression,
    key_slices,
    not_analysed_impression,
    rows_not_assessed,
    subtypes_in_words,
)

PROBABILITIES = {"CPH": 0.12, "IVH": 0.03, "SDH": 0.88, "EDH": 0.05, "SAH": 0.71}


def finding(scores=(0.1, 0.7, 0.9, 0.2), *, subtypes=PROBABILITIES, present=("SDH", "SAH"), threshold=0.5):
    slices = tuple(SliceFinding(f"1.{index}", score, None, score >= threshold) for index, score in enumerate(scores))
    top = max(scores)
    return Finding(top, top >= threshold, subtypes, present, slices, "m", "1", "0" * 64, "balanced", threshold)


def test_flagged_finding_is_put_in_words():
    assert impression(finding()) == (
        "Flagged for suspected intracranial hemorrhage (probability 0.90, operating point balanced at 0.50). "
        "Suspected: subdural and subarachnoid hemorrhage. "
        "2 flagged, slices 2 to 3 from inferior; highest in slice 3 (0.90). "
        "4 slices were read. Not for diagnostic use - research use only."
    )


def test_one_flagged_slice_is_no_range():
    assert "1 flagged, slice 3 from inferior;" in impression(finding((0.1, 0.2, 0.9)))


def test_finding_below_the_operating_point_never_rules_out():
    text = impression(finding((0.1, 0.2), subtypes=None, present=()))
    assert text.startswith("Not flagged")
    assert "does not exclude hemorrhage" in text
    assert not re.search(r"\b(normal|negative|no hemorrhage|absent)\b", text, re.IGNORECASE)


def test_subtypes_that_did_not_run_or_reach_are_said_so():
    assert "Subtypes were not assessed." in impression(finding(subtypes=None, present=()))
    assert "No subtype reached its operating point." in impression(finding(present=()))


def test_flagged_series_without_a_flagged_slice_has_no_slices_to_name():
    slices = tuple(SliceFinding(f"1.{index}", 0.4, None, False) for index in range(3))
    found = Finding(0.8, True, None, (), slices, "m", "1", "0" * 64, "balanced", 0.5)
    assert key_slices(found).first is None
    assert "from inferior" not in impression(found)


def test_later_revision_says_that_it_replaces_the_earlier_one():
    assert "Revision" not in impression(finding(), 1)
    assert "Revision 3: this report replaces the earlier one. Not for" in impression(finding(), 3)


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        (EarlierAnswer(True, ("SDH", "SAH")), "The answer has not changed."),
        (EarlierAnswer(True, ("SDH",)), "The answer has changed: it was flagged, suspected subdural hemorrhage."),
        (EarlierAnswer(True), "The answer has changed: it was flagged."),
        (EarlierAnswer(False), "The answer has changed: it was not flagged."),
        (EarlierAnswer(None), "The answer has changed: it was not analysed."),
    ],
)
def test_superseding_report_says_whether_the_answer_is_another(earlier, said):
    assert f"replaces the earlier one. {said}" in impression(finding(), 2, earlier)
    assert f"This report replaces the earlier one. {said}" in impression(finding(), 1, earlier)


def test_series_that_was_read_before_and_cannot_be_read_now_says_so():
    text = not_analysed_impression(Refusal(Reason.MULTIPLE_STACKS), 2, EarlierAnswer(True, ("EDH",)))
    assert "The answer has changed: it was flagged, suspected epidural hemorrhage." in text
    assert text.endswith(f"{NOTICE}.")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(1, 5))
def test_every_impression_ends_in_the_notice_and_is_ascii(scores, revision):
    text = impression(finding(tuple(scores), subtypes=None, present=()), revision)
    assert text.endswith(f"{NOTICE}.")
    assert text.isascii()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_key_slices_are_the_flagged_ones_and_the_highest(scores):
    found = finding(tuple(scores), subtypes=None, present=())
    keys = key_slices(found)
    assert keys.flagged == tuple(index for index, score in enumerate(scores) if score >= 0.5)
    assert keys.top_probability == max(scores) == scores[keys.top]
    assert keys.read_count == len(scores)


def test_rows_say_present_absent_or_not_assessed():
    rows = {row.code: (row.evaluation, row.probability) for row in finding_rows(finding())}
    assert list(rows) == ["ICH", *SUBTYPES]
    assert rows["ICH"] == (Evaluation.PRESENT, 0.9)
    assert rows["SDH"] == (Evaluation.PRESENT, 0.88)
    assert rows["CPH"] == (Evaluation.ABSENT, 0.12)
    without = {row.code: (row.evaluation, row.probability) for row in finding_rows(finding(subtypes=None, present=()))}
    assert without["SDH"] == (Evaluation.NOT_ASSESSED, None)


def test_series_not_read_has_the_same_rows_without_a_statement():
    assert [row.code for row in rows_not_assessed()] == [row.code for row in finding_rows(finding())]
    assert {(row.evaluation, row.probability) for row in rows_not_assessed()} == {(Evaluation.NOT_ASSESSED, None)}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_put_in_words(reason):
    text = not_analysed_impression(Refusal(reason))
    assert text.startswith("NOT ANALYSED")
    assert REASON_TEXTS[reason] in text
    assert reason.value in text
    assert text.endswith(f"{NOTICE}.")


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (("IVH",), "intraventricular hemorrhage"),
        (("CPH", "SAH"), "cerebral parenchymal and subarachnoid hemorrhage"),
        (SUBTYPES, "cerebral parenchymal, intraventricular, subdural, epidural and subarachnoid hemorrhage"),
    ],
)
def test_subtypes_are_listed_as_in_a_sentence(codes, words):
    assert subtypes_in_words(codes) == words
