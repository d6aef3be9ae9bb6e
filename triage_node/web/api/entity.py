"""Answers that programs can keep: an ETag on each, 304 where the program has it, a Link to the next page of a list.

What changes something may be bound by ``If-Match`` to what the program has seen (RFC 9110 13.1.1): 412 where that is past.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Header, HTTPException, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")
_SPACE_FOR_PLUS = re.compile(r" (\d{2}:?\d{2})$")
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


def _known_time(moment: datetime) -> datetime:
    """Keep a time within what every calendar and database can reckon with."""
    return _FIRST if moment.year <= 1900 else _LAST if moment.year >= 2999 else moment.astimezone(UTC)


def _written_as_time(given: object) -> object:
    """Refuse what is a time only by chance: pydantic takes bare numbers for seconds since 1970.

    The plus of +01:00 that was not escaped arrives as a space: queries are read as forms are.
    """
    if not isinstance(given, str):
        return given
    if not _TIME.match(given):
        raise ValueError("a time as in 2026-03-02T08:00:00Z is needed (RFC 3339)")
    return _SPACE_FOR_PLUS.sub(r"+\1", given)


Moment = Annotated[AwareDatetime, BeforeValidator(_written_as_time), AfterValidator(_known_time)]
"""A time with its time zone; before 1900 counts as 1900, after 2999 as 2999."""


SeenBefore = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=2000,
        description="ETag of the reading as the program knows it: 412 where it is past.",
    ),
]
"""What the program has seen of the thing that it changes; None: it does not matter to it."""


def entity(request: Request, answer: BaseModel, **headers: str) -> Response:
    """Answer with a model as JSON, or 304 where the program has this very answer."""
    body = _written(answer)
    etag = _etag(body)
    # Patients are in it: nobody else may keep it, and who keeps it must ask whether it is still so.
    kept = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization", **headers}
    known = {each.removeprefix("W/") for each in _tags(request.headers.get("if-none-match", ""))}
    if request.method == "GET" and known & {etag, "*"}:
        return Response(status_code=304, headers=kept)
    return Response(body, media_type="application/json", headers=kept)


def check_unchanged(seen: str, current: BaseModel) -> None:
    """Refuse a change of what is not any more as the program has seen it.

    Raises
    ------
    HTTPException
        412.
    """
    # A weak tag never matches here (RFC 9110 13.1.1): it keeps its W/ and is none of ours.
    if not _tags(seen) & {_etag(_written(current)), "*"}:
        raise HTTPException(412, "it has changed since: ask for it again, then decide")


def _written(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _tags(header: str) -> set[str]:
    return {each.strip() for each in header.split(",")}


def page_link(request: Request, **changed: Any) -> str:
    """Return the path and query of another page of the same list."""
    url = request.url.include_query_params(**changed)
    return f"{url.path}?{url.query}"


def link_header(next_page: str | None) -> dict[str, str]:
    """Return the header that leads to the next page (RFC 8288), where there is one."""
    return {"Link": f'<{next_page}>; rel="next"'} if next_page else {}
