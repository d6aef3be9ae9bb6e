"""Column types that mean the same on SQLite and on PostgreSQL.

SQLite forgets time zones and takes any text; PostgreSQL refuses NUL in text. Values are therefore brought into one form
before they reach either.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit keys; SQLite numbers rows by itself only where the column is INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: ``timestamptz`` on PostgreSQL, UTC without its offset on SQLite.

    Raises
    ------
    ValueError
        On binding a naive time: which moment it means cannot be known.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Check and convert a time on its way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone cannot be kept: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return the time as aware UTC, whatever the session's time zone."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text from datasets and peers: without NUL (PostgreSQL refuses it), lone surrogates replaced (UTF-8 has none).

    Old scanners pad values with NUL in spite of PS3.5 6.2, and a value in an undeclared character set may have been
    read with surrogate escapes. A value may be far longer than its VR allows, and PostgreSQL has no index entries beyond
    2704 bytes. None of this may keep an acknowledged instance out of the index.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Clean text on its way in."""
        return None if value is None else storable_text(value)


LONGEST_TEXT = 500
"""Characters; the longest value we keep that PS3.5 6.2 allows is a person name of 324."""


def storable_text(text: str) -> str:
    """Return the text as both databases can keep and index it.

    Examples
    --------
    >>> storable_text("DOE^JANE" + chr(0))
    'DOE^JANE'
    """
    return text.replace("\0", "")[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
