"""How this node shows itself to a web service: one session a destination, credentials and authorities from files, no redirects.

In: a destination. Out: a session of the requests library. A redirect is not followed: after 301 and 302 a POST becomes a GET,
whose 200 would be taken for a delivery.
"""

from __future__ import annotations

import requests

from triage_node.core.destination import Destination
from triage_node.core.errors import Transient


class CredentialsMissing(Transient):
    """The file with the secret cannot be read; somebody will put it there."""


def open_session(destination: Destination) -> requests.Session:
    """Return a session that carries the destination's credentials; ``user:password`` in the file is Basic, else Bearer.

    The file is read every time, so that credentials can be renewed while the node runs.

    Raises
    ------
    CredentialsMissing
        Names the file, never what is in it.
    """
    session = requests.Session()
    session.max_redirects = 0
    if destination.tls_ca_file is not None:
        session.verify = str(destination.tls_ca_file)
    if destination.secret_file is None:
        return session
    try:
        secret = destination.secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsMissing(f"secret_file {destination.secret_file} of {destination} cannot be read") from error
    user, colon, password = secret.partition(":")
    if colon:
        session.auth = (user, password)
    else:
        session.headers["Authorization"] = f"Bearer {secret}"
    return session
