"""How this node shows itself to a web service: one session a destination, credentials and authorities from files, no redirects.

In: a destination. Out: a session of the requests library. A redirect is not followed: after 301 and 302 a POST becomes a GET,
whose 200 would be taken for a delivery. Of the process's environment only the proxies count, and REQUESTS_CA_BUNDLE where
the destination names no authority of its own.
"""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import AuthBase

from triage_node.core.destination import Destination
from triage_node.core.errors import Transient
from triage_node.forwarding.client_tls import OwnCertificate, TlsFileUnreadable, client_context


class CredentialsMissing(Transient):
    """The file with the secret, or one of those for TLS, cannot be read; somebody will put it there."""


class _Session(requests.Session):
    """Believes whom the destination says: requests lets REQUESTS_CA_BUNDLE go before what a session is set to."""

    def merge_environment_settings(
        self, url: str, proxies: Any, stream: bool | None, verify: Any, cert: Any
    ) -> dict[str, Any]:
        """Return the settings of one request."""
        asked = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, asked, cert)


class _Shown(AuthBase):
    """Shows a bearer token, or nothing: with any such object set, requests does not look into the user's .netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def open_session(destination: Destination, own: OwnCertificate | None = None) -> requests.Session:
    """Return a session that carries the destination's credentials; ``user:password`` in the file is Basic, else Bearer.

    The files are read every time, so that credentials can be renewed while the node runs. Our own certificate is shown
    where the service asks for one and its own descends from ``tls_ca_file``.

    Raises
    ------
    CredentialsMissing
        Names the file, never what is in it.
    """
    session = _Session()
    session.max_redirects = 0
    session.auth = _Shown(None)
    if destination.tls_ca_file is not None:
        _check_tls_files(destination, own)
        session.verify = str(destination.tls_ca_file)
        if own is not None:
            session.cert = str(own.certificate) if own.key is None else (str(own.certificate), str(own.key))
    if destination.secret_file is None:
        return session
    try:
        secret = destination.secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsMissing(f"secret_file {destination.secret_file} of {destination} cannot be read") from error
    user, colon, password = secret.partition(":")
    session.auth = (user, password) if colon else _Shown(secret)
    return session


def _check_tls_files(destination: Destination, own: OwnCertificate | None) -> None:
    """Say now, in one sentence, what the library would say in many when it connects."""
    try:
        client_context(destination, own)
    except TlsFileUnreadable as error:
        raise CredentialsMissing(str(error)) from error
