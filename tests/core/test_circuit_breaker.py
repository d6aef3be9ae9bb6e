"""The breaker: opens after failures in a row, lets one probe through at a time, closes on any answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.circuit_breaker import Breaker, BreakerRules, BreakerState

START = datetime(2026, 3, 1, tzinfo=UTC)
RULES = BreakerRules(failures_allowed=3, first_open_s=2, longest_open_s=10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker = breaker.failed(at(0), RULES)
    return breaker


def test_it_opens_after_the_allowed_failures_and_not_before() -> None:
    breaker = Breaker().failed(at(0), RULES).failed(at(1), RULES)
    assert breaker.state(at(1)) is BreakerState.CLOSED
    breaker = breaker.failed(at(2), RULES)
    assert not breaker.admits(at(3.9))
    assert breaker.state(at(4)) is BreakerState.HALF_OPEN


def test_one_probe_at_a_time_until_it_is_lost() -> None:
    breaker = opened().probed(at(2), lease_s=60)
    assert breaker.state(at(3)) is BreakerState.PROBING
    assert not breaker.admits(at(61))
    assert breaker.admits(at(62))


def test_a_failed_probe_opens_it_for_longer_and_an_answer_closes_it() -> None:
    breaker, waits, now = opened(), [], at(2)
    for _ in range(4):
        breaker = breaker.probed(now, 60).failed(now, RULES)
        assert breaker.open_until is not None
        waits.append((breaker.open_until - now).total_seconds())
        now = breaker.open_until
    assert waits == [4, 8, 10, 10]
    assert breaker.answered() == Breaker()


def test_a_straggler_says_nothing_new() -> None:
    assert opened().failed(at(1), RULES) == opened()


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 30)), max_size=40))
def test_it_never_stays_open_longer_than_the_longest(attempts: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(), START
    for answered, wait_s in attempts:
        now += timedelta(seconds=wait_s)
        if breaker.admits(now):
            breaker = breaker.probed(now, 60)
            breaker = breaker.answered() if answered else breaker.failed(now, RULES)
        assert breaker.admits(now + timedelta(seconds=RULES.longest_open_s))
