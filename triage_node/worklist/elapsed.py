"""Time between two moments of a row, as both databases work it out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, cast, extract, func
from sqlalchemy.orm import InstrumentedAttribute, Session

Moment = ColumnElement[datetime] | InstrumentedAttribute[Any]


def elapsed_s(session: Session, since: Moment, until: Moment) -> ColumnElement[float]:
    """Return seconds from one moment to the other; null where either is."""
    if session.get_bind().dialect.name == "sqlite":
        return (func.julianday(until) - func.julianday(since)) * 86400.0
    return cast(extract("epoch", until - since), Float)
