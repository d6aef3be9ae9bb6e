"""Who may look: accounts, sessions and tokens; and the trail of who did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from triage_node.core.access import Role, Visitor
from triage_node.core.accounts import ApiToken, PendingSignIn, ProvedIdentity, SignedIn, User
from triage_node.core.audit import AuditAction, AuditEntry, AuditFilter


class Visitors(Protocol):
    """Who sends a request."""

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        """Return whose browser sent this session cookie; None where it is forged, expired or of a disabled user."""
        ...

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        """Return whose program sent this token; None likewise."""
        ...


class SignIns(Visitors, Protocol):
    """Signing in and out."""

    def sign_in(self, name: str, password: str, address: str, now: datetime) -> SignedIn:
        """Begin a session of one who knows the password.

        Raises
        ------
        SignInRefused
            After the same time and in the same words, whatever was wrong.
        """
        ...

    def sign_in_proved(self, identity: ProvedIdentity, address: str, now: datetime) -> SignedIn:
        """Begin a session of one whom the identity provider proved; at the first time an account is made.

        Raises
        ------
        SignInRefused
            The account is disabled, or another account has this name.
        """
        ...

    def sign_out(self, token: str) -> str | None:
        """End a session; return whose it was."""
        ...

    def change_password(self, name: str, old: str, new: str, keep: str, now: datetime) -> None:
        """Change one's own password and end all one's sessions but ``keep`` (its token).

        Raises
        ------
        SignInRefused
            The old password is wrong; it counts as a failed sign-in.
        PasswordRejected
            The new one is no good.
        """
        ...


class IdentityProvider(Protocol):
    """A hospital's own sign-in, over OpenID Connect. Both calls raise ``ProviderUnreachable``."""

    @property
    def label(self) -> str:
        """What the button says it is."""
        ...

    def begin(self, redirect_uri: str) -> PendingSignIn:
        """Return where the browser is sent, and what it must bring back to ``redirect_uri``."""
        ...

    def finish(self, pending: PendingSignIn, redirect_uri: str, code: str) -> ProvedIdentity:
        """Return whom the provider has proved.

        Raises
        ------
        IdentityRefused
            The proof is not valid, or none of the person's groups has a role here.
        """
        ...


class Users(Protocol):
    """Accounts, for administrators. All raise ``Refused`` for a name that is not there."""

    def every(self) -> Sequence[User]:
        """Return all users by name."""
        ...

    def named(self, name: str) -> User:
        """Return one user."""
        ...

    def add(self, name: str, role: Role, password: str, now: datetime, *, must_change_password: bool = True) -> User:
        """Make an account.

        Raises
        ------
        NameRejected, PasswordRejected, Refused
            Name or password are no good, or there is such a user.
        """
        ...

    def add_first(self, name: str, password: str, now: datetime) -> bool:
        """Make an administrator where there is no user at all; return whether it was made."""
        ...

    def set_role(self, name: str, role: Role) -> None:
        """Change what a user may do.

        Raises
        ------
        Refused
            No administrator would be left, or the identity provider says what this user may do.
        """
        ...

    def disable(self, name: str) -> None:
        """Shut a user out at once: sessions end, tokens no longer count.

        Raises
        ------
        Refused
            No administrator would be left.
        """
        ...

    def enable(self, name: str) -> None:
        """Let a user in again."""
        ...

    def unlock(self, name: str) -> None:
        """End the lock that followed on too many failed sign-ins."""
        ...

    def set_password(self, name: str, password: str, *, must_change_password: bool = True) -> None:
        """Give a user another password, end all sessions and the lock.

        Raises
        ------
        PasswordRejected, Refused
            The password is no good, or the user signs in at the identity provider.
        """
        ...


class ApiTokens(Protocol):
    """Tokens for programs."""

    def make(self, user: str, name: str, now: datetime, expires_at: datetime | None) -> str:
        """Make a token and return its secret, which cannot be shown again.

        Raises
        ------
        Refused
            No such user, no name, or a token of this user has that name.
        """
        ...

    def of(self, user: str | None = None) -> Sequence[ApiToken]:
        """Return the tokens of a user, or of all."""
        ...

    def revoke(self, user: str, name: str) -> None:
        """Take a token back.

        Raises
        ------
        Refused
            There is no such token.
        """
        ...


class AuditTrail(Protocol):
    """Who looked at what and who changed what; lines are only ever added."""

    def note(
        self,
        actor: str,
        action: AuditAction,
        study_instance_uid: str | None,
        address: str,
        detail: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Add a line; ``detail`` holds plain JSON values, never a password or a token."""
        ...

    def of_study(self, study_instance_uid: str, limit: int) -> Sequence[AuditEntry]:
        """Return what was done with one study, newest first."""
        ...

    def page(self, wanted: AuditFilter, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return lines, newest first; ``before`` is the id of the last line of the page before."""
        ...
