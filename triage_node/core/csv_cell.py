"""Values in CSV files that people open in a spreadsheet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are =, +, - and @ in full width, which spreadsheets in East Asian languages take for the same."""


def csv_cell(value: Any) -> Any:
    """Return a value as it may stand in a CSV file.

    A spreadsheet runs text that begins like a formula, and a patient's name or a comment is anybody's text: it gets an
    apostrophe in front, which spreadsheets take for "this is text" (OWASP, CSV Injection). Numbers stay numbers.

    Examples
    --------
    >>> csv_cell("=HYPERLINK(1)"), csv_cell(-0.5), csv_cell("DOE^JANE"), csv_cell(True), csv_cell(None)
    ("'=HYPERLINK(1)", -0.5, 'DOE^JANE', 'true', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    # Some drop spaces before they look.
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
