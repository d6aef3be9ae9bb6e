"""Which study's images were shown to whom of late: one line of the audit trail for a viewing, not one for each slice.

Kept in the memory of one web process: a restart forgets it, and several processes note each for itself. The trail then has a
line more, never one less.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

ONE_VIEWING = timedelta(hours=1)
"""As long as a browser keeps a picture without asking again."""
_MOST_VIEWINGS = 10_000


class Viewings:
    """Viewings that were noted.

    Examples
    --------
    >>> from datetime import UTC
    >>> viewings, now = Viewings(), datetime(2026, 3, 1, tzinfo=UTC)
    >>> viewings.begins("house", "1.2.3", now), viewings.begins("house", "1.2.3", now)
    (True, False)
    >>> viewings.begins("house", "1.2.3", now + ONE_VIEWING)
    True
    """

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def begins(self, visitor_name: str, study_instance_uid: str, now: datetime) -> bool:
        """Return whether this picture begins a viewing, and remember it."""
        key = (visitor_name, study_instance_uid)
        with self._lock:
            begun = self._begun.get(key)
            if begun is not None and now - begun < ONE_VIEWING:
                return False
            self._begun.pop(key, None)
            self._begun[key] = now  # the one that began last stands last
            while len(self._begun) > _MOST_VIEWINGS:
                del self._begun[next(iter(self._begun))]
            return True

    def forget(self, visitor_name: str, study_instance_uid: str) -> None:
        """Forget a viewing whose line could not be written: the next picture begins it again."""
        with self._lock:
            self._begun.pop((visitor_name, study_instance_uid), None)
