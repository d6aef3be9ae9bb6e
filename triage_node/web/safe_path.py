"""Where a browser may be sent after signing in: a path of this application, never another site."""

from __future__ import annotations

from urllib.parse import urlsplit

_LONGEST = 500


def safe_path(wanted: str | None) -> str:
    """Return the path if it leads into this application, else the start page.

    Browsers take ``//host`` and ``/\\host`` for another host, and drop tabs and line breaks before they look.

    Examples
    --------
    >>> safe_path("/studies/1.2.3?tab=report")
    '/studies/1.2.3?tab=report'
    >>> safe_path("//evil.example"), safe_path("https://evil.example/"), safe_path("/sign-out")
    ('/', '/', '/')
    """
    path = wanted or "/"
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return "/"
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or len(path) > _LONGEST or parts.path.startswith(("/sign-in", "/sign-out")):
        return "/"
    return path
