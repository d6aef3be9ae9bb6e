import numpy as np
import pytest

from triage_node.training.out_of_fold import (
    balanced_threshold,
    bleeding_patients,
    fitted_calibration,
    measured,
    nested,
    operating_points,
    sensitive_threshold,
)
from triage_node.training.predictions import Predictions, SlicePredictions


def test_calibration_finds_a_known_temperature():
    chance = np.random.default_rng(0)
    truth = chance.normal(0, 1.5, 4000)
    labels = (chance.random(4000) < 1 / (1 + np.exp(-truth))).astype(float)
    fitted = fitted_calibration(truth * 3 + 3, labels)
    assert fitted.temperature == pytest.approx(3, rel=0.15)
    assert fitted.offset == pytest.approx(-1, abs=0.15)


def test_thresholds_do_what_their_names_say():
    labels = np.array([0] * 10 + [1] * 10, dtype=float)
    scores = np.concatenate([np.linspace(0, 0.5, 10), np.linspace(0.4, 1.0, 10)])
    balanced = measured(labels, scores, balanced_threshold(labels, scores))
    assert balanced["sensitivity"]["value"] >= 0.8
    assert balanced["specificity"]["value"] >= 0.8
    sensitive = measured(labels, scores, sensitive_threshold(labels, scores))
    assert sensitive["sensitivity"]["value"] == 1.0
    apart = nested(labels, scores, [index % 5 for index in range(20)])
    assert apart["sensitivity"]["n"] == 10


def test_a_threshold_needs_both_classes_and_no_more_than_the_labels_that_are_known():
    scores = np.array([0.1, 0.2, 0.7, 0.8])
    assert balanced_threshold(np.array([0, 0, np.nan, np.nan]), scores) == 0.5
    assert balanced_threshold(np.array([0, np.nan, np.nan, 1]), scores) == pytest.approx(0.15)
    assert balanced_threshold(np.array([0.0, 1.0]), np.array([0.3, 0.3])) == 0.5


def scored_subjects(of_kind):
    """Bleeding subjects with this label of CPH each and falling scores, and one without blood."""
    count = len(of_kind)
    labels = np.ones((count + 1, 6))
    labels[:count, 1], labels[count] = of_kind, 0.0
    scores = np.tile(np.linspace(0.9, 0.1, count + 1)[:, None], (1, 6))
    names = tuple(f"P{number}" for number in range(count + 1))
    slices = SlicePredictions(np.arange(count + 1), names, scores, labels)
    return Predictions("small", names, tuple("01" * count)[: count + 1], scores, labels, slices)


def test_a_kind_that_is_unknown_in_one_patient_keeps_its_threshold():
    found = scored_subjects([1.0] * 5 + [np.nan] + [0.0] * 5)
    level = (found.scores[4, 1] + found.scores[5, 1]) / 2
    lower = (found.scores[5, 1] + found.scores[6, 1]) / 2
    assert lower <= operating_points(found)["balanced"]["subtype_thresholds"]["CPH"] <= level


@pytest.mark.parametrize("of_kind", [[1.0] * 4 + [0.0] * 9, [1.0] * 9 + [0.0] * 4])
def test_a_kind_that_few_patients_show_is_named_from_the_papers_threshold(of_kind):
    points = operating_points(scored_subjects(of_kind))
    assert {point["subtype_thresholds"]["CPH"] for point in points.values()} == {0.5}


def test_patients_that_bleed_are_counted_not_their_scans():
    labels = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0] * 6], dtype=np.float64)
    predicted = Predictions("small", ("A/1", "A/2", "B"), ("0", "0", "1"), labels, labels)
    assert bleeding_patients(predicted) == 1
