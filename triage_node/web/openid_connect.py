"""The hospital's identity provider over OpenID Connect Core 1.0: code flow with PKCE, state and nonce, by Authlib.

In: the provider's issuer and our registration there. Out: whom it has proved, with the highest role that any of the
person's groups has here. Somebody without such a group is refused: knowing a person is no reason to show patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import JoseError

from triage_node.core.access import Role
from triage_node.core.accounts import IdentityRefused, PendingSignIn, ProvedIdentity, ProviderUnreachable

TIMEOUT_S = 10.0
_SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can make: never ``none``, nor one with a secret that we share."""
_NAME_CLAIMS = ("preferred_username", "email", "sub")
_RANK = list(Role)


class _Client(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's client without a web framework's session: we keep what must match ourselves."""

    client_cls = OAuth2Session


class OpenIdConnect:
    """``core.ports.IdentityProvider``.

    Parameters
    ----------
    role_claim
        Where the groups of a person are told; dots lead into objects (``realm_access.roles``).
    roles
        Group to role.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        scopes: Sequence[str],
        role_claim: str,
        roles: Mapping[str, Role],
    ) -> None:
        self._issuer, self._client_id = issuer, client_id
        self._role_claim, self._roles = role_claim, dict(roles)
        self._client = _Client(
            framework=None,
            name="provider",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(dict.fromkeys(("openid", *scopes))),
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_S,
            },
        )

    @property
    def label(self) -> str:
        """What the button says it is."""
        return urlsplit(self._issuer).hostname or self._issuer

    def begin(self, redirect_uri: str) -> PendingSignIn:
        """Return where the browser is sent, and what it must bring back."""
        self._discover()
        begun = self._client.create_authorization_url(redirect_uri)
        return PendingSignIn(begun["url"], begun["state"], begun["nonce"], begun["code_verifier"])

    def finish(self, pending: PendingSignIn, redirect_uri: str, code: str) -> ProvedIdentity:
        """Return whom the provider has proved."""
        self._discover()
        try:
            token = self._client.fetch_access_token(redirect_uri, code=code, code_verifier=pending.code_verifier)
            claims = self._client.parse_id_token(token, nonce=pending.nonce, claims_options=self._expected())
            if claims is None:
                raise IdentityRefused("the identity provider sent no proof of identity")
            if _at(claims, self._role_claim) is None and "userinfo_endpoint" in self._client.server_metadata:
                told = self._client.userinfo(token=token)
                if told.get("sub") != claims["sub"]:
                    raise IdentityRefused("the identity provider told of somebody else")
                claims = {**told, **claims}
        except requests.RequestException as error:
            raise ProviderUnreachable(f"the identity provider does not answer: {type(error).__name__}") from error
        except (AuthlibBaseError, JoseError) as error:
            reason = getattr(error, "error", "") or type(error).__name__
            raise IdentityRefused(f"the identity provider's proof is not valid ({reason})") from error
        return self._identity(claims)

    def _identity(self, claims: Mapping[str, Any]) -> ProvedIdentity:
        groups = _at(claims, self._role_claim)
        named = {groups} if isinstance(groups, str) else {str(each) for each in groups or ()}
        roles = [role for group, role in self._roles.items() if group in named]
        if not roles:
            raise IdentityRefused("none of your groups at the identity provider has a role here")
        name = next(str(claims[each]) for each in _NAME_CLAIMS if claims.get(each))
        return ProvedIdentity(f"{self._issuer}|{claims['sub']}", name, max(roles, key=_RANK.index))

    def _expected(self) -> dict[str, dict[str, Any]]:
        return {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }

    def _discover(self) -> None:
        """Load the provider's description, once (OpenID Connect Discovery 1.0, 4).

        Raises
        ------
        ProviderUnreachable
            It does not come, or describes another issuer.
        """
        try:
            found = self._client.load_server_metadata()
        except (requests.RequestException, ValueError) as error:
            raise ProviderUnreachable(f"the identity provider does not answer: {type(error).__name__}") from error
        if found.get("issuer") != self._issuer:
            self._client.server_metadata.clear()
            raise ProviderUnreachable("the identity provider says that it is another issuer: check oidc_issuer")
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [each for each in offered if each in _SIGNATURES]


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of this name, else the one that its dots lead to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
