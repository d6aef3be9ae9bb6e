"""Who sends a request, and whether they may: dependencies for every route that shows or changes anything.

A browser proves itself by its session cookie, a program by ``Authorization: Bearer TOKEN``. What changes anything needs
the session's CSRF token too, in the header ``X-CSRF-Token`` or the form field ``csrf_token``.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request

from triage_node.core.access import Permission, Visitor
from triage_node.web.parts import WebParts

SESSION_COOKIE = "triage_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SignInNeeded(Exception):
    """Nobody is signed in: browsers are led to the sign-in page, programs are answered 401."""


def parts_of(request: Request) -> WebParts:
    """Return the application's parts."""
    parts: WebParts = request.app.state.parts
    return parts


def visitor_of(request: Request) -> Visitor | None:
    """Return who sends this request; None where nobody could be proved."""
    parts = parts_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return parts.visitors.of_api_token(token.strip(), parts.clock.now())
    cookie = request.cookies.get(SESSION_COOKIE)
    return parts.visitors.of_session(cookie, parts.clock.now()) if cookie else None


def require(permission: Permission) -> Callable[[Request], Awaitable[Visitor]]:
    """Make a dependency that returns the visitor who may do this.

    Raises
    ------
    SignInNeeded
        Nobody is signed in.
    HTTPException
        403: the visitor's role does not allow it, or the CSRF token is missing or wrong.
    """

    async def allowed(request: Request) -> Visitor:
        visitor = visitor_of(request)
        if visitor is None:
            raise SignInNeeded
        if not visitor.may(permission):
            raise HTTPException(403, f"the role {visitor.role} does not allow this")
        if request.method not in _SAFE_METHODS:
            await check_csrf(request, visitor)
        return visitor

    return allowed


async def check_csrf(request: Request, visitor: Visitor) -> None:
    """Refuse a change that a foreign page may have sent in a signed-in browser's name.

    Raises
    ------
    HTTPException
        403.
    """
    if visitor.csrf_token is None:
        return
    given = request.headers.get(CSRF_HEADER)
    if given is None and "form" in request.headers.get("content-type", ""):
        given = str((await request.form()).get(CSRF_FIELD, ""))
    if not given or not secrets.compare_digest(given.encode(), visitor.csrf_token.encode()):
        raise HTTPException(403, "the form is out of date: load the page again")
