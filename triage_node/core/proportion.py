"""A share of a count with its uncertainty, so that no page shows one without the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Proportion:
    """``hits`` of ``count``.

    Examples
    --------
    >>> share = Proportion(19, 20)
    >>> share.value, round(share.lower_95, 3), round(share.upper_95, 3)
    (0.95, 0.764, 0.991)
    >>> Proportion(0, 0).value is None
    True
    """

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.hits / self.count if self.count else None

    @property
    def lower_95(self) -> float | None:
        """Lower end of Wilson's score interval at 95 % (J Am Stat Assoc 1927;22:209-212)."""
        return None if not self.count else max(0.0, self._centre - self._half_width)

    @property
    def upper_95(self) -> float | None:
        """Its upper end."""
        return None if not self.count else min(1.0, self._centre + self._half_width)

    @property
    def _centre(self) -> float:
        return (self.hits + _Z**2 / 2) / (self.count + _Z**2)

    @property
    def _half_width(self) -> float:
        share = self.hits / self.count
        return _Z * math.sqrt(share * (1 - share) * self.count + _Z**2 / 4) / (self.count + _Z**2)

    def as_json(self) -> dict[str, float | int | None]:
        """Return it as plain JSON values."""
        return {
            "value": self.value,
            "lower_95": self.lower_95,
            "upper_95": self.upper_95,
            "hits": self.hits,
            "count": self.count,
        }


def share_text(share: Mapping[str, Any], *, counts: bool = True) -> str:
    """Return a share, given as its plain JSON values, with its interval and, where they do not stand beside it, counts.

    Examples
    --------
    >>> share_text(Proportion(1, 2).as_json())
    '50 % (9 to 91 %, 1 of 2)'
    >>> share_text(Proportion(1, 2).as_json(), counts=False)
    '50 % (9 to 91 %)'
    """
    if share["value"] is None:
        return "-"
    value, lower, upper = (f"{100 * share[name]:.0f}" for name in ("value", "lower_95", "upper_95"))
    of_count = f", {share['hits']} of {share['count']}" if counts else ""
    return f"{value} % ({lower} to {upper} %{of_count})"
