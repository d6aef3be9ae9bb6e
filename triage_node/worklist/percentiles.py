"""Percentiles of durations, interpolated between neighbours as numpy and SQL's ``percentile_cont`` do.

They are worked out here, in one pass over the rows, and not by the database: SQLite has no such function, and window
functions in its place walk the rows once for every grouping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SHARES = (50, 95)
"""Per cent."""


def percentiles(durations_s: Iterable[float]) -> Mapping[str, Any]:
    """Return how many durations there are, and their percentiles, seconds; None of nothing.

    Examples
    --------
    >>> percentiles([4.0, 1.0, 3.0])
    {'count': 3, 'p50_s': 3.0, 'p95_s': 3.9}
    >>> percentiles([])
    {'count': 0, 'p50_s': None, 'p95_s': None}
    """
    ranked = sorted(durations_s)
    return {"count": len(ranked)} | {f"p{share}_s": _at(ranked, share) if ranked else None for share in SHARES}


def _at(ranked: list[float], share: int) -> float:
    below, rest = divmod((len(ranked) - 1) * share, 100)
    lower = ranked[below]
    upper = ranked[min(below + 1, len(ranked) - 1)]
    return lower + (upper - lower) * rest / 100
