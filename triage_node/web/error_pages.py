"""What a browser or a program is told when something is not possible: what it was, what to do, and nothing of the inside.

Browsers get a page, everything below ``/api`` and whoever asks for JSON gets a problem (``web.problems``).
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from triage_node.core.errors import Refused, Transient
from triage_node.web.pages import page
from triage_node.web.problems import problem
from triage_node.web.protection import add_headers
from triage_node.web.visitors import PasswordChangeNeeded, SignInNeeded

log = structlog.get_logger(__name__)

SIGN_IN_PATH = "/sign-in"
PASSWORD_PATH = "/account/password"  # noqa: S105 (a path)
_ADVICE = {
    400: "Go back and try again. If you typed the address, check it.",
    401: "Sign in, or send a valid API token.",
    403: "If you need this for your work, ask an administrator of this node.",
    404: "It may have been removed, or the address is wrong. Go back to the worklist and look for it there.",
    405: "Go back to the worklist.",
    409: "Load the page again to see how things stand now, then decide.",
    413: "Send less at once.",
    422: "Go back and correct it.",
    429: "Wait, then try again.",
    500: "Try again. If it happens again, tell the administrator the number above: the log has the details under it.",
    503: "Try again in a moment. Studies are still received and read meanwhile.",
}
_TITLES = {
    400: "This request cannot be answered",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Something has changed meanwhile",
    413: "Too much at once",
    422: "Something is missing or wrong",
    429: "Too many attempts",
    500: "The node failed",
    503: "Not available right now",
}


def install(app: FastAPI) -> None:
    """Let the application answer errors with these."""
    app.add_exception_handler(SignInNeeded, _sign_in_needed)
    app.add_exception_handler(PasswordChangeNeeded, _password_change_needed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Transient, _unavailable)
    app.add_exception_handler(Exception, _failed)


async def answer(request: Request, status_code: int, detail: str) -> Response:
    """Return the error page, or the JSON, of a status and its reason."""
    return await run_in_threadpool(_answer, request, status_code, detail)


def wants_json(request: Request) -> bool:
    """Return whether a program asks, not a person."""
    if request.url.path.startswith("/api/"):  # /api itself is a page for people
        return True
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "html" not in accepted


def _answer(request: Request, status_code: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    if wants_json(request):
        return problem(status_code, detail, headers)
    shown = page(
        request,
        "error.html",
        status_code=status_code,
        title=_TITLES.get(status_code, HTTPStatus(status_code).phrase),
        detail=detail,
        advice=_ADVICE.get(status_code, ""),
    )
    shown.headers.update(headers or {})
    return shown


def _sign_in_needed(request: Request, _error: Exception) -> Response:
    accepted = request.headers.get("accept", "*/*")
    if wants_json(request) or not ("text/html" in accepted or "*/*" in accepted) or "authorization" in request.headers:
        return _answer(request, 401, "sign in, or send a valid API token", {"WWW-Authenticate": "Bearer"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = path if request.method == "GET" and path != "/" else ""
    return RedirectResponse(SIGN_IN_PATH + (f"?next={quote(wanted, safe='/')}" if wanted else ""), 303)


def _password_change_needed(request: Request, _error: Exception) -> Response:
    if wants_json(request):
        return _answer(request, 403, "this account's password must be changed first, in a browser")
    return RedirectResponse(PASSWORD_PATH, 303)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "" if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
    if wants_json(request):
        detail = str(error.detail)
    return _answer(request, error.status_code, detail, dict(error.headers or {}))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # What was given is left out: it may be a password.
    found = [{key: each[key] for key in ("loc", "msg", "type") if key in each} for each in error.errors()]
    if wants_json(request):
        return problem(422, "a value is missing, unknown or out of its range", errors=found)
    return _answer(request, 422, "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in found))


def _refused(request: Request, error: Exception) -> Response:
    return _answer(request, 409, str(error))


def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("database_unavailable", route=_route(request), error=type(error).__name__)
    request.state.visitor = None  # who it is cannot be looked up either
    return _answer(request, 503, "the node's database does not answer", {"Retry-After": "5"})


def _failed(request: Request, error: Exception) -> Response:
    number = secrets.token_hex(4)
    log.error("request_failed", number=number, route=_route(request), error=type(error).__name__)
    request.state.visitor = None
    shown = _answer(request, 500, f"number {number}")
    add_headers(MutableHeaders(raw=shown.raw_headers), request.url.path)  # this answer passes no middleware
    return shown


def _route(request: Request) -> str:
    """Return the route as it is written, without what stood in its place: identifiers of patients, perhaps."""
    return str(getattr(request.scope.get("route"), "path", ""))
