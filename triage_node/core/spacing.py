"""Whether slices are missing from a stack, told from the distances alone.

In: distances of neighbouring slices and their thicknesses. Out: a refusal that names the gaps, or None. What must pass: a
posterior fossa of 2.5 mm below a supratentorial part of 5 or 8 mm, the short step where two such parts meet (a GE HiSpeed
writes 4.00, 1.08, 7.00 mm), overlapping and thin reconstructions. What must not: a slice lost on the way, in any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from statistics import median

from triage_node.core.reason import Reason, Refusal

MISSING_FACTOR = 1.4
"""A distance this much above the distances beside it is a hole: one lost slice makes 2.0, rounding makes less than 1.2."""

UNIFORM_HOLE_FACTOR = 1.9
"""Slices all this many thicknesses apart: every second one was lost. Skipping protocols (5 mm every 8 mm) make 1.6."""

_NEIGHBOURS = 3
_SHORTEST_ZONE = 3
_SAME_SPACING_MM = 0.25
_SAME_SPACING_SHARE = 0.1
_ODD_SHARE = 0.2
_ODD_COUNT = 3

Thickness = float | None


def spacing_refusal(gaps_mm: Sequence[float], thicknesses_mm: Sequence[Thickness]) -> Refusal | None:
    """Judge the distances of a stack.

    Parameters
    ----------
    gaps_mm : (slices - 1,), distances of neighbours from inferior to superior
    thicknesses_mm : (slices,), None where unknown

    Examples
    --------
    >>> spacing_refusal([2.5] * 8 + [5.0] * 12, [2.5] * 9 + [5.0] * 12) is None
    True
    >>> spacing_refusal([5.0] * 8 + [10.0] + [5.0] * 12, [5.0] * 22)
    Refusal(reason=<Reason.MISSING_SLICES: 'MISSING_SLICES'>, detail='1 gap: 10.0 mm after slice 9, where 5.0 mm is due')
    """
    holes = _holes(gaps_mm, thicknesses_mm)
    if holes:
        index, due_mm = holes[0]
        counted = "1 gap" if len(holes) == 1 else f"{len(holes)} gaps, the first"
        detail = f"{counted}: {gaps_mm[index]:.1f} mm after slice {index + 1}, where {due_mm:.1f} mm is due"
        return Refusal(Reason.MISSING_SLICES, detail)
    odd = len(gaps_mm) - sum(len(zone) for zone in _zones(gaps_mm))
    if odd > max(_ODD_COUNT, _ODD_SHARE * len(gaps_mm)):
        detail = (
            f"{odd} of {len(gaps_mm)} distances fit no steady spacing ({min(gaps_mm):.2f} to {max(gaps_mm):.2f} mm)"
        )
        return Refusal(Reason.IRREGULAR_SPACING, detail)
    return None


def _holes(gaps_mm: Sequence[float], thicknesses_mm: Sequence[Thickness]) -> list[tuple[int, float]]:
    """Return the index of each gap too large, with what is due there (mm)."""
    holes = {
        index: due for index in range(len(gaps_mm)) if (due := _due_if_hole(index, gaps_mm, thicknesses_mm)) is not None
    }
    for before, zone, after in _neighbouring_zones(_zones(gaps_mm)):
        due = max(gaps_mm[before[0]], gaps_mm[after[0]])
        thickest = max((thicknesses_mm[index] or 0.0 for index in zone), default=0.0)
        if gaps_mm[zone[0]] > MISSING_FACTOR * max(due, thickest):
            holes |= dict.fromkeys(zone, due)
    known = [each for each in thicknesses_mm if each]
    zones = _zones(gaps_mm)
    if (
        known
        and len(zones) == 1
        and len(zones[0]) == len(gaps_mm)
        and min(gaps_mm) >= UNIFORM_HOLE_FACTOR * median(known)
    ):
        holes |= dict.fromkeys(range(len(gaps_mm)), float(median(known)))
    return sorted(holes.items())


def _due_if_hole(index: int, gaps_mm: Sequence[float], thicknesses_mm: Sequence[Thickness]) -> float | None:
    """Return what is due where one gap is too large for its neighbours, else None.

    Neighbours are the nearest gaps on either side; between slices of one thickness only gaps between slices of that
    thickness count, because a thick-sliced part beside it may be spaced more widely.
    """
    below, above = thicknesses_mm[index], thicknesses_mm[index + 1]
    left, right = range(index - 1, -1, -1), range(index + 1, len(gaps_mm))
    alike = [
        _nearest(way, gaps_mm, lambda other: thicknesses_mm[other] == thicknesses_mm[other + 1] == below)
        for way in (left, right)
    ]
    if below != above or not any(alike):
        alike = [_nearest(way, gaps_mm, lambda _: True) for way in (left, right)]
    sides = [median(side) for side in alike if side]
    if not sides:
        return None
    due = max(sides)
    if below != above:
        due = max(due, below or 0.0, above or 0.0)
    return due if gaps_mm[index] > MISSING_FACTOR * due else None


def _nearest(way: range, gaps_mm: Sequence[float], fits: Callable[[int], bool]) -> list[float]:
    """Return the first few gaps on the way that fit."""
    return [gaps_mm[other] for other in islice(filter(fits, way), _NEIGHBOURS)]


def _zones(gaps_mm: Sequence[float]) -> list[range]:
    """Return runs of at least three steady distances, as ranges of gap indices."""
    zones, start = [], 0
    for index in range(1, len(gaps_mm) + 1):
        if index < len(gaps_mm) and _same(gaps_mm[start], gaps_mm[index]):
            continue
        if index - start >= _SHORTEST_ZONE:
            zones.append(range(start, index))
        start = index
    return zones


def _neighbouring_zones(zones: Sequence[range]) -> list[tuple[range, range, range]]:
    return [(first, second, third) for (first, second), (_, third) in pairwise(pairwise(zones))]


def _same(one_mm: float, other_mm: float) -> bool:
    return abs(one_mm - other_mm) <= max(_SAME_SPACING_MM, _SAME_SPACING_SHARE * max(one_mm, other_mm))
