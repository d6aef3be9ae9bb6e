"""Connections an address: bursts are fine, floods are not, and one address does not use up another's share."""

from __future__ import annotations

from triage_node.arrival.connection_rate import REMEMBERED_ADDRESSES, ConnectionRate


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_let_through_and_a_flood_is_not() -> None:
    rate = ConnectionRate(per_s=2.0, clock=Time())
    assert [rate.allows("10.0.0.1") for _ in range(21)] == [True] * 20 + [False]
    assert rate.allows("10.0.0.2")


def test_the_rate_holds_in_the_long_run() -> None:
    time = Time()
    rate = ConnectionRate(per_s=2.0, clock=time)
    allowed = 0
    for _ in range(10_000):
        time.now_s += 0.01
        allowed += rate.allows("10.0.0.1")
    assert 200 <= allowed <= 221


def test_the_memory_of_addresses_is_bounded() -> None:
    rate = ConnectionRate(per_s=1.0, clock=Time())
    for number in range(REMEMBERED_ADDRESSES + 100):
        rate.allows(str(number))
    assert len(rate._buckets) == REMEMBERED_ADDRESSES
