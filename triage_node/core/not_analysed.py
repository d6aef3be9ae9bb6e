"""Which study without a reading is told about, so that silence is never taken for normal, and by which of its series.

In: the series of a study as they stand. Out: the one whose refusal leads. A report for each scout, dose page and MR series
that comes along would bury the few that matter, so only CT that somebody may believe to have been read counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage_node.core.reason import Reason
from triage_node.core.study_state import State

NEVER_EXPECTED = frozenset({Reason.NOT_CT, Reason.NO_PIXELS, Reason.LOCALIZER})
"""Nobody waits for a reading of these: other modalities, reports and scouts."""


@dataclass(frozen=True)
class SeriesStanding:
    """One series of a study, as far as this decision goes."""

    series_id: int
    modality: str
    state: State
    reason: Reason | None
    instance_count: int


def leading_refusal(series: Sequence[SeriesStanding]) -> SeriesStanding | None:
    """Return the series whose refusal speaks for the study; None where the study is not over, was read, or has no such CT.

    Of several it is the one with the most images; BETTER_SERIES says nothing where the better one was not read either.

    Examples
    --------
    >>> scout = SeriesStanding(1, "CT", State.NOT_ANALYSED, Reason.LOCALIZER, 2)
    >>> head = SeriesStanding(2, "CT", State.NOT_ANALYSED, Reason.MISSING_SLICES, 30)
    >>> leading_refusal([scout, head]).reason, leading_refusal([scout])
    (<Reason.MISSING_SLICES: 'MISSING_SLICES'>, None)
    """
    counting = [each for each in series if each.modality == "CT"]
    if any(each.state is not State.NOT_ANALYSED for each in counting):
        return None
    expected = [each for each in counting if each.reason not in NEVER_EXPECTED]
    return max(
        expected,
        key=lambda each: (each.reason is not Reason.BETTER_SERIES, each.instance_count, -each.series_id),
        default=None,
    )
