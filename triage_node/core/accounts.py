"""Rules of accounts: names, passwords, lock-out, the life of a session; and what is shown of users and tokens.

Passwords follow NIST SP 800-63B 5.1.1: length counts, no rules of composition, no expiry, and the worst are refused.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from triage_node.core.access import Role
from triage_node.core.errors import Refused, Transient

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
"""Characters; hashing takes longer with length, and a sign-in must not be made to take minutes."""
LONGEST_NAME = 64
FIRST_USER = "admin"
API_TOKEN_PREFIX = "triage_"  # noqa: S105 (a prefix, by which scanners for leaked secrets find tokens)

_NAME = re.compile(r"[\w.@+'-](?:[\w.@+' -]*[\w.@+'-])?")
_WORST = (
    "123456789012",
    "1234567890ab",
    "abcdefghijkl",
    "adminadminadmin",
    "administrator",
    "changemenow1",
    "changemechangeme",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmeinletmein",
    "password1234",
    "password12345",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiopas",
    "radiology123",
    "triagetriage",
    "triage_node123",
    "welcome12345",
    "welcomewelcome",
)
"""Those of at least 12 characters that head the lists of leaked passwords, and what this node invites."""


class NameRejected(Refused):
    """This cannot be the name of a user."""


class PasswordRejected(Refused):
    """This cannot be a password; the message says why, and never repeats it."""


class SignInRefused(Refused):
    """Name or password are wrong, or the account is locked or disabled: who asks is told no more than that.

    Attributes
    ----------
    known_name
        The user that was meant; None where there is none. For the audit trail only.
    locked
        The account is locked now. For the audit trail only.
    """

    def __init__(self, known_name: str | None = None, locked: bool = False) -> None:
        super().__init__("Name or password are wrong, or the account is locked after too many attempts.")
        self.known_name = known_name
        self.locked = locked


class IdentityRefused(Refused):
    """What the identity provider says of somebody cannot be trusted, or gives no role here; the message says which."""


class ProviderUnreachable(Transient):
    """The identity provider does not answer, or not as it should."""


@dataclass(frozen=True)
class SessionRules:
    """How long a browser stays signed in: after its last request, and at most."""

    idle: timedelta = timedelta(hours=4)
    longest: timedelta = timedelta(hours=12)

    def expiry(self, created_at: datetime, seen_at: datetime) -> datetime:
        """Return when a session ends unless it is used again."""
        return min(seen_at + self.idle, created_at + self.longest)


@dataclass(frozen=True)
class LockoutRules:
    """After ``failures`` wrong passwords in a row an account is locked for a time."""

    failures: int = 5
    lock: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class SignedIn:
    """A sign-in that succeeded. ``token`` is the session's secret, known to this browser alone from now on."""

    name: str
    role: Role
    token: str
    expires_at: datetime


@dataclass(frozen=True)
class ProvedIdentity:
    """Whom an identity provider has proved; ``subject`` is its issuer and its own, lasting name for the person."""

    subject: str
    name: str
    role: Role


@dataclass(frozen=True)
class PendingSignIn:
    """A browser that has been sent to the identity provider, and what it must come back with.

    ``state`` ties the answer to this browser, ``nonce`` the proof of identity to this attempt, and ``code_verifier`` the
    code to whoever asked for it (PKCE, RFC 7636).
    """

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class User:
    """An account, as administrators see it."""

    id: int
    name: str
    role: Role
    disabled: bool
    must_change_password: bool
    locked_until: datetime | None
    from_provider: bool
    created_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True)
class ApiToken:
    """A token for a program, without its secret."""

    id: int
    user: str
    name: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


def checked_user_name(text: str) -> str:
    """Return a name as it is kept: in one Unicode form and in small letters, so that no two users look alike by case.

    Raises
    ------
    NameRejected
        Empty, longer than 64 characters, or with characters that names do not have.

    Examples
    --------
    >>> checked_user_name(" Jane.Doe ")
    'jane.doe'
    """
    name = unicodedata.normalize("NFKC", text).strip().casefold()
    if not name or len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise NameRejected(
            f"a user's name has 1 to {LONGEST_NAME} letters, digits, spaces or . @ + ' - _ and nothing else"
        )
    return name


def normal_password(password: str) -> str:
    """Return a password in the form that is hashed: keyboards write the same letter in several ways (SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def checked_password(password: str, user_name: str) -> str:
    """Return a password that somebody chose, in its normal form.

    Raises
    ------
    PasswordRejected
        Too short, too long, the user's name with little else, or one of the worst.

    Examples
    --------
    >>> checked_password("the scanner hums at night", "ann")
    'the scanner hums at night'
    """
    password = normal_password(password)
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordRejected(
            f"the password is too short: use at least {SHORTEST_PASSWORD} characters, a sentence for example"
        )
    if len(password) > LONGEST_PASSWORD:
        raise PasswordRejected(f"the password is too long: use at most {LONGEST_PASSWORD} characters")
    folded = password.casefold()
    if user_name in folded and len(folded.replace(user_name, "")) < SHORTEST_PASSWORD // 2:
        raise PasswordRejected("the password is hardly more than the user's name")
    if folded in _WORST or len(set(folded)) < 4:
        raise PasswordRejected("the password is one of those that are tried first: choose another one")
    return password


def new_password() -> str:
    """Return a random password of about 100 bits, in groups that can be read out and typed."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # without i, l, o, 0, 1, which are taken for each other
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def new_session_token() -> str:
    """Return the secret of a session: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_api_token() -> str:
    """Return the secret of an API token: 256 random bits behind a prefix that tells what it is."""
    return API_TOKEN_PREFIX + secrets.token_urlsafe(32)
