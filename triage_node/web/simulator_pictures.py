"""A simulated queue as pictures, sentences and tables: waiting with and without triage, and the theory beside it.

In: a ``core.simulation_report``. Out: values for ``templates/simulator.html``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triage_node.core.queueing import Kind, Order
from triage_node.web.pictures import Column, Dot, Picture, Places, Tick, amount_scale

KIND_WORDS: Mapping[str, str] = {
    Kind.ALL: "all",
    Kind.FOUND: "found",
    Kind.MISSED: "missed",
    Kind.NOT_BLEEDING: "no bleed",
}
"""The kinds that are drawn, as short as a phone wants them; the tables have every one."""
ORDER_WORDS: Mapping[str, str] = {
    Order.FIRST_COME: "without triage: first come, first read",
    Order.FLAGGED_FIRST: "with triage: flagged first",
    Order.FLAGGED_FIRST_CAPPED: "flagged first, with a waiting cap",
}
_LOOKS: Mapping[str, str] = {
    Order.FIRST_COME: "interval",
    Order.FLAGGED_FIRST: "read",
    Order.FLAGGED_FIRST_CAPPED: "unread",
}

Figures = Mapping[str, Any]


def minutes(value_min: float | None) -> str:
    """Return a waiting in minutes or hours, to about three digits.

    Examples
    --------
    >>> minutes(0.04), minutes(12.34), minutes(123.4), minutes(1234.0), minutes(None)
    ('0.0 min', '12.3 min', '123 min', '20.6 h', '-')
    """
    if value_min is None:
        return "-"
    if value_min >= 600.0:
        return f"{value_min / 60.0:.1f} h"
    return f"{value_min:.1f} min" if value_min < 100.0 else f"{value_min:.0f} min"


def has_interval(figures: Figures) -> bool:
    """Return whether the kind came in more than one run; a mean of a single run has no interval and proves nothing."""
    return figures["upper_95_min"] is not None


@dataclass(frozen=True)
class TheoryCheck:
    """How the simulation stands to the theory, over every figure that has a formula.

    Attributes
    ----------
    figures, within
        How many came in more than one run, and of how many the theory lies within the simulation's 95 % interval.
    largest
        Largest difference, as a share of the theory.
    exact
        Whether the formulas are exact for this load.
    """

    figures: int
    within: int
    largest: float
    exact: bool


class ShownSimulation:
    """A report, and what the page makes of it."""

    def __init__(self, report: Figures) -> None:
        self.load, self.run, self.orders = report["load"], report["run"], report["orders"]
        self._exact = report["theory_is_exact"]
        self._found: dict[tuple[str, str], Figures] = {
            (order["order"], each["kind"]): each for order in self.orders for each in order["kinds"]
        }

    def figures(self, order: str, kind: str) -> Figures:
        """Return the figures of one kind in one order."""
        return self._found[order, kind]

    @property
    def gains(self) -> Sequence[tuple[str, Figures, Figures]]:
        """The kinds that triage is about, with their figures without and with it."""
        kinds = (Kind.FOUND, Kind.MISSED, Kind.NOT_BLEEDING)
        return [
            (kind.capitalize(), self.figures(Order.FIRST_COME, kind), self.figures(Order.FLAGGED_FIRST, kind))
            for kind in kinds
        ]

    @property
    def longest_min(self) -> Sequence[float | None]:
        """The longest waiting of all studies in each order, minutes."""
        return [self.figures(order["order"], Kind.ALL)["max_min"] for order in self.orders]

    @property
    def theory_check(self) -> TheoryCheck | None:
        """The comparison with the theory; None where it has no formula, or nothing came in more than one run."""
        known = [each for each in self._found.values() if has_interval(each) and each["theory_mean_min"]]
        if not known:
            return None
        apart = [abs(each["mean_min"] / each["theory_mean_min"] - 1.0) for each in known]
        within = sum(each["lower_95_min"] <= each["theory_mean_min"] <= each["upper_95_min"] for each in known)
        return TheoryCheck(len(known), within, max(apart), self._exact)

    @property
    def mean_picture(self) -> Picture:
        """Mean waiting of each kind in each order, with that of the theory."""
        return self._picture("mean_min", "Mean waiting", with_theory=True)

    @property
    def longest_picture(self) -> Picture:
        """Longest waiting of each kind in each order."""
        return self._picture("max_min", "Longest waiting", with_theory=False)

    def _picture(self, figure: str, title: str, *, with_theory: bool) -> Picture:
        slots = list(self._slots())
        places = Places([""] * (len(KIND_WORDS) * self._slots_a_kind))
        theory_min = {
            index: each["theory_mean_min"] for index, _, each in slots if with_theory and each["theory_mean_min"]
        }
        scale = amount_scale(max([*theory_min.values(), *(each[figure] or 0.0 for _, _, each in slots)]), "min")
        columns: list[Column] = []
        for index, order, each in slots:
            words = f"{Kind(each['kind']).capitalize()}, {ORDER_WORDS[order]}: {minutes(each[figure])}"
            columns += places.stack(index, scale, [(each[figure] or 0.0, _LOOKS[order], words)])
        keys = [(_LOOKS[order["order"]], ORDER_WORDS[order["order"]]) for order in self.orders]
        return Picture(
            words=f"Columns: {title.lower()}. {self._told(figure)} The table has every value.",
            across=list(self._kind_ticks(places)),
            up=scale.ticks,
            columns=columns,
            dots=[
                Dot(places.middle(index), scale.place(value), "theory", f"theory: {minutes(value)}")
                for index, value in theory_min.items()
            ],
            keys=[*keys, ("dot theory", "queueing theory")] if theory_min else keys,
        )

    @property
    def _slots_a_kind(self) -> int:
        """One for each order, and one that stays free."""
        return len(self.orders) + 1

    def _slots(self) -> Iterator[tuple[int, str, Figures]]:
        """Yield the place of each column, its order of reading, and its figures."""
        for group, kind in enumerate(KIND_WORDS):
            for position, order in enumerate(self.orders):
                yield group * self._slots_a_kind + position, order["order"], self.figures(order["order"], kind)

    def _kind_ticks(self, places: Places) -> Iterator[Tick]:
        for group, words in enumerate(KIND_WORDS.values()):
            ends = (group * self._slots_a_kind, (group + 1) * self._slots_a_kind - 2)
            yield Tick(round(sum(places.middle(each) for each in ends) / 2, 2), words)

    def _told(self, figure: str) -> str:
        def of_kind(kind: str) -> Sequence[str]:
            return [
                f"{minutes(self.figures(order['order'], kind)[figure])} {ORDER_WORDS[order['order']]}"
                for order in self.orders
            ]

        return " ".join(f"{Kind(kind).capitalize()}: {', '.join(of_kind(kind))}." for kind in KIND_WORDS)
