"""Pictures of figures: where marks lie in a drawing that a page's template writes as SVG (``templates/picture.html``).

In: numbers. Out: places in per cent of the drawing, from its upper left corner, so that it fills any width while words and
strokes keep their size. Colours are the style sheet's (``static/pictures.css``), by the name of a ``look``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_MOST_TICKS_ACROSS = 6
_COLUMN_SHARE = 0.78
"""Of its place, how much a column takes."""
_MOST_TICKS_UP = 6
_SECOND, _MINUTE, _HOUR, _DAY = (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d")
_ROUND_DURATIONS = {
    _SECOND: (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    _MINUTE: (1, 2, 5, 10, 20, 30),
    _HOUR: (1, 2, 5, 12),
    _DAY: (1, 2, 5, 10, 30, 100),
}
_DURATIONS = [
    (count * unit_s, f"{count:g} {unit}") for (unit_s, unit), counts in _ROUND_DURATIONS.items() for count in counts
]


@dataclass(frozen=True)
class Tick:
    """A value on an axis: where it lies, and how it is written."""

    place: float
    text: str


@dataclass(frozen=True)
class Column:
    """A filled box; ``words`` are shown when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    look: str
    words: str


@dataclass(frozen=True)
class Dot:
    """One value."""

    x: float
    y: float
    look: str
    words: str


@dataclass(frozen=True)
class Path:
    """A line through ``points``, or, where it is ``filled``, the area within them; as SVG writes points."""

    points: str
    look: str
    filled: bool = False


@dataclass(frozen=True)
class Picture:
    """One drawing.

    Attributes
    ----------
    words
        What it shows, for those who do not see it.
    across, up
        Ticks of its two axes.
    keys
        Looks and their meanings.
    """

    words: str
    across: Sequence[Tick]
    up: Sequence[Tick]
    columns: Sequence[Column] = ()
    dots: Sequence[Dot] = ()
    paths: Sequence[Path] = ()
    keys: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Scale:
    """The axis that goes up: values between its ends, even or logarithmic."""

    lowest: float
    highest: float
    marks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, per cent from the top; beyond the ends, at the end.

        Examples
        --------
        >>> Scale(0.0, 1.0, ()).place(0.25), Scale(1.0, 100.0, (), logarithmic=True).place(10.0)
        (75.0, 50.0)
        """
        values = (self.lowest, self.highest, min(max(value, self.lowest), self.highest))
        low, high, each = (math.log(value) if self.logarithmic else value for value in values)
        return round(100.0 * (high - each) / (high - low), 2)

    @property
    def ticks(self) -> Sequence[Tick]:
        """Its marks, in their places."""
        return [Tick(self.place(value), text) for value, text in self.marks]


def count_scale(largest: float) -> Scale:
    """Return a scale for counts, from 0 to a round number.

    Examples
    --------
    >>> [text for _, text in count_scale(37).marks]
    ['0', '10', '20', '30', '40']
    """
    step = _round_step(max(largest, 4.0) / 4.0)
    steps = math.ceil(max(largest, 1.0) / step)
    return Scale(0.0, steps * step, [(each * step, f"{each * step:,.0f}") for each in range(steps + 1)])


def amount_scale(largest: float, unit: str) -> Scale:
    """Return a scale for amounts of a unit, from 0 to a round number; the number may be a fraction.

    Examples
    --------
    >>> [text for _, text in amount_scale(0.7, "min").marks]
    ['0 min', '0.2 min', '0.4 min', '0.6 min', '0.8 min']
    """
    step = _round_step(max(largest, 1e-3) / 4.0)
    steps = math.ceil(round(max(largest, 1e-3) / step, 6))
    return Scale(0.0, steps * step, [(each * step, f"{each * step:,.4g} {unit}") for each in range(steps + 1)])


def share_scale(largest: float = 1.0) -> Scale:
    """Return a scale for shares, from 0 to a round one that is at most 1.

    Examples
    --------
    >>> [text for _, text in share_scale(0.13).marks]
    ['0 %', '5 %', '10 %', '15 %']
    """
    step = _round_step(max(largest, 0.04) / 4.0) if largest <= 0.8 else 0.25
    steps = math.ceil(round(max(largest, 0.04) / step, 6))
    return Scale(0.0, steps * step, [(each * step, f"{100 * each * step:.3g} %") for each in range(steps + 1)])


def duration_scale(seconds: Sequence[float]) -> Scale:
    """Return a logarithmic scale that holds these durations, between round ones: a second and an hour are both to be seen.

    Examples
    --------
    >>> [text for _, text in duration_scale([2.0, 75.0]).marks]
    ['1 s', '5 s', '20 s', '1 min']
    """
    shortest, longest = min(seconds, default=1.0), max(seconds, default=60.0)
    first = max((index for index, (value, _) in enumerate(_DURATIONS) if value < shortest), default=0)
    last = min((index for index, (value, _) in enumerate(_DURATIONS) if value > longest), default=len(_DURATIONS) - 1)
    marks = _DURATIONS[min(first, len(_DURATIONS) - 2) : max(last, first + 1) + 1]
    step = math.ceil(len(marks) / _MOST_TICKS_UP)
    return Scale(marks[0][0], marks[-1][0], marks[::step], logarithmic=True)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 and their powers of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * 0.999999)


@dataclass(frozen=True)
class Places:
    """The axis that goes across: so many places side by side, each with a name."""

    names: Sequence[str]

    def middle(self, index: int) -> float:
        """Return the middle of a place, per cent from the left."""
        return round(100.0 * (index + 0.5) / len(self.names), 2)

    @property
    def ticks(self) -> Sequence[Tick]:
        """As many names as a phone has room for."""
        step = math.ceil(len(self.names) / _MOST_TICKS_ACROSS)
        return [Tick(self.middle(index), name) for index, name in enumerate(self.names) if index % step == 0]

    def stack(self, index: int, scale: Scale, parts: Sequence[tuple[float, str, str]]) -> Iterator[Column]:
        """Yield one column in a place, of parts from the bottom up: value, look and words of each; no part of 0."""
        width = 100.0 / len(self.names) * _COLUMN_SHARE
        below = 0.0
        for value, look, words in parts:
            if value:
                top, bottom = scale.place(below + value), scale.place(below)
                x = self.middle(index) - width / 2
                yield Column(round(x, 2), top, round(width, 2), round(bottom - top, 2), look, words)
            below += value

    def span(self, index: int, scale: Scale, ends: tuple[float, float], look: str, words: str) -> Column:
        """Return a bar between two values, as narrow as fits in a place."""
        (low, high), width = sorted(ends), min(1.2, 30.0 / len(self.names))
        top, bottom = scale.place(high), scale.place(low)
        x = self.middle(index) - width / 2
        return Column(round(x, 2), top, round(width, 2), round(bottom - top, 2), look, words)

    def line(self, scale: Scale, values: Sequence[float | None], look: str) -> Iterator[Path]:
        """Yield lines through values; one that is None breaks it."""
        for run in _runs([None if value is None else (value, value) for value in values]):
            yield Path(_points((self.middle(index), scale.place(value)) for index, (value, _) in run), look)

    def band(self, scale: Scale, ends: Sequence[tuple[float, float] | None], look: str) -> Iterator[Path]:
        """Yield the areas between lower and upper values; None breaks them."""
        for run in _runs(ends):
            over = [(self.middle(index), scale.place(high)) for index, (_, high) in run]
            under = [(self.middle(index), scale.place(low)) for index, (low, _) in reversed(run)]
            yield Path(_points([*over, *under]), look, filled=True)


Run = Sequence[tuple[int, tuple[float, float]]]


def _runs(values: Sequence[tuple[float, float] | None]) -> Iterator[Run]:
    """Yield what lies between the gaps, with its index."""
    for present, run in groupby(enumerate(values), key=lambda each: each[1] is not None):
        if present:
            yield [(index, value) for index, value in run if value is not None]


def _points(places: Iterator[tuple[float, float]] | Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
