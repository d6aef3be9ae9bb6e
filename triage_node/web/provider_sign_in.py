"""Signing in at the hospital's identity provider: there, and back with a code that is exchanged for proof.

What must match on the way back lies in a cookie of this browser for ten minutes, not with us: any of several web processes
can finish what another has begun.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import asdict

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from triage_node.core.accounts import IdentityRefused, PendingSignIn, ProviderUnreachable, SignInRefused
from triage_node.core.ports import IdentityProvider
from triage_node.web.parts import AccountParts, WebParts
from triage_node.web.safe_path import safe_path
from triage_node.web.sign_in import begin_session, note_refusal, set_cookie
from triage_node.web.visitors import address_of, cookie_name

log = structlog.get_logger(__name__)

PENDING_COOKIE = "triage_provider"
_PENDING_S = 600


def routes(parts: WebParts, accounts: AccountParts, provider: IdentityProvider) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/sign-in/provider")
    def begin(request: Request, next: str = "/") -> Response:
        try:
            pending = provider.begin(_back(request))
        except ProviderUnreachable as silence:
            raise _unreachable(silence) from None
        answer = RedirectResponse(pending.url, 303)
        set_cookie(request, answer, PENDING_COOKIE, _packed(pending, safe_path(next)), max_age=_PENDING_S)
        return answer

    @router.get("/sign-in/provider/back", name="provider_back")
    def back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        pending, wanted = _unpacked(request.cookies.get(cookie_name(request, PENDING_COOKIE), ""))
        if not secrets.compare_digest(state.encode(), pending.state.encode()):
            raise HTTPException(403, "this answer of the identity provider belongs to another sign-in: sign in again")
        if error or not code:
            raise HTTPException(403, "the identity provider did not sign you in")
        try:
            identity = provider.finish(pending, _back(request), code)
            signed_in = accounts.sign_ins.sign_in_proved(identity, address_of(request), parts.clock.now())
        except IdentityRefused as refused:
            log.warning("identity_refused", reason=str(refused))
            note_refusal(parts, address_of(request), SignInRefused())
            raise HTTPException(403, str(refused)) from None
        except ProviderUnreachable as silence:
            raise _unreachable(silence) from None
        except SignInRefused as refused:
            note_refusal(parts, address_of(request), refused)
            told = "the identity provider knows you, but the account of your name here is disabled or somebody else's"
            raise HTTPException(403, told) from None
        answer = begin_session(request, parts, accounts, signed_in, wanted, how="provider")
        answer.delete_cookie(cookie_name(request, PENDING_COOKIE), path="/", secure=request.url.scheme == "https")
        return answer

    return router


def _unreachable(error: ProviderUnreachable) -> HTTPException:
    log.error("identity_provider_unreachable", reason=str(error))
    return HTTPException(503, str(error), {"Retry-After": "30"})


def _back(request: Request) -> str:
    return str(request.url_for("provider_back"))


def _packed(pending: PendingSignIn, wanted: str) -> str:
    kept = {**asdict(pending), "url": "", "next": wanted}
    return base64.urlsafe_b64encode(json.dumps(kept).encode()).decode()


def _unpacked(cookie: str) -> tuple[PendingSignIn, str]:
    """Return what this browser was sent away with.

    Raises
    ------
    HTTPException
        403: nothing, or nothing of ours.
    """
    try:
        kept = json.loads(base64.urlsafe_b64decode(cookie.encode()))
        values = {key: str(kept[key]) for key in ("url", "state", "nonce", "code_verifier")}
        if values["state"] and values["nonce"] and values["code_verifier"]:
            return PendingSignIn(**values), safe_path(str(kept["next"]))
    except (ValueError, KeyError, TypeError, binascii.Error):
        pass
    raise HTTPException(403, "this sign-in took too long or was not begun in this browser: sign in again")
