"""What a sender does after an HTTP status: as data, beside ``dimse_status``.

RFC 9110 section 15; PS3.18 Table 10.5.3-1 for STOW-RS.
"""

from __future__ import annotations

from collections.abc import Mapping

from triage_node.core.dimse_status import Action

LASTING: Mapping[int, str] = {
    400: "Bad Request",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
}
"""The same request would be answered the same. Everything else that is no success is tried again: 401, 403 and 404 because
somebody mends credentials and addresses, 408, 429 and 5xx because the server will be better."""


def http_action(status_code: int) -> Action:
    """Return what a sender does after a status.

    Examples
    --------
    >>> [http_action(code).value for code in (200, 503, 404, 415, 302)]
    ['DONE', 'TRY_AGAIN', 'TRY_AGAIN', 'GIVE_UP', 'TRY_AGAIN']
    """
    if 200 <= status_code < 300:
        return Action.DONE
    return Action.GIVE_UP if status_code in LASTING else Action.TRY_AGAIN
