"""The time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, so that tests need not wait for it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...
