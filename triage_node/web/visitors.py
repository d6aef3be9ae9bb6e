"""Who sends a request, and whether they may: dependencies for every route that shows or changes anything.

A browser proves itself by its session cookie, a program by ``Authorization: Bearer TOKEN``. What changes anything needs
the session's CSRF token too, in the header ``X-CSRF-Token`` or the form field ``csrf_token``.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from triage_node.core.access import Permission, Visitor
from triage_node.core.audit import AuditAction
from triage_node.web.parts import WebParts

SESSION_COOKIE = "triage_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITERS = ThreadPoolExecutor(8, "audit")

Dependency = Callable[[Request], Awaitable[Visitor]]
_REQUIRED: WeakKeyDictionary[Dependency, Permission | None] = WeakKeyDictionary()


class SignInNeeded(Exception):
    """Nobody is signed in: browsers are led to the sign-in page, programs are answered 401."""


class PasswordChangeNeeded(Exception):
    """The visitor has a password that somebody else has chosen, and is led to change it."""


def parts_of(request: Request) -> WebParts:
    """Return the application's parts."""
    parts: WebParts = request.app.state.parts
    return parts


def cookie_name(request: Request, name: str) -> str:
    """Return how a cookie is called: over https ``__Host-`` keeps other hosts of the domain from setting it (RFC 6265bis)."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def session_token(request: Request) -> str | None:
    """Return the secret of the browser's session, if it sends one."""
    return request.cookies.get(cookie_name(request, SESSION_COOKIE))


def address_of(request: Request) -> str:
    """Return where the request comes from: the peer, or whom a trusted proxy names (setting ``http_trusted_proxies``)."""
    return request.client.host if request.client else ""


def visitor_of(request: Request) -> Visitor | None:
    """Return who sends this request; None where nobody could be proved. Asked of the database once a request."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = _proved(request)
    visitor: Visitor | None = request.state.visitor
    return visitor


def asked_again(request: Request) -> Visitor | None:
    """Return who sends this request as things stand now: an answer that goes on for hours may outlive the session."""
    request.state.visitor = _proved(request)
    return visitor_of(request)


def _proved(request: Request) -> Visitor | None:
    parts = parts_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return parts.visitors.of_api_token(token.strip(), parts.clock.now())
    cookie = session_token(request)
    return parts.visitors.of_session(cookie, parts.clock.now()) if cookie else None


def note(request: Request, action: AuditAction, study_instance_uid: str | None = None, **detail: Any) -> None:
    """Write into the audit trail what the visitor of this request does."""
    visitor, parts = visitor_of(request), parts_of(request)
    actor = visitor.name if visitor else "nobody"
    parts.audit.note(actor, action, study_instance_uid, address_of(request), detail, parts.clock.now())


@contextmanager
def noted_beside(
    request: Request, action: AuditAction, study_instance_uid: str | None = None, **detail: Any
) -> Iterator[None]:
    """Write into the audit trail while the answer is made, and let nothing out before it is written.

    A disk takes milliseconds to keep a line, and much longer when it is busy; reading need not wait for it.
    """
    written = _WRITERS.submit(note, request, action, study_instance_uid, **detail)
    try:
        yield
    finally:
        written.result()


def require(permission: Permission) -> Dependency:
    """Make a dependency that returns the visitor who may do this.

    Raises
    ------
    SignInNeeded
        Nobody is signed in.
    PasswordChangeNeeded
        Somebody is, with a password that must be changed first.
    HTTPException
        403: the visitor's role does not allow it, or the CSRF token is missing or wrong.
    """

    async def allowed(request: Request) -> Visitor:
        visitor = await _signed_in(request)
        if visitor.must_change_password:
            raise PasswordChangeNeeded
        if not visitor.may(permission):
            await run_in_threadpool(note, request, AuditAction.ACCESS_REFUSED, permission=permission)
            raise HTTPException(403, f"the role {visitor.role} does not allow this")
        await _check_origin(request, visitor)
        return visitor

    _REQUIRED[allowed] = permission
    return allowed


def own_account(*, owing_password: bool = False) -> Dependency:
    """Make a dependency for what a browser may do with its own account; a token must not make tokens.

    Parameters
    ----------
    owing_password
        Also for those who must change their password.
    """

    async def allowed(request: Request) -> Visitor:
        visitor = await _signed_in(request)
        if visitor.csrf_token is None:
            raise HTTPException(403, "an account is changed in a browser, not with a token")
        if visitor.must_change_password and not owing_password:
            raise PasswordChangeNeeded
        await _check_origin(request, visitor)
        return visitor

    _REQUIRED[allowed] = None
    return allowed


def required_of(dependency: Callable[..., Any]) -> tuple[bool, Permission | None]:
    """Return whether this dependency asks who the visitor is, and for which permission (None: of one's own account)."""
    return dependency in _REQUIRED, _REQUIRED.get(dependency)


async def _signed_in(request: Request) -> Visitor:
    visitor = await run_in_threadpool(visitor_of, request)  # a slow database must not hold up everybody's streams
    if visitor is None:
        raise SignInNeeded
    return visitor


async def _check_origin(request: Request, visitor: Visitor) -> None:
    if request.method not in _SAFE_METHODS:
        await check_csrf(request, visitor)


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
