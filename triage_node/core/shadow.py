"""Two releases on the same series: how far do they agree, and whose flag would change?

In: what the active release and the one in the shadow said of series that both read. Out: a summary for the person who
decides whether to activate the shadow. Says nothing of who is right: that needs labels, and ``triage-node evaluate``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """What one release said of one series.

    Attributes
    ----------
    operating_threshold
        At or above it this release flagged, 0 to 1; NaN where that is not known.
    slices
        (SOP Instance UID, probability, subtypes) from inferior to superior; empty where they were not asked for.
    """

    ich_probability: float
    flagged: bool
    subtypes: Mapping[str, float] | None
    slices: tuple[tuple[str, float, Mapping[str, float] | None], ...] = ()
    operating_threshold: float = math.nan


@dataclass(frozen=True)
class ReadTwice:
    """One series that both releases read."""

    study_instance_uid: str
    series_instance_uid: str
    active: Scores
    shadow: Scores


@dataclass(frozen=True)
class ShadowReadings:
    """What a release read in the shadow of another.

    Attributes
    ----------
    left_out
        How many series the active release read meanwhile that the shadow did not: others waited, or it failed.
    """

    active: str
    shadow: str
    pairs: tuple[ReadTwice, ...]
    left_out: int


def summary(readings: ShadowReadings) -> dict[str, Any]:
    """Return agreement, moved scores and the studies whose flag would change; JSON-ready.

    ``rank_correlation`` is Spearman's, None where one release gives all series the same score.

    Examples
    --------
    >>> def read(uid, before, after):
    ...     return ReadTwice(uid, uid + ".1", *(Scores(each, each >= 0.5, None) for each in (before, after)))
    >>> found = summary(ShadowReadings("old", "new", (read("1.2", 0.1, 0.2), read("1.3", 0.9, 0.8), read("1.4", 0.4, 0.6)), 1))
    >>> found["agreement"], found["now_flagged"], found["no_longer_flagged"], found["rank_correlation"]
    (0.6666666666666666, ['1.4'], [], 1.0)
    """
    pairs = readings.pairs
    before = np.array([each.active.ich_probability for each in pairs], dtype=np.float64)
    after = np.array([each.shadow.ich_probability for each in pairs], dtype=np.float64)
    agreed = sum(each.active.flagged == each.shadow.flagged for each in pairs)
    return {
        "active": readings.active,
        "shadow": readings.shadow,
        "read_by_both": len(pairs),
        "left_out": readings.left_out,
        "flagged_by_active": sum(each.active.flagged for each in pairs),
        "flagged_by_shadow": sum(each.shadow.flagged for each in pairs),
        "agreement": agreed / len(pairs) if pairs else None,
        "mean_absolute_change": float(np.abs(before - after).mean()) if pairs else None,
        "rank_correlation": _rank_correlation(before, after),
        "now_flagged": _studies(each for each in pairs if each.shadow.flagged and not each.active.flagged),
        "no_longer_flagged": _studies(each for each in pairs if each.active.flagged and not each.shadow.flagged),
    }


def _studies(pairs: Iterable[ReadTwice]) -> list[str]:
    return sorted({each.study_instance_uid for each in pairs})


def _rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float | None:
    if len(first) < 2:
        return None
    with np.errstate(invalid="ignore"):
        found = float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])
    return None if math.isnan(found) else round(found, 6)


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
