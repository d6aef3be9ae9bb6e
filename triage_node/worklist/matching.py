"""What a key of a C-FIND identifier asks for: the matching of PS3.4 C.2.2.2, as SQL and on plain values.

In: one element of an identifier. Out: a criterion, or None where everything matches. Names match without regard to case
and by any of their component groups, every other text exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydicom.dataelem import DataElement
from sqlalchemy import ColumnElement, and_, func, or_

from triage_node.core.errors import Refused
from triage_node.core.search_terms import beginnings
from triage_node.worklist.column_types import storable_text

_WILDCARDS_AT_MOST = 8
"""In one value; the time that a pattern takes to fail grows with each one."""
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_UID = re.compile(r"[\d.]{1,64}", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?", re.ASCII)


class KeyRejected(Refused):
    """A key whose value cannot be understood."""


@dataclass(frozen=True)
class Texts:
    """One of these values, in which ``*`` and ``?`` may stand for other characters.

    ``person``: the values are Person Names (PS3.5 6.2.1).
    """

    values: tuple[str, ...]
    wildcards: bool
    person: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether an index on the value can answer."""
        return not self.person and not any(self._is_pattern(each) for each in self.values)

    def _is_pattern(self, value: str) -> bool:
        return self.wildcards and ("*" in value or "?" in value)

    @property
    def beginnings(self) -> tuple[str, ...]:
        """With what words begin in every value that is asked for; none where several are."""
        return beginnings(self.values[0]) if len(self.values) == 1 else ()

    def sql(self, column: ColumnElement[str], *, sqlite: bool) -> ColumnElement[bool]:
        """Return the condition on a column."""
        if self.person:
            return or_(*(_name_condition(column, each) for each in self.values))
        exact = [each for each in self.values if not self._is_pattern(each)]
        patterns = [_pattern_condition(column, each, sqlite) for each in self.values if self._is_pattern(each)]
        return or_(column.in_(exact), *patterns)

    def holds(self, value: str) -> bool:
        """Return whether a value is asked for."""
        return any(self._expression(each).fullmatch(value) for each in self.values)

    def _expression(self, asked: str) -> re.Pattern[str]:
        if not self._is_pattern(asked):
            return re.compile(re.escape(asked))
        marks = {"*": ".*", "?": "."}
        return re.compile("".join(marks.get(each, re.escape(each)) for each in asked), re.DOTALL)


def _pattern_condition(column: ColumnElement[str], value: str, sqlite: bool) -> ColumnElement[bool]:
    if sqlite:  # whose LIKE takes a for A
        return column.op("GLOB")(value.replace("[", "[[]"))
    return column.like(_like(value), escape="\\")


def _like(value: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", value)
    return escaped.replace("*", "%").replace("?", "_")


def _name_condition(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """A name or one of its groups: alphabetic=ideographic=phonetic. Empty components at an end say nothing."""
    pattern = _like(value.rstrip("^").lower())
    lowered = func.lower(func.rtrim(column, "^"))
    groups = (pattern, f"{pattern}=%", f"%={pattern}", f"%={pattern}=%") if "=" not in value else (pattern,)
    return or_(*(lowered.like(each, escape="\\") for each in groups))


@dataclass(frozen=True)
class Span:
    """Dates or times of day from ``low`` to ``high``, both in it, in DICOM's own spelling; None where it is open."""

    low: str | None
    high: str | None

    def sql(self, column: ColumnElement[str], *, sqlite: bool) -> ColumnElement[bool]:
        """Return the condition on a column."""
        conditions = [column != ""]
        if self.low is not None:
            conditions.append(column >= self.low)
        if self.high is not None:
            conditions.append(column <= self.high + "~")  # 1015 is in until 10: "~" comes after every digit
        return and_(*conditions)

    def holds(self, value: str) -> bool:
        """Return whether a value is asked for."""
        return bool(value) and (self.low or "") <= value and (self.high is None or value <= self.high + "~")


@dataclass(frozen=True)
class Moments:
    """Times from ``since`` to before ``until``; None where it is open."""

    since: datetime | None
    until: datetime | None

    def sql(self, column: ColumnElement[datetime], *, sqlite: bool) -> ColumnElement[bool]:
        """Return the condition on a column."""
        conditions: list[ColumnElement[bool]] = [column.is_not(None)]
        if self.since is not None:
            conditions.append(column >= self.since)
        if self.until is not None:
            conditions.append(column < self.until)
        return and_(*conditions)


Criterion = Texts | Span | Moments


def criterion(element: DataElement, zone: timezone | None = None) -> Criterion | None:
    """Return what an element asks for, None for universal matching.

    Parameters
    ----------
    zone
        Of times that name none; None is this machine's.

    Raises
    ------
    KeyRejected
        The value breaks its VR in a way that leaves its meaning open.
    """
    values = tuple(storable_text(each) for each in _values(element) if each)
    if not values or (element.VR in _WILDCARD_VRS and any(set(each) == {"*"} for each in values)):
        return None
    if element.VR == "UI":
        return Texts(tuple(each for each in values if _UID.fullmatch(each)), wildcards=False)
    if element.VR in ("DA", "TM"):
        return _span(element, values)
    if element.VR == "DT":
        return _moments(element, values, zone)
    wildcards = element.VR in _WILDCARD_VRS
    values = tuple(re.sub(r"\*+", "*", each) for each in values) if wildcards else values
    if wildcards and any(each.count("*") + each.count("?") > _WILDCARDS_AT_MOST for each in values):
        raise KeyRejected(f"{element.keyword}: more than {_WILDCARDS_AT_MOST} wildcards")
    return Texts(values, wildcards, person=element.VR == "PN")


def _values(element: DataElement) -> list[str]:
    value: Any = element.value
    if value is None:
        return []
    several = value if element.VM > 1 else [value]
    return [str(each).strip() for each in several]


def _one(element: DataElement, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        raise KeyRejected(f"{element.keyword}: one value or range at a time")
    return values[0]


def _span(element: DataElement, values: tuple[str, ...]) -> Span:
    value = _one(element, values).replace(" ", "")
    if not re.fullmatch(r"[\d.:]*-?[\d.:]*", value) or value == "-":
        raise KeyRejected(f"{element.keyword}: neither a value nor a range")
    value = value.replace(":", "") if element.VR == "TM" else value.replace(".", "")  # both as before 1993
    low, dash, high = value.partition("-")
    return Span(low or None, high or None) if dash else Span(low, low)


def _moments(element: DataElement, values: tuple[str, ...], zone: timezone | None) -> Moments:
    """A hyphen parts a range unless four digits after it are an offset from UTC, which is -1200 at least (C.2.2.2.5)."""
    value = _one(element, values)
    single = _period(value, zone)
    if single is not None:
        return Moments(*single)
    for place in (each.start() for each in re.finditer("-", value)):
        low, high = value[:place], value[place + 1 :]
        since, until = _period(low, zone), _period(high, zone)
        if (since or not low) and (until or not high) and (low or high):
            return Moments(since[0] if since else None, until[1] if until else None)
    raise KeyRejected(f"{element.keyword}: neither a time nor a range")


def _period(value: str, zone: timezone | None) -> tuple[datetime, datetime] | None:
    """Return the first moment that a DT names and the first one after it; None where it is no DT."""
    found = _DATE_TIME.fullmatch(value)
    if found is None:
        return None
    *parts, fraction, offset = found.groups()
    if offset is not None and not -1200 <= int(offset) <= 1400:
        return None
    given = [int(each) for each in parts if each is not None]
    first = [*given, *(1, 1, 1, 0, 0, 0)[len(given) :]]
    try:
        moment = datetime(*first, microsecond=int((fraction or "0").ljust(6, "0")))  # type: ignore[misc, arg-type]
        where = _offset(offset) if offset else zone
        return _utc(moment, where), _utc(_next(moment, len(given), fraction), where)
    except (ValueError, OverflowError):
        return None


def _utc(moment: datetime, zone: timezone | None) -> datetime:
    return (moment.replace(tzinfo=zone) if zone else moment.astimezone()).astimezone(UTC)


def _next(moment: datetime, parts: int, fraction: str | None) -> datetime:
    """Return the end of the year, month, day, hour, minute, second or fraction that was named."""
    if fraction is not None:
        return moment + timedelta(microseconds=10 ** (6 - len(fraction)))
    if parts == 1:
        return moment.replace(year=moment.year + 1)
    if parts == 2:
        return (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
    return moment + {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1)}.get(
        parts, timedelta(seconds=1)
    )


def _offset(text: str) -> timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def zone_of(offset: str) -> timezone | None:
    """Return the zone of Timezone Offset From UTC (0008,0201), None where there is none.

    Examples
    --------
    >>> zone_of("-0530")
    datetime.timezone(datetime.timedelta(days=-1, seconds=66600))
    """
    return _offset(offset) if re.fullmatch(r"[+-]\d{4}", offset) and -1200 <= int(offset) <= 1400 else None
