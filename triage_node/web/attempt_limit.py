"""How often one address may try to sign in. A second fence: lock-out guards one account, this one guards all of them.

Kept in the memory of one web process: a restart forgets it, and several processes count each for itself. That is enough to
make guessing at many accounts hopeless, and costs the database nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

_MOST_ADDRESSES = 10_000


class AttemptLimit:
    """At most ``attempts`` failures of one address within ``window``.

    Examples
    --------
    >>> from datetime import UTC
    >>> limit, now = AttemptLimit(2, timedelta(minutes=5)), datetime(2026, 3, 1, tzinfo=UTC)
    >>> limit.note_failure("10.0.0.9", now), limit.note_failure("10.0.0.9", now)
    (None, None)
    >>> limit.wait("10.0.0.9", now)
    datetime.timedelta(seconds=300)
    """

    def __init__(self, attempts: int, window: timedelta) -> None:
        self._attempts, self._window = attempts, window
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = threading.Lock()

    def wait(self, address: str, now: datetime) -> timedelta | None:
        """Return how long this address has to wait; None where it may try."""
        with self._lock:
            failures = self._recent(address, now)
            return failures[0] + self._window - now if len(failures) >= self._attempts else None

    def note_failure(self, address: str, now: datetime) -> None:
        """Count a failure."""
        with self._lock:
            failures = self._recent(address, now)
            failures.append(now)
            self._failures.pop(address, None)
            self._failures[address] = failures  # the one that failed last stands last
            while len(self._failures) > _MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]

    def _recent(self, address: str, now: datetime) -> deque[datetime]:
        failures = self._failures.get(address) or deque(maxlen=self._attempts)
        while failures and failures[0] <= now - self._window:
            failures.popleft()
        return failures
