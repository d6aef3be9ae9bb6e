"""How often one address may connect: a token bucket an address.

In: addresses of connections as they come. Out: whether this one is still within the rate. A scanner that opens an
association for every instance stays well below the default; a loop gone wild does not starve the others.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

REMEMBERED_ADDRESSES = 4096


@dataclass
class ConnectionRate:
    """Allows ``per_s`` connections a second and address, and bursts of ten seconds' worth after a pause.

    Used by the accepting thread alone.

    Examples
    --------
    >>> rate = ConnectionRate(per_s=0.1, clock=lambda: 0.0)
    >>> [rate.allows("10.0.0.1") for _ in range(2)], rate.allows("10.0.0.2")
    ([True, False], True)
    """

    per_s: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def allows(self, address: str) -> bool:
        """Count one connection and return whether it is within the rate."""
        now = self.clock()
        full = max(1.0, 10.0 * self.per_s)
        tokens, counted_at = self._buckets.pop(address, (full, now))
        tokens = min(full, tokens + (now - counted_at) * self.per_s)
        allowed = tokens >= 1.0
        self._buckets[address] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > REMEMBERED_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed
