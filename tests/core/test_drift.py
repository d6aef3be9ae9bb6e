"""Drift charts: quiet on a stream that does not change, heard soon on one that does. Seeded simulations of scanners."""

from __future__ import annotations

import random

import pytest

from triage_node.core.drift import Chart, DriftRules, Measure, decision_interval, mean_charts, rate_charts, score_bin

RULES = DriftRules()
PREVALENCE = 0.15


def _scores(rng: random.Random, count: int, prevalence: float = PREVALENCE, shift: float = 0.0) -> list[float]:
    """Calibrated scores as a cascade gives them: heads without blood low, bleeding ones high."""
    drawn = (rng.betavariate(6, 1.2) if rng.random() < prevalence else rng.betavariate(1.2, 12) for _ in range(count))
    return [min(1.0, max(0.0, each + shift)) for each in drawn]


def _charts(seed: int, count: int, prevalence: float = PREVALENCE, shift: float = 0.0) -> dict[str, Chart]:
    """A reference at the usual prevalence, then ``count`` series that may have changed."""
    rng = random.Random(seed)
    reference, later = _scores(rng, RULES.reference_series), _scores(rng, count, prevalence, shift)
    rates = rate_charts(Measure.POSITIVE_RATE, _flags(reference), _flags(later), RULES)
    means = mean_charts(Measure.MEAN_SCORE, reference, later, RULES)
    return {f"{each.measure}_{each.direction}": each for each in (*rates, *means)}


def _flags(scores: list[float]) -> list[float]:
    return [float(each >= 0.5) for each in scores]


def test_no_chart_of_an_unchanged_stream_raises_an_alarm_more_often_than_it_was_laid_out_for() -> None:
    """Four sides, 2,000 series, one false alarm in 100,000: 8 runs in 100."""
    alarmed = [any(each.raised_at is not None for each in _charts(seed, 2000).values()) for seed in range(100)]
    assert sum(alarmed) <= 8


@pytest.mark.parametrize(
    ("change", "heard_by", "within"),
    [
        ({"prevalence": 2 * PREVALENCE}, "positive_rate_up", 400),
        ({"prevalence": 0.0}, "positive_rate_down", 200),
        ({"prevalence": 0.0}, "mean_score_down", 400),
        ({"shift": 0.2}, "mean_score_up", 150),
    ],
    ids=["rate-doubles", "rate-falls-to-zero", "rate-falls-to-zero-by-score", "scores-shift-with-a-kernel"],
)
def test_a_change_is_heard_within_so_many_series(change: dict[str, float], heard_by: str, within: int) -> None:
    for seed in range(20):
        chart = _charts(seed, 1000, **change)[heard_by]
        assert chart.raised_at is not None, seed
        assert chart.raised_at < within, seed
        assert chart.changed_at <= chart.raised_at


def test_a_shift_of_scores_that_moves_no_flag_is_heard_by_the_mean_alone() -> None:
    charts = _charts(3, 600, shift=0.12)
    assert charts["mean_score_up"].raised_at is not None
    assert charts["positive_rate_up"].raised_at is None


def test_an_alarm_stands_until_the_stream_has_been_as_before_for_a_while() -> None:
    reference = [1.0, 0.0, 0.0, 0.0, 0.0] * 100
    gone = [0.0] * 2000
    up_again = [1.0, 0.0, 0.0, 0.0, 0.0] * 150
    _, still_down = rate_charts(Measure.POSITIVE_RATE, reference, gone, RULES)
    _, mended = rate_charts(Measure.POSITIVE_RATE, reference, gone + up_again, RULES)
    assert still_down.raised_at is not None
    assert still_down.value == 2 * still_down.interval
    assert mended.raised_at is None


def test_a_reference_without_any_positive_leaves_a_rate_to_rise_from() -> None:
    up, down = rate_charts(Measure.REFUSAL_RATE, [0.0] * 500, [0.0] * 400 + [1.0] * 10, RULES)
    assert up.raised_at is not None
    assert up.changed_at >= 400
    assert down.raised_at is None


def test_scores_without_spread_do_not_divide_by_zero() -> None:
    up, down = mean_charts(Measure.MEAN_SCORE, [0.03] * 500, [0.03] * 1000, RULES)
    assert (up.raised_at, down.raised_at) == (None, None)


def test_skewed_scores_get_a_wider_interval_than_a_normal_distribution_would() -> None:
    normal = decision_interval(RULES.shift_sd, RULES.shift_sd / 2, RULES.false_alarm_every)
    assert _charts(0, 10)["mean_score_up"].interval > 1.1 * normal


@pytest.mark.parametrize("score", [0.0, 0.049, 0.5, 1.0])
def test_every_score_has_a_bin(score: float) -> None:
    assert score_bin(score) / 20 <= score <= (score_bin(score) + 1) / 20
