"""Waiting on conditions, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverHappened(AssertionError):
    """A condition did not come true in time."""


def wait_until(condition: Callable[[], T], what: str, *, within_s: float = 60.0, every_s: float = 0.1) -> T:
    """Return the first true value of a condition.

    Raises
    ------
    NeverHappened
        Not true within ``within_s`` seconds.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverHappened(f"not within {within_s:.0f} s: {what}; last seen: {value!r}")
        time.sleep(every_s)
