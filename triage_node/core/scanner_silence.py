"""Whether a scanner that used to send has fallen silent: a broken route is noticed by nobody else until a study is missed.

The rule: in the last ``WATCHED_DAYS`` days the scanner sent ``FEWEST_SERIES`` series or more; its usual gap is the second
longest time between two of them (the longest may be an outage that was mended); it is silent when nothing has come for
``LONGER_THAN_USUAL`` times its usual gap, and for an hour at least. So nights and free weekends are part of the usual gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from triage_node.core.drift import Scanner

WATCHED_DAYS = 28
FEWEST_SERIES = 20
LONGER_THAN_USUAL = 1.5
SHORTEST_SILENCE_S = 3600.0

SILENCE_RULE = (
    f"Silent: nothing for {LONGER_THAN_USUAL:g} times its usual gap and at least an hour. The usual gap is the second longest"
    f" time between two series in the last {WATCHED_DAYS} days; scanners with fewer than {FEWEST_SERIES} series in that time"
    " are not watched."
)


@dataclass(frozen=True)
class ScannerSilence:
    """How a scanner sent in the last ``WATCHED_DAYS`` days, and since when it has not.

    Attributes
    ----------
    first_at, last_at
        Its first and last series in these days.
    usual_gap_s : seconds
        The second longest time between two of its series; None where there are fewer than three.
    """

    scanner: Scanner
    series: int
    first_at: datetime
    last_at: datetime
    usual_gap_s: float | None
    now: datetime

    @property
    def series_per_day(self) -> float:
        """Mean since its first series in these days, a day at least."""
        return self.series / max(1.0, (self.now - self.first_at) / timedelta(days=1))

    @property
    def silence_s(self) -> float:
        """Seconds since its last series."""
        return max(0.0, (self.now - self.last_at).total_seconds())

    @property
    def watched(self) -> bool:
        """Whether it sends often enough to be missed."""
        return self.series >= FEWEST_SERIES and self.usual_gap_s is not None

    @property
    def alarm_after_s(self) -> float | None:
        """From how many seconds of silence on it counts as silent; None where it is not watched."""
        if not self.watched or self.usual_gap_s is None:
            return None
        return max(SHORTEST_SILENCE_S, LONGER_THAN_USUAL * self.usual_gap_s)

    @property
    def silent(self) -> bool:
        """Whether it has fallen silent.

        Examples
        --------
        >>> from datetime import UTC
        >>> now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> day = timedelta(days=1)
        >>> ScannerSilence(Scanner("CT1", "A"), 100, now - 20 * day, now - day, 3600.0, now).silent
        True
        >>> ScannerSilence(Scanner("CT1", "A"), 100, now - 20 * day, now - day, 86400.0, now).silent
        False
        """
        return self.alarm_after_s is not None and self.silence_s > self.alarm_after_s

    def as_json(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        return {
            "scanner": str(self.scanner),
            "series": self.series,
            "series_per_day": round(self.series_per_day, 2),
            "last_at": self.last_at.isoformat(),
            "usual_gap_s": self.usual_gap_s,
            "silence_s": self.silence_s,
            "alarm_after_s": self.alarm_after_s,
            "silent": self.silent,
        }
