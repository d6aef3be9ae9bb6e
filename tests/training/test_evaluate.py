"""Judging models, readers and shadow releases on made-up predictions."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets import TARGETS, DatasetRejected
from triage_node.training.evaluate import Evaluation, Thresholds, evaluate
from triage_node.training.evaluation_json import evaluation_to_json
from triage_node.training.evaluation_report import write_report
from triage_node.training.predictions import (
    COLUMNS,
    Predictions,
    SlicePredictions,
    read_predictions,
    write_predictions,
)
from triage_node.training.readings import read_readings

SUBJECTS, SLICES = 40, 12


def made_up(name: str = "sli", strength: float = 3.0, seed: int = 0) -> Predictions:
    """Twenty of forty subjects bleed, each subtype in some of them, on a few slices."""
    truth = np.random.default_rng(99)
    labels = np.zeros((SUBJECTS, len(TARGETS)))
    labels[:20, 0] = 1
    labels[:20, 1:] = truth.random((20, 5)) < 0.4
    labels[:20, 1] = np.maximum(labels[:20, 1], labels[:20, 1:].max(axis=1) == 0)
    slice_labels = np.repeat(labels, SLICES, axis=0) * np.tile(np.arange(SLICES) // 4 == 1, SUBJECTS)[:, None]
    chance = np.random.default_rng(seed)

    def scored(of: np.ndarray) -> np.ndarray:
        return np.round(1 / (1 + np.exp(-(strength * (of - 0.5) + chance.normal(size=of.shape)))), 6)

    slices = SlicePredictions(
        subject_index=np.repeat(np.arange(SUBJECTS), SLICES),
        slice_ids=tuple(str(number + 1) for _ in range(SUBJECTS) for number in range(SLICES)),
        scores=scored(slice_labels),
        labels=slice_labels,
    )
    names = tuple(f"P{index:02d}" for index in range(SUBJECTS))
    return Predictions(name, names, tuple(str(i % 4) for i in range(SUBJECTS)), scored(labels), labels, slices)


def write_readings(file: Path, predictions: Predictions, mistakes: dict[str, set[int]]) -> Path:
    """Readers who are right but for the subjects they mistake."""
    lines = ["subject,reader,any,cph,ivh,sdh,edh,sah"]
    for reader, wrong in mistakes.items():
        for index, subject in enumerate(predictions.subjects):
            called = predictions.labels[index].astype(int)
            if index in wrong:
                called = np.zeros(6, dtype=int) if called[0] else np.array([1, 1, 0, 0, 0, 0])
            lines.append(",".join([subject, reader, *map(str, called)]))
    file.write_text("\n".join(lines) + "\n")
    return file


# the table -----------------------------------------------------------------------------------------------------------


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = made_up()
    written.scores[3, 2:] = np.nan
    written.labels[4, 5] = np.nan
    write_predictions(tmp_path / "sli.csv", written)
    read = read_predictions(tmp_path / "sli.csv")
    assert (read.name, read.subjects, read.folds) == (written.name, written.subjects, written.folds)
    np.testing.assert_allclose(read.scores, written.scores, atol=1e-6)
    np.testing.assert_array_equal(read.labels, written.labels)
    assert read.slices is not None
    assert written.slices is not None
    assert read.slices.slice_ids == written.slices.slice_ids
    np.testing.assert_array_equal(read.slices.subject_index, written.slices.subject_index)
    np.testing.assert_allclose(read.slices.scores, written.slices.scores, atol=1e-6)


GOOD = "A,,0,0.9,0.9,0.1,0.1,0.1,0.1,1,1,0,0,0,0"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([GOOD, GOOD], "row 3: subject A occurs twice"),
        ([GOOD.replace("0.9", "1.9", 1)], "row 2: '1.9' in column any is no score"),
        ([GOOD.replace("0.9", "", 1)], "row 2: '' in column any is no score"),
        ([GOOD.replace(",1,1,0", ",2,1,0")], "row 2: unknown label '2' in column label_any"),
        ([GOOD.replace(",1,1,0", ",0,1,0")], "row 2: a subtype is labelled present where label_any is 0"),
        ([GOOD, GOOD.replace("A,,0", "A,1,1")], "row 3: subject A is in fold 0 and in fold 1"),
        ([GOOD, GOOD.replace("A,,0", "B,1,0")], "row 3: subject B has slices and no row of its own"),
        ([GOOD, *[GOOD.replace("A,,0", "A,1,0")] * 2], "row 4: slice 1 of A occurs twice"),
        ([GOOD + ",1"], "row 2: 16 cells where the header names 15 columns"),
        ([], "it has no subject's row"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    with pytest.raises(DatasetRejected, match=said):
        read_predictions(file)


def test_a_patient_whose_scans_are_in_two_folds_is_refused(tmp_path: Path) -> None:
    zeros = ",".join(["0"] * 12)
    rows = [",".join(COLUMNS), f"A/1,,0,{zeros}", f"B,,1,{zeros}", f"A/2,,1,{zeros}"]
    (tmp_path / "scores.csv").write_text("\n".join(rows))
    with pytest.raises(DatasetRejected, match="row 4: patient A is in fold 0 and in fold 1"):
        read_predictions(tmp_path / "scores.csv")


def test_a_table_without_labels_names_the_missing_columns(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(",".join(COLUMNS[:9]) + "\n")
    with pytest.raises(DatasetRejected, match=r"row 1: column label_any, .* is missing"):
        read_predictions(tmp_path / "p.csv")


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    broken = dataclasses.replace(made_up(), folds=tuple(["0"] * SUBJECTS))
    object.__setattr__(broken, "folds", ("0",))
    with pytest.raises(ValueError, match="zip"):
        write_predictions(tmp_path / "p.csv", broken)
    assert list(tmp_path.iterdir()) == []


# models --------------------------------------------------------------------------------------------------------------


def test_subtypes_are_judged_on_bleeding_subjects_and_end_to_end() -> None:
    predictions = made_up()
    model = evaluate([predictions]).models[0]
    assert [row.target for row in model.as_paper] == list(TARGETS)
    assert [row.confusion.count for row in model.as_paper] == [SUBJECTS, *[20] * 5]
    assert [row.confusion.count for row in model.end_to_end] == [SUBJECTS] * 5
    expected = roc_auc_score(predictions.labels[:20, 3], predictions.scores[:20, 3])
    assert model.as_paper[3].figures["auc"].value == pytest.approx(expected)


def test_a_subtype_counts_end_to_end_only_behind_stage_one() -> None:
    predictions = made_up(strength=50.0)
    predictions.scores[0, 0] = 0.1  # stage one misses the first subject
    model = evaluate([predictions]).models[0]
    present = int(predictions.labels[0, 1:].sum())
    assert sum(row.confusion.false_negatives for row in model.end_to_end) == present
    assert sum(row.confusion.false_negatives for row in model.as_paper[1:]) == 0


def test_a_subtype_without_a_score_counts_as_not_seen() -> None:
    predictions = made_up(strength=50.0)
    predictions.scores[0, 1:] = np.nan
    model = evaluate([predictions]).models[0]
    assert model.missing_subtype_scores == 1
    assert sum(row.confusion.false_negatives for row in model.as_paper[1:]) == int(predictions.labels[0, 1:].sum())


def test_a_model_without_subtypes_is_judged_on_what_it_says() -> None:
    predictions = made_up()
    predictions.scores[:, 1:] = np.nan
    model = evaluate([predictions]).models[0]
    assert [row.target for row in model.as_paper] == ["any"]
    assert model.end_to_end == ()


def test_thresholds_decide_and_scores_do_not_change() -> None:
    predictions = made_up()
    strict = evaluate([predictions], thresholds=Thresholds(subject=0.9, subtypes=dict.fromkeys(SUBTYPES, 0.9)))
    usual = evaluate([predictions])
    for one, other in zip(strict.models[0].as_paper, usual.models[0].as_paper, strict=True):
        assert one.figures["sensitivity"].value <= other.figures["sensitivity"].value
        assert one.figures["auc"] == other.figures["auc"]
    assert strict.models[0].operating_points[0].name == "in use"


def test_wrong_calls_are_listed_with_missed_blood_first() -> None:
    predictions = made_up(strength=50.0)
    predictions.scores[[5, 30], 0] = 0.2, 0.8
    missed, alarm = evaluate([predictions]).models[0].wrong_calls
    assert (missed.subject, missed.bleeds, missed.fold) == ("P05", True, "1")
    assert (alarm.subject, alarm.bleeds) == ("P30", False)


def test_slices_stand_beside_the_baseline_of_height() -> None:
    model = evaluate([made_up()], with_slices=True).models[0]
    assert model.slices is not None
    any_blood = model.slices.targets[0]
    assert any_blood.metrics.confusion.count == SUBJECTS * SLICES
    assert any_blood.positional_auc.value > 0.6  # blood is on the middle slices only
    area = any_blood.metrics.figures["auc"].value
    assert any_blood.gain.value == pytest.approx(area - any_blood.positional_auc.value)
    assert model.slices.targets[1].metrics.confusion.count == 20 * SLICES  # subtypes: bleeding subjects only


def test_slices_that_are_not_there_cannot_be_judged() -> None:
    with pytest.raises(DatasetRejected, match="holds no slices"):
        evaluate([dataclasses.replace(made_up(), slices=None)], with_slices=True)


def test_models_must_be_judged_on_the_same_subjects_and_truth() -> None:
    first, other = made_up("sli"), made_up("sub", seed=1)
    assert len(evaluate([first, other]).models) == 2
    renamed = dataclasses.replace(other, subjects=("X", *other.subjects[1:]))
    with pytest.raises(DatasetRejected, match="sub: its subjects are not those of sli"):
        evaluate([first, renamed])
    relabelled = dataclasses.replace(other, labels=1 - other.labels)
    with pytest.raises(DatasetRejected, match="subject P00 is labelled otherwise"):
        evaluate([first, relabelled])


# readers -------------------------------------------------------------------------------------------------------------


def test_readers_stand_beside_the_model(tmp_path: Path) -> None:
    predictions = made_up(strength=50.0)
    file = write_readings(tmp_path / "r.csv", predictions, {"A": {0, 1}, "B": {0, 30}, "C": set()})
    study = evaluate([predictions], readings=read_readings(file, predictions.subjects)).readers
    assert study is not None
    sensitivities = [study.as_paper[reader][0].figures["sensitivity"].value for reader in "ABC"]
    assert sensitivities == pytest.approx([0.9, 0.95, 1.0])
    assert study.spread["any"]["sensitivity"].mean == pytest.approx(0.95)
    assert study.spread["any"]["sensitivity"].deviation == pytest.approx(0.05)  # sample deviation, n - 1
    against = next(each for each in study.against_model if (each.target, each.reader) == ("any", "A"))
    assert (against.accuracy.only_first_right, against.accuracy.only_second_right) == (2, 0)
    assert against.sensitivity.count == 20
    assert study.agreement[0].with_truth["C"].value == 1.0
    assert study.agreement[0].pairs["A and B"].value == pytest.approx(1 - (2 / 40) / 0.5, abs=0.01)
    assert 0.8 < study.agreement[0].fleiss.value < 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("P99,A,1,1,0,0,0,0", "row 2: subject 'P99' is not among the predictions"),
        ("P00,A,yes,1,0,0,0,0", "row 2: unknown label 'yes' in column any"),
        ("P00,A,0,1,0,0,0,0", "row 2: a subtype is called where 'any' is 0"),
        ("P00,,1,1,0,0,0,0", "row 2: the reader is empty"),
        ("P00,A,1,1,0,0,0,0\nP00,A,1,1,0,0,0,0", "row 3: A read P00 twice"),
        ("", "it has no readings"),
    ],
)
def test_readings_that_do_not_fit_are_refused(tmp_path: Path, row: str, said: str) -> None:
    file = tmp_path / "readers.csv"
    file.write_text(f"subject,reader,any,cph,ivh,sdh,edh,sah\n{row}\n")
    with pytest.raises(DatasetRejected, match=said):
        read_readings(file, made_up().subjects)


# a shadow ------------------------------------------------------------------------------------------------------------


def test_a_shadow_is_compared_subject_by_subject() -> None:
    active, shadow = made_up("active", strength=2.0), made_up("shadow", strength=50.0, seed=2)
    comparison = evaluate([active], shadow=shadow).comparison
    assert comparison is not None
    assert comparison.targets[0].auc.second == 1.0
    assert comparison.targets[0].auc.difference.lower > 0
    changed = {each.subject for each in comparison.changed_flags}
    expected = (active.scores[:, 0] >= 0.5) != (shadow.scores[:, 0] >= 0.5)
    assert changed == {active.subjects[index] for index in np.flatnonzero(expected)}
    assert comparison.targets[0].newly_called + comparison.targets[0].no_longer_called == len(changed)


def test_a_shadow_is_compared_without_labels() -> None:
    active, shadow = made_up("active"), made_up("shadow", seed=2)
    active.labels[:], shadow.labels[:] = np.nan, np.nan
    comparison = evaluate([active], shadow=shadow).comparison
    assert comparison is not None
    assert comparison.changed_flags
    assert math.isnan(comparison.targets[0].auc.first)
    assert comparison.targets[0].count == 0


def test_a_shadow_may_have_read_fewer_studies() -> None:
    active, shadow = made_up("active"), made_up("shadow")
    fewer = Predictions("shadow", shadow.subjects[:30], shadow.folds[:30], shadow.scores[:30], shadow.labels[:30])
    comparison = evaluate([active], shadow=fewer).comparison
    assert comparison is not None
    assert (comparison.subjects, comparison.only_active) == (30, 10)
    assert comparison.changed_flags == ()


# what is written -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    predictions = made_up("<b>sli</b>")
    file = tmp_path_factory.mktemp("readers") / "r.csv"
    write_readings(file, predictions, {"A": {0}, "B": {0, 30}})
    readings = read_readings(file, predictions.subjects)
    shadow = made_up("shadow", seed=3)
    return evaluate([predictions], readings=readings, shadow=shadow, with_slices=True, warnings=["mind the gap"])


def test_the_report_is_one_file_that_loads_nothing_and_escapes_names(full: Evaluation, tmp_path: Path) -> None:
    html_file, _ = write_report(full, tmp_path / "out", datetime(2026, 1, 2, tzinfo=UTC))
    html = html_file.read_text()
    assert "<b>sli</b>" not in html
    assert "&lt;b&gt;sli&lt;/b&gt;" in html
    assert "http://" not in html
    assert "https://" not in html
    assert html.count('src="data:image/svg+xml;base64,') == 4
    for words in ("Research use only. Not for diagnostic use.", "mind the gap", "Table 3", "Table 2", "2026-01-02"):
        assert words in html
    assert full.models[0].gate.verdict in html


def test_the_json_has_the_reports_numbers_and_no_nan(full: Evaluation, tmp_path: Path) -> None:
    _, json_file = write_report(full, tmp_path)
    values = json.loads(json_file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert values == evaluation_to_json(full)
    area = full.models[0].as_paper[0].figures["auc"]
    assert values["models"][0]["as_paper"][0]["figures"]["auc"]["value"] == pytest.approx(area.value, abs=1e-6)
    assert set(values) >= {"models", "readers", "comparison", "thresholds", "warnings", "use"}


def test_a_set_without_blood_still_gives_a_report(tmp_path: Path) -> None:
    predictions = made_up()
    predictions.labels[:] = 0
    evaluation = evaluate([predictions])
    assert not evaluation.models[0].gate.passed
    assert "sensitivity cannot be measured" in evaluation.models[0].gate.verdict
    write_report(evaluation, tmp_path)


@pytest.mark.filterwarnings("error")
def test_labels_of_whole_scans_or_none_at_all_still_give_a_report(tmp_path: Path) -> None:
    predictions = made_up()
    assert predictions.slices is not None
    predictions.slices.labels[:, 0] = np.nan
    predictions.slices.labels[:, 1:] = np.where(predictions.slices.labels[:, 1:] == 0, 0, np.nan)
    write_report(evaluate([predictions], with_slices=True), tmp_path)
    predictions.labels[:] = np.nan
    evaluation = evaluate([predictions])
    assert "sensitivity cannot be measured" in evaluation.models[0].gate.verdict
    write_report(evaluation, tmp_path)


def test_scans_of_one_patient_are_told_apart_and_said() -> None:
    labels = np.zeros((3, 6))
    labels[0, 0] = 1
    found = evaluate([Predictions("m", ("A/1", "A/2", "B"), ("",) * 3, np.full((3, 6), 0.5), labels)])
    assert found.predictions[0].patient_index.tolist() == [0, 0, 1]
    assert "3 subjects are scans of 2 patients" in found.warnings[0]
