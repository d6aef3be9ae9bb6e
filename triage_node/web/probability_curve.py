"""The curve of a reading as a drawing: one bar a slice, from inferior to superior, drawn by the page's template as SVG.

In: a finding. Out: places in a drawing of ``WIDTH`` by ``HEIGHT`` units that is stretched to the page's width. Flagged slices
are told by a mark above their bar, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage_node.core.finding import Finding, SliceFinding
from triage_node.web.words import probability_words

WIDTH, HEIGHT = 1000.0, 120.0
MARK_HEIGHT = 8.0
"""The strip above the bars where flagged slices are marked."""

_ROOM = 3.0
_GAP_SHARE = 0.16


@dataclass(frozen=True)
class Bar:
    """One slice: its whole column to click on (``left``, ``column_width``) and the bar in it, in units of the drawing."""

    index: int
    left: float
    column_width: float
    x: float
    width: float
    y: float
    height: float
    flagged: bool
    words: str


@dataclass(frozen=True)
class Curve:
    """All bars, and where the operating point lies (None where nothing says)."""

    bars: Sequence[Bar]
    threshold: float
    threshold_y: float
    width: float = WIDTH
    height: float = HEIGHT
    mark_height: float = MARK_HEIGHT


def probability_curve(finding: Finding) -> Curve:
    """Lay out the curve of a finding."""
    column = WIDTH / len(finding.slices)
    bars = tuple(_bar(index, each, column) for index, each in enumerate(finding.slices))
    return Curve(bars, finding.operating_threshold, _level(finding.operating_threshold))


def _level(probability: float) -> float:
    top = MARK_HEIGHT + _ROOM
    return round(HEIGHT - (HEIGHT - top) * probability, 2)


def _bar(index: int, found: SliceFinding, column: float) -> Bar:
    y = min(_level(found.ich_probability), HEIGHT - 1.0)  # a slice of probability 0 has a place too
    flagged = ", flagged" if found.flagged else ""
    return Bar(
        index=index,
        left=round(index * column, 2),
        column_width=round(column, 2),
        x=round((index + _GAP_SHARE / 2) * column, 2),
        width=round(column * (1 - _GAP_SHARE), 2),
        y=y,
        height=round(HEIGHT - y, 2),
        flagged=found.flagged,
        words=f"Slice {index + 1}, probability {probability_words(found.ich_probability)}{flagged}",
    )
