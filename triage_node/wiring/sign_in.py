"""Who may look, joined: accounts, the hospital's identity provider, and the first administrator."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from triage_node.core.accounts import FIRST_USER, LockoutRules, SessionRules, new_password
from triage_node.settings import Settings
from triage_node.wiring.database import repository, results
from triage_node.wiring.installation import SystemClock

if TYPE_CHECKING:
    from triage_node.core.ports import IdentityProvider
    from triage_node.web.parts import AccountParts
    from triage_node.worklist.accounts import SqlAccounts
    from triage_node.worklist.api_tokens import SqlApiTokens
    from triage_node.worklist.users import SqlUsers

_FAILURE_WINDOW = timedelta(minutes=5)


def accounts(settings: Settings) -> SqlAccounts:
    """Return who may look."""
    from triage_node.worklist.accounts import SqlAccounts
    from triage_node.worklist.engine import make_engine

    sessions = SessionRules(timedelta(seconds=settings.session_idle_s), timedelta(seconds=settings.session_longest_s))
    lockout = LockoutRules(settings.lockout_failures, timedelta(seconds=settings.lockout_s))
    return SqlAccounts(make_engine(settings.database), sessions, lockout)


def users(settings: Settings) -> SqlUsers:
    """Return the accounts, for administrators."""
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.users import SqlUsers

    return SqlUsers(make_engine(settings.database))


def api_tokens(settings: Settings) -> SqlApiTokens:
    """Return the tokens of programs."""
    from triage_node.worklist.api_tokens import SqlApiTokens
    from triage_node.worklist.engine import make_engine

    return SqlApiTokens(make_engine(settings.database))


def account_parts(settings: Settings, sign_ins: SqlAccounts) -> AccountParts:
    """Join what signing in and the pages of accounts stand on."""
    from triage_node.web.attempt_limit import AttemptLimit
    from triage_node.web.parts import AccountParts

    return AccountParts(
        sign_ins=sign_ins,
        users=users(settings),
        api_tokens=api_tokens(settings),
        attempts=AttemptLimit(settings.sign_in_failures, _FAILURE_WINDOW),
        provider=identity_provider(settings),
    )


def identity_provider(settings: Settings) -> IdentityProvider | None:
    """Return the hospital's own sign-in, where one is set."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    from triage_node.web.openid_connect import OpenIdConnect

    return OpenIdConnect(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        scopes=settings.oidc_scopes,
        role_claim=settings.oidc_role_claim,
        roles=settings.oidc_roles or {},
    )


def known_hosts(settings: Settings) -> frozenset[str]:
    """Return the names that the web server answers to, beside loopback ones and addresses."""
    machine = socket.gethostname()
    return frozenset({machine, machine.split(".")[0], settings.http_host, *settings.http_allowed_hosts})


def local_web_address(settings: Settings) -> str:
    """Return where a browser on this machine finds the worklist."""
    host = settings.http_host
    if host in ("0.0.0.0", "::"):  # noqa: S104 (every address of this machine, this one among them)
        host = "127.0.0.1"
    scheme = "https" if settings.http_tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}/"


def first_password(settings: Settings) -> str | None:
    """Make the first administrator where there is no user at all; return the password, which is kept nowhere."""
    repository(settings)  # a schema of another version is told in words
    password = new_password()
    made = users(settings).add_first(FIRST_USER, password, SystemClock().now())
    return password if made else None


def existing_users(settings: Settings) -> SqlUsers:
    """Return the accounts of a database that must be there already.

    Raises
    ------
    ConfigurationRejected
        There is no SQLite file yet: the data folder is probably another one.
    """
    results(settings)
    return users(settings)
