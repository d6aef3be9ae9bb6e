"""Lanes: at most so many threads of one courier are with one destination, so that the others are never waited for.

In: who wants to go where. Out: who may go now. Whoever finds a lane full leaves the study there and is free for another
destination; a thread in the lane takes it along. What is left when the process ends is due in SQL all the same.
"""

from __future__ import annotations

import threading
from collections import Counter


class Lanes:
    """Counts threads by destination.

    Parameters
    ----------
    width
        Threads that may be with one destination at once.
    """

    def __init__(self, width: int = 1) -> None:
        self._width = max(1, width)
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, dict[int, None]] = {}  # in order of arrival, each study once

    def enter(self, destination: str, study_id: int) -> int | None:
        """Return the study where the lane has room; None where it is full and the study was left there."""
        with self._lock:
            if self._inside[destination] >= self._width:
                self._waiting.setdefault(destination, {})[study_id] = None
                return None
            self._inside[destination] += 1
            return study_id

    def leave(self, destination: str) -> int | None:
        """Return the study that was left in the lane longest, to go on with; None where there is none: then leave."""
        with self._lock:
            waiting = self._waiting.get(destination)
            if waiting:
                study_id = next(iter(waiting))
                del waiting[study_id]
                return study_id
            self._inside[destination] -= 1
            return None


def lane_width(threads: int, destinations: int) -> int:
    """Return how wide lanes may be so that all destinations at once leave a thread free for housekeeping.

    Examples
    --------
    >>> lane_width(8, 1), lane_width(8, 2), lane_width(4, 9)
    (7, 3, 1)
    """
    return max(1, (threads - 1) // max(1, destinations))
