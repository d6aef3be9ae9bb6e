"""Errors as programs read them: RFC 9457, ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

PROBLEM_TYPE = "application/problem+json"


class InvalidValue(BaseModel):
    """One value of the request that is not as it should be; the value itself is not repeated."""

    loc: list[str | int] = Field(description="Where it stands: query, path or body, then the names down to it.")
    msg: str = Field(description="What is wrong with it.")
    type: str = Field(description="The same as a code.")


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no such study"}
            ]
        }
    )

    type: str = Field("about:blank", description="Kind of problem; about:blank: the status says it all.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="HTTP status.")
    detail: str = Field(description="What it was, and where it can be helped what to do; empty: no more to say.")
    errors: list[InvalidValue] | None = Field(None, description="Values that are wrong (status 422), else left out.")


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
) -> JSONResponse:
    """Return the answer to a request that was not answered; ``errors`` are as in ``InvalidValue``."""
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(told.model_dump(exclude_none=True), status, headers, media_type=PROBLEM_TYPE)
