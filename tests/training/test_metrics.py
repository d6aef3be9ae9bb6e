"""The statistics against closed forms, scikit-learn, statsmodels and the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score, roc_auc_score

from triage_node.training.agreement import cohen_kappa, fleiss_kappa, in_words, mcnemar
from triage_node.training.bootstrap import PatientDraws, bootstrap_estimate
from triage_node.training.delong import auc, auc_estimate, paired_difference
from triage_node.training.estimates import proportion
from triage_node.training.metrics import clustered_metrics, reader_metrics, subject_metrics
from triage_node.training.positional_baseline import positional_scores, relative_heights
from triage_node.training.reliability import expected_calibration_error, reliability
from triage_node.training.threshold_sweep import gate, measured_point, operating_points, predictive_values

FloatArray = npt.NDArray[np.float64]


def made_up(subjects: int, seed: int, strength: float = 1.5) -> tuple[FloatArray, FloatArray]:
    """Labels, and scores that separate them a little."""
    chance = np.random.default_rng(seed)
    labels = (chance.random(subjects) < 0.4).astype(np.float64)
    labels[:2] = 0, 1
    return labels, 1 / (1 + np.exp(-(strength * (labels - 0.5) + chance.normal(size=subjects))))


# AUC -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_the_area_is_scikit_learns_ties_included(cases: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([label for label, _ in cases], float), np.array([score for _, score in cases], float)
    if len(set(labels)) < 2:
        assert math.isnan(auc(labels, scores))
    else:
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_delongs_interval_agrees_with_the_bootstrap() -> None:
    labels, scores = made_up(400, 1)
    delong = auc_estimate(labels, scores)
    drawn = bootstrap_estimate(lambda index: auc(labels[index], scores[index]), np.arange(400))
    assert delong.lower == pytest.approx(drawn.lower, abs=0.008)
    assert delong.upper == pytest.approx(drawn.upper, abs=0.008)


def test_delongs_interval_covers_the_truth_about_95_times_in_100() -> None:
    truth = auc(*made_up(200_000, 0))
    hits = 0
    for seed in range(300):
        estimate = auc_estimate(*made_up(60, seed + 1))
        hits += estimate.lower <= truth <= estimate.upper
    assert 0.92 <= hits / 300 <= 0.98


def test_a_perfect_area_has_an_interval_that_depends_on_the_cases() -> None:
    few, many = (auc_estimate(np.repeat([0.0, 1.0], cases), np.repeat([0.1, 0.9], cases)) for cases in (5, 100))
    assert few.value == many.value == few.upper == 1.0
    assert few.lower < 0.8 < 0.95 < many.lower < 1.0
    assert "Newcombe" in few.method


def test_one_class_has_no_area() -> None:
    assert not auc_estimate(np.ones(4), np.linspace(0, 1, 4)).known


def test_an_unknown_label_is_no_negative_in_an_area() -> None:
    labels, scores = np.array([0.0, 1, 0, 1, np.nan]), np.array([0.1, 0.6, 0.4, 0.8, 0.9])
    assert auc(labels, scores) == 1.0
    assert (auc_estimate(labels, scores).value, auc_estimate(labels, scores).count) == (1.0, 4)


def test_the_paired_test_agrees_with_the_bootstrap_of_the_difference() -> None:
    labels, first = made_up(300, 3)
    second = first * 0.7 + 0.3 * made_up(300, 3, 3.0)[1]
    found = paired_difference(labels, first, second)
    drawn = bootstrap_estimate(
        lambda index: auc(labels[index], second[index]) - auc(labels[index], first[index]), np.arange(300)
    )
    assert found.difference.value == pytest.approx(found.second - found.first)
    assert found.difference.lower == pytest.approx(drawn.lower, abs=0.01)
    assert (found.p_value < 0.05) == (found.difference.lower > 0 or found.difference.upper < 0)


def test_a_difference_of_areas_stays_between_what_areas_can_differ_by() -> None:
    labels = np.array([1.0, 1, 0, 0])
    found = paired_difference(labels, np.array([0.9, 0.1, 0.4, 0.6]), np.array([0.2, 0.3, 0.9, 0.1])).difference
    assert -1.0 <= found.lower <= found.value <= found.upper <= 1.0


def test_a_score_does_not_differ_from_itself() -> None:
    labels, scores = made_up(50, 2)
    found = paired_difference(labels, scores, scores)
    assert found.difference.value == 0
    assert math.isnan(found.p_value)


# proportions, tables -------------------------------------------------------------------------------------------------


def test_subject_figures_are_scikit_learns() -> None:
    labels, scores = made_up(120, 4)
    flagged = scores >= 0.5
    found = subject_metrics("any", labels, scores, flagged).figures
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, flagged))
    assert found["sensitivity"].value == pytest.approx(recall_score(labels, flagged))
    assert found["specificity"].value == pytest.approx(recall_score(labels, flagged, pos_label=0))
    assert found["f1"].value == pytest.approx(f1_score(labels, flagged))
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert all(each.lower < each.value < each.upper for each in found.values())


def test_wilsons_interval_of_all_right_stays_below_one() -> None:
    estimate = proportion(22, 22)
    assert (estimate.value, estimate.upper) == (1.0, 1.0)
    assert estimate.lower == pytest.approx(0.8513, abs=1e-4)
    assert not proportion(0, 0).known


def test_unknown_labels_are_left_out() -> None:
    labels = np.array([1, 0, np.nan, 1.0])
    found = subject_metrics("any", labels, np.array([0.9, 0.1, 0.9, 0.2]), np.array([True, False, True, False]))
    assert found.confusion.count == 3
    assert found.figures["sensitivity"].value == 0.5


def test_no_cases_give_no_figures() -> None:
    nothing = np.empty(0)
    found = subject_metrics("IVH", nothing, nothing, nothing.astype(bool))
    assert not any(each.known for each in found.figures.values())


def test_a_readers_auc_is_the_mean_of_sensitivity_and_specificity() -> None:
    found = reader_metrics("any", np.array([1, 1, 0, 0, 0.0]), np.array([1, 0, 0, 0, 1.0]))
    assert found.auc_is_balanced_accuracy
    assert found.figures["auc"].value == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_repeating_every_slice_narrows_no_interval() -> None:
    labels, scores = made_up(40, 5)
    patients = np.arange(40)
    once = clustered_metrics("any", labels, scores, scores >= 0.5, patients)
    tenfold = clustered_metrics("any", *(np.repeat(each, 10) for each in (labels, scores, scores >= 0.5, patients)))
    for name, figure in once.figures.items():
        assert tenfold.figures[name].value == pytest.approx(figure.value)
        assert tenfold.figures[name].lower == pytest.approx(figure.lower)
        assert tenfold.figures[name].upper == pytest.approx(figure.upper)


def test_areas_of_all_draws_equal_areas_draw_by_draw() -> None:
    chance = np.random.default_rng(6)
    patients = chance.integers(0, 7, 90)
    labels, scores = (chance.random(90) < 0.3).astype(float), chance.integers(0, 9, 90).astype(float)
    draws = PatientDraws(patients, replicates=25)
    for times, area in zip(draws.times_drawn, draws.areas(labels, scores), strict=True):
        index = np.repeat(np.arange(90), times[draws.patient_of_case])
        assert area == pytest.approx(auc(labels[index], scores[index]), nan_ok=True)


def test_a_class_in_few_patients_gets_no_interval() -> None:
    labels, patients = np.repeat([1.0, 0.0, 0.0], 30), np.repeat(np.arange(30), 3)
    labels = np.where(patients < 2, labels, 0.0)
    found = clustered_metrics("IVH", labels, np.random.default_rng(0).random(90), labels == 1, patients)
    assert math.isnan(found.figures["auc"].lower)
    assert "2 patients only" in found.figures["auc"].method


# agreement -----------------------------------------------------------------------------------------------------------


def test_cohens_kappa_is_scikit_learns() -> None:
    chance = np.random.default_rng(7)
    first, second = (chance.random(80) < 0.5).astype(float), (chance.random(80) < 0.5).astype(float)
    second[:50] = first[:50]
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    assert found.lower < found.value < found.upper
    assert in_words(0.81) == "almost perfect"


def test_fleiss_kappa_of_the_textbook_is_found() -> None:
    # three readers; 1 = yes. Agreement of pairs is 8/12 on four mixed subjects and 1 on the rest.
    readings = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0.0]])
    share = readings.mean()
    observed = (4 * 1 + 2 * (1 / 3)) / 6
    chance = share**2 + (1 - share) ** 2
    assert fleiss_kappa(readings).value == pytest.approx((observed - chance) / (1 - chance))


def test_agreement_without_variation_is_not_defined() -> None:
    assert not cohen_kappa(np.ones(5), np.ones(5)).known
    assert not fleiss_kappa(np.ones((5, 3))).known


def test_mcnemar_is_the_binomial_test_of_discordant_pairs() -> None:
    labels = np.ones(12)
    first = np.array([1] * 9 + [0] * 3, dtype=float)
    second = np.array([1] + [0] * 8 + [1] * 3, dtype=float)
    found = mcnemar(labels, first, second)
    assert (found.only_first_right, found.only_second_right) == (8, 3)
    assert found.p_value == pytest.approx(2 * sum(math.comb(11, k) for k in range(4)) / 2**11)
    assert mcnemar(labels, first, first).p_value == 1.0


# calibration, thresholds ---------------------------------------------------------------------------------------------


def test_calibration_of_honest_scores_is_better_than_of_boastful_ones() -> None:
    chance = np.random.default_rng(8)
    scores = chance.random(4000)
    labels = (chance.random(4000) < scores).astype(float)
    everyone = np.arange(4000)
    honest = reliability("any", labels, scores, everyone)
    boastful = reliability("any", labels, np.clip(scores * 3 - 1, 0, 1), everyone)
    assert honest.expected_calibration_error.value < 0.03 < 0.1 < boastful.expected_calibration_error.value
    assert honest.brier.value < boastful.brier.value
    assert honest.brier.value < honest.brier_of_prevalence
    assert sum(each.observed.count for each in honest.bins) == 4000


def test_calibration_error_of_a_constant_is_its_distance_from_the_prevalence() -> None:
    assert expected_calibration_error(np.array([1.0, 0, 0, 0]), np.full(4, 0.75)) == pytest.approx(0.5)


@given(st.integers(0, 50))
def test_operating_points_reach_what_they_promise(seed: int) -> None:
    labels, scores = made_up(50, seed)
    for point in operating_points(labels, scores):
        if "at least" in point.name:
            figure = point.sensitivity if point.name.startswith("sens") else point.specificity
            assert figure.value >= float(point.name.split()[-1]) - 1e-9, point


def test_a_threshold_that_was_written_with_few_decimals_still_reaches_what_it_promised() -> None:
    labels, scores = made_up(50, 3)
    for point in operating_points(labels, scores)[1:]:
        again = measured_point("", labels, scores, round(point.threshold, 6))
        assert again.confusion == point.confusion, point


def test_a_case_at_the_threshold_is_flagged() -> None:
    assert measured_point("", np.array([1.0]), np.array([0.5]), 0.5).confusion.true_positives == 1


def test_predictive_values_follow_bayes_rule() -> None:
    values = predictive_values(proportion(95, 100), proportion(90, 100), 0.05)
    assert values.ppv.value == pytest.approx(0.0475 / (0.0475 + 0.095))
    assert values.npv.value == pytest.approx(0.855 / (0.855 + 0.0025))
    assert values.ppv.lower < values.ppv.value < values.ppv.upper


def test_the_gate_judges_lower_bounds_in_plain_words() -> None:
    passes = gate({"sensitivity": proportion(98, 100), "specificity": proportion(95, 100)})
    assert passes.passed
    assert passes.verdict.startswith("Passes the gate. Sensitivity is 0.980 on 100 subjects")
    fails = gate({"sensitivity": proportion(21, 22), "specificity": proportion(95, 100)})
    assert not fails.passed
    assert "at least 0.782, which is not over 0.80" in fails.verdict
    assert not gate({"sensitivity": proportion(0, 0), "specificity": proportion(95, 100)}).passed


# positional baseline -------------------------------------------------------------------------------------------------


def test_height_runs_from_the_skull_base_to_the_vertex() -> None:
    assert relative_heights(np.array([3, 3, 1, 1, 1])).tolist() == [0, 1, 0, 0.5, 1]


def test_the_baseline_finds_blood_that_depends_on_height() -> None:
    chance = np.random.default_rng(9)
    patients = np.repeat(np.arange(60), 30)
    heights = relative_heights(patients)
    labels = (chance.random(1800) < 0.6 * (np.abs(heights - 0.5) < 0.2)).astype(float)
    assert auc(labels, positional_scores(labels, patients)) > 0.8


def test_the_baseline_learns_nothing_from_the_patient_it_scores() -> None:
    chance = np.random.default_rng(10)
    patients = np.repeat(np.arange(40), 30)
    labels = np.repeat((chance.random(40) < 0.5).astype(float), 30)  # whole patients bleed, at every height
    assert auc(labels, positional_scores(labels, patients)) == pytest.approx(0.5)
    scans = np.repeat(np.arange(80), 15)  # two of each patient
    assert auc(labels, positional_scores(labels, scans, patients)) == pytest.approx(0.5)


def test_scans_of_one_patient_widen_the_interval_that_draws_patients() -> None:
    chance = np.random.default_rng(3)
    labels = np.repeat(np.arange(40) % 2, 3).astype(float)
    scores = np.repeat(np.arange(40) % 2 * 0.3 + chance.random(40) * 0.7, 3)
    apart = subject_metrics("any", labels, scores, scores >= 0.5)
    together = subject_metrics("any", labels, scores, scores >= 0.5, np.repeat(np.arange(40), 3))
    assert apart.auc_by_drawing is not None
    assert together.auc_by_drawing is not None
    assert apart.auc_by_drawing.value == pytest.approx(together.figures["auc"].value)
    width = {
        name: each.upper - each.lower for name, each in (("a", apart.auc_by_drawing), ("t", together.auc_by_drawing))
    }
    assert width["t"] > 1.4 * width["a"]
