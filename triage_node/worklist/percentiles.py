"""Percentiles that SQLite and PostgreSQL work out alike, by window functions: only a few rows a group leave the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, cast, func, or_, select
from sqlalchemy.orm import Session

SHARES = (50, 95)
"""Per cent."""


def percentiles(
    session: Session, values: Select[Any], group: ColumnElement[Any], value: ColumnElement[Any]
) -> Mapping[Any, dict[str, float]]:
    """Return count, p50 and p95 of ``value`` in each group, interpolated between neighbours as ``percentile_cont`` does.

    Parameters
    ----------
    values
        A statement whose FROM and WHERE give the rows; what it selects is replaced.
    """
    rows = values.with_only_columns(group.label("key"), value.label("value")).where(value.is_not(None)).subquery()
    place = func.row_number().over(partition_by=rows.c.key, order_by=rows.c.value)
    ranked = select(
        rows.c.key, rows.c.value, place.label("place"), func.count().over(partition_by=rows.c.key).label("size")
    ).subquery()
    below = [1 + cast((ranked.c.size - 1) * share, Integer).op("/")(100) for share in SHARES]  # divides integers
    needed = or_(*(ranked.c.place.in_((each, each + 1)) for each in below))
    found: dict[Any, dict[int, float]] = {}
    sizes: dict[Any, int] = {}
    for key, each, rank, size in session.execute(
        select(ranked.c.key, ranked.c.value, ranked.c.place, ranked.c.size).where(needed)
    ):
        found.setdefault(key, {})[rank] = float(each)
        sizes[key] = size
    return {key: _summary(sizes[key], places) for key, places in found.items()}


def _summary(size: int, places: Mapping[int, float]) -> dict[str, float]:
    summary: dict[str, float] = {"count": size}
    for share in SHARES:
        below, rest = divmod((size - 1) * share, 100)
        lower = places[below + 1]
        upper = places.get(below + 2, lower)
        summary[f"p{share}_s"] = lower + (upper - lower) * rest / 100
    return summary


NOTHING: Mapping[str, Any] = {"count": 0} | {f"p{share}_s": None for share in SHARES}
"""What a group without values has."""
