"""The circuit breaker of a destination: after failures in a row it is left alone for a growing time, then probed.

In: how each attempt ended, and the time. Out: whether another attempt may be made now. A failure is one of the transport:
no connection, silence, an abort before any answer. A destination that answers, whatever it says, is alive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class BreakerState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"
    PROBING = "PROBING"


@dataclass(frozen=True)
class BreakerRules:
    """The numbers of a breaker; seconds. The open time doubles from ``first_open_s`` to ``longest_open_s``."""

    failures_allowed: int = 3
    first_open_s: float = 2.0
    longest_open_s: float = 300.0

    def open_s(self, failures: int) -> float:
        """Return how long a breaker stays open after this many failures in a row.

        Examples
        --------
        >>> [BreakerRules(3, 2.0, 10.0).open_s(failures) for failures in (3, 4, 5, 6)]
        [2.0, 4.0, 8.0, 10.0]
        """
        doublings = min(max(0, failures - self.failures_allowed), 30)
        return min(self.longest_open_s, self.first_open_s * 2.0**doublings)


@dataclass(frozen=True)
class Breaker:
    """What is remembered of one destination.

    Attributes
    ----------
    failures
        In a row, until now.
    open_until
        None while closed.
    probing_until
        When the probe under way counts as lost; None without one.
    """

    failures: int = 0
    open_until: datetime | None = None
    probing_until: datetime | None = None

    def state(self, now: datetime) -> BreakerState:
        """Return what the breaker lets through at this time."""
        if self.open_until is None:
            return BreakerState.CLOSED
        if self.open_until > now:
            return BreakerState.OPEN
        if self.probing_until is not None and self.probing_until > now:
            return BreakerState.PROBING
        return BreakerState.HALF_OPEN

    def admits(self, now: datetime) -> bool:
        """Return whether an attempt may start now; in HALF_OPEN it is the probe, and ``probed`` has to be kept.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> Breaker().admits(datetime.now(UTC))
        True
        """
        return self.state(now) in (BreakerState.CLOSED, BreakerState.HALF_OPEN)

    def probed(self, now: datetime, lease_s: float) -> Breaker:
        """Return the breaker once an admitted attempt has started."""
        if self.state(now) is BreakerState.HALF_OPEN:
            return replace(self, probing_until=now + timedelta(seconds=lease_s))
        return self

    def failed(self, now: datetime, rules: BreakerRules) -> Breaker:
        """Return the breaker after a failure; one that started before the breaker opened says nothing new."""
        if self.state(now) is BreakerState.OPEN:
            return self
        failures = self.failures + 1
        if failures < rules.failures_allowed:
            return Breaker(failures)
        return Breaker(failures, now + timedelta(seconds=rules.open_s(failures)))

    def answered(self) -> Breaker:
        """Return the breaker after an answer of any kind: closed."""
        return Breaker()
