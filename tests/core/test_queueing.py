"""The simulator against queueing theory: Erlang C, Pollaczek and Khinchine, Cobham, the conservation law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.queueing import (
    Distribution,
    Kind,
    Order,
    ReadingLoad,
    Run,
    Unstable,
    _arrival_hours,
    simulate,
    student_95,
)
from triage_node.core.queueing_theory import erlang_c, is_exact, mean_wait_first_come_min, mean_wait_min

LOAD = ReadingLoad(3.6, 10.0, prevalence=0.15, sensitivity=0.85, specificity=0.9)
RUN = Run(hours=2000.0, warm_up_hours=100.0, replications=20, seed=1)


def _holds(load: ReadingLoad, order: Order, *, tolerance: float = 0.05) -> None:
    """Every kind's simulated mean lies within some per cent of the formula; the seed is fixed, so this never flickers."""
    expected = mean_wait_min(load, order)
    assert expected is not None
    found = simulate(load, RUN)[order]
    for kind in Kind:
        waiting = found[kind]
        assert waiting is not None
        assert waiting.mean_min == pytest.approx(expected[kind], rel=tolerance), kind


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_order_of_arrival_waits_as_erlang_says(readers: int) -> None:
    load = replace(LOAD, readers=readers, arrivals_per_hour=3.6 * readers)
    assert is_exact(load)
    _holds(load, Order.FIRST_COME)


@pytest.mark.parametrize("distribution", Distribution)
def test_one_reader_waits_as_pollaczek_and_khinchine_say(distribution: Distribution) -> None:
    load = replace(LOAD, distribution=distribution)
    second_moment = load.reading_time_min**2 * (1 + load.squared_cv)
    per_minute = load.arrivals_per_hour / 60
    formula = per_minute * second_moment / (2 * (1 - load.utilisation))
    assert mean_wait_first_come_min(load) == pytest.approx(formula)
    _holds(load, Order.FIRST_COME)


@pytest.mark.parametrize("readers", [1, 3])
def test_flagged_first_waits_as_cobham_says(readers: int) -> None:
    _holds(replace(LOAD, readers=readers, arrivals_per_hour=3.6 * readers), Order.FLAGGED_FIRST)


def test_cobhams_formula_as_he_wrote_it() -> None:
    per_minute, flagged_load = LOAD.arrivals_per_hour / 60, LOAD.utilisation * LOAD.flagged_share
    residual = per_minute * 2 * LOAD.reading_time_min**2 / 2
    waiting = mean_wait_min(LOAD, Order.FLAGGED_FIRST)
    assert waiting is not None
    assert waiting[Kind.FOUND] == pytest.approx(residual / (1 - flagged_load))
    assert waiting[Kind.MISSED] == pytest.approx(residual / ((1 - flagged_load) * (1 - LOAD.utilisation)))


def test_the_order_of_reading_does_not_change_the_mean_over_all() -> None:
    for distribution in Distribution:
        found = simulate(replace(LOAD, distribution=distribution), RUN, waiting_cap_min=60.0)
        means = [each.mean_min for kinds in found.values() if (each := kinds[Kind.ALL])]
        assert len(means) == 3
        assert means == pytest.approx([means[0]] * 3, rel=0.03)


def test_a_cap_lies_between_both_orders_and_shortens_the_longest_wait() -> None:
    found = simulate(replace(LOAD, arrivals_per_hour=5.4, prevalence=0.4), RUN, waiting_cap_min=90.0)
    first, priority, capped = (found[order][Kind.FOUND] for order in Order)
    assert first
    assert priority
    assert capped
    assert priority.mean_min < capped.mean_min < first.mean_min
    missed, missed_capped = found[Order.FLAGGED_FIRST][Kind.MISSED], found[Order.FLAGGED_FIRST_CAPPED][Kind.MISSED]
    assert missed
    assert missed_capped
    assert missed_capped.max_min < missed.max_min


def test_a_flag_that_says_nothing_gains_nothing() -> None:
    useless = simulate(replace(LOAD, sensitivity=0.5, specificity=0.5), RUN)[Order.FLAGGED_FIRST]
    bleeding, others = useless[Kind.BLEEDING], useless[Kind.NOT_BLEEDING]
    assert bleeding
    assert others
    assert bleeding.mean_min == pytest.approx(others.mean_min, rel=0.1)


def test_a_run_can_be_repeated_and_another_seed_differs() -> None:
    short = Run(hours=50.0, warm_up_hours=5.0, replications=3)
    assert simulate(LOAD, short) == simulate(LOAD, short)
    assert simulate(LOAD, short) != simulate(LOAD, replace(short, seed=2))


def test_a_kind_that_never_comes_has_no_figure() -> None:
    found = simulate(replace(LOAD, sensitivity=1.0), Run(hours=50.0, warm_up_hours=5.0, replications=3))
    assert found[Order.FIRST_COME][Kind.MISSED] is None


def test_interval_holds_the_formula_and_narrows_with_replications() -> None:
    wide = simulate(LOAD, replace(RUN, replications=5))[Order.FIRST_COME][Kind.ALL]
    narrow = simulate(LOAD, replace(RUN, replications=40))[Order.FIRST_COME][Kind.ALL]
    assert wide
    assert narrow
    assert narrow.upper_95_min - narrow.lower_95_min < wide.upper_95_min - wide.lower_95_min
    assert narrow.lower_95_min < mean_wait_first_come_min(LOAD) < narrow.upper_95_min


def test_arrivals_follow_the_hour_of_the_day() -> None:
    weights = tuple(3.0 if 8 <= hour < 16 else 0.0 for hour in range(24))
    hours = _arrival_hours(replace(LOAD, hourly_weights=weights), 2400.0, np.random.default_rng(1))
    assert len(hours) == pytest.approx(3.6 * 2400, rel=0.05)
    assert set(np.unique(hours.astype(int) % 24)) == set(range(8, 16))
    assert (np.diff(hours) >= 0).all()
    assert mean_wait_min(replace(LOAD, hourly_weights=weights), Order.FIRST_COME) is None


def test_readers_who_cannot_keep_up_are_told_what_to_change() -> None:
    with pytest.raises(Unstable, match=r"fewer than 6 an hour, a reading time below 7.5 min, or at least 2 readers"):
        replace(LOAD, arrivals_per_hour=8.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"arrivals_per_hour": 0.0},
        {"reading_time_min": float("inf")},
        {"prevalence": float("nan")},
        {"sensitivity": 1.1},
        {"readers": 0},
        {"hourly_weights": (1.0,) * 23},
        {"hourly_weights": (0.0,) * 24},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationRejected):
        replace(LOAD, **wrong)


@given(st.floats(0.01, 50.0), st.integers(1, 60))
def test_probability_of_waiting_is_one(offered: float, readers: int) -> None:
    if offered < readers:
        assert 0.0 <= erlang_c(offered, readers) <= 1.0


@settings(max_examples=40)
@given(
    st.floats(0.1, 0.95), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from(Distribution)
)
def test_formulas_conserve_the_mean(
    utilisation: float, prevalence: float, sensitivity: float, specificity: float, distribution: Distribution
) -> None:
    load = ReadingLoad(6 * utilisation, 10.0, prevalence, sensitivity, specificity, distribution=distribution)
    waiting = mean_wait_min(load, Order.FLAGGED_FIRST)
    assert waiting is not None
    mixed = load.prevalence * waiting[Kind.BLEEDING] + (1 - load.prevalence) * waiting[Kind.NOT_BLEEDING]
    assert mixed == pytest.approx(mean_wait_first_come_min(load))


@pytest.mark.parametrize("degrees_of_freedom", [4, 9, 19, 99])
def test_students_quantile_is_near_the_exact_one(degrees_of_freedom: int) -> None:
    assert student_95(degrees_of_freedom) == pytest.approx(float(t.ppf(0.975, degrees_of_freedom)), abs=0.01)
