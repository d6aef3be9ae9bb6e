"""What every request passes and every answer carries, whatever the route: host names, sizes, headers.

Plain ASGI, so that streams pass through unchanged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Shared workplaces: the next person's "back" must not show a patient. A route that knows better says so itself.
    "Cache-Control": "no-store",
}
LONGEST_BODY_BYTES = 1_048_576
"""No form and no call of the API is longer; 413."""
_OPEN_TO_ANY_HOST = ("/health", "/metrics")
_TOO_LONG = f"what was sent is longer than {LONGEST_BODY_BYTES // 1024} KiB"
Answer = Callable[[Request, int, str], Awaitable[Response]]
"""Makes the error page, or the JSON, of a status and its reason."""
_LOOPBACK = frozenset({"localhost", "localhost.localdomain"})


def add_headers(headers: MutableHeaders, path: str) -> None:
    """Add what is not there yet; files of the application itself may be kept, and are asked for again."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith("/static/") and headers["Cache-Control"] == "no-store":
        headers["Cache-Control"] = "no-cache"


class ProtectedHeaders:
    """Every answer carries the headers above."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, with_headers)


def host_is_known(host: str, known: Collection[str] | None) -> bool:
    """Return whether this node answers to a Host header.

    A page of another site may bend its own name to our address (DNS rebinding) and would then read our pages with the
    browser's help. It can only do so with a name: addresses are therefore always answered.

    Examples
    --------
    >>> host_is_known("Triage.example:8080", {"triage.example"}), host_is_known("evil.example", {"triage.example"})
    (True, False)
    >>> host_is_known("[::1]:8080", set())
    True
    """
    if known is None or "*" in known:
        return True
    name = host.rsplit(":", 1)[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").rstrip(".").casefold()
    if name in _LOOPBACK or name in known:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class KnownHosts:
    """Only names of this node are answered; probes and metrics carry no patient and are answered under any."""

    def __init__(self, app: ASGIApp, known: Collection[str] | None, answer: Answer) -> None:
        self._app, self._answer = app, answer
        self._known = known if known is None else frozenset(each.casefold() for each in known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400."""
        if scope["type"] == "http" and not scope["path"].startswith(_OPEN_TO_ANY_HOST):
            host = Headers(scope=scope).get("host", "")
            if not host_is_known(host, self._known):
                told = f"this node does not answer to the name {host[:100]!r}: add it to the setting http_allowed_hosts"
                await (await self._answer(Request(scope), 400, told))(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LimitedBody:
    """A body that is too long is not read to its end."""

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if told.isdecimal() and int(told) > LONGEST_BODY_BYTES:
            await (await self._answer(Request(scope), 413, _TOO_LONG))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LONGEST_BODY_BYTES:
                raise HTTPException(413, _TOO_LONG)  # the application is reading: its own handler answers
            return message

        await self._app(scope, counted, send)
