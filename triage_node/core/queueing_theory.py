"""Mean waiting in a reading queue where it can be worked out: Erlang, Pollaczek and Khinchine, Cobham.

The formulas want Poisson arrivals at one rate, and orders that do not look at how long a reading will take. With one reader
they are exact for every reading time, with several for an exponential one; else the mean of M/M/c is scaled by
(1 + c_v^2) / 2 (Allen and Cunneen), an approximation. A waiting cap has no such formula.
"""

from __future__ import annotations

from collections.abc import Mapping

from triage_node.core.queueing import Distribution, Kind, Order, ReadingLoad


def erlang_c(offered_load: float, readers: int) -> float:
    """Return the probability that an arriving study has to wait in M/M/c.

    Parameters
    ----------
    offered_load : erlang
        Arrivals in the time that one reading takes; below ``readers``.

    Examples
    --------
    >>> erlang_c(0.5, 1)
    0.5
    >>> round(erlang_c(2.0, 3), 4)
    0.4444
    """
    blocked = 1.0  # Erlang B, by its recursion over the readers
    for count in range(1, readers + 1):
        blocked = offered_load * blocked / (count + offered_load * blocked)
    return blocked / (1.0 - offered_load / readers * (1.0 - blocked))


def mean_wait_first_come_min(load: ReadingLoad) -> float:
    """Return the mean waiting in the order of arrival, minutes: M/M/c by Erlang C, M/G/1 by Pollaczek and Khinchine.

    Examples
    --------
    >>> load = ReadingLoad(3.0, 10.0, prevalence=0.1, sensitivity=0.9, specificity=0.9)
    >>> round(mean_wait_first_come_min(load), 6)
    10.0
    """
    waits = erlang_c(load.utilisation * load.readers, load.readers)
    exponential_min = waits * load.reading_time_min / (load.readers * (1.0 - load.utilisation))
    return exponential_min * (1.0 + load.squared_cv) / 2.0


def is_exact(load: ReadingLoad) -> bool:
    """Whether the formulas hold exactly for a load; where arrivals follow the hour of the day none does."""
    return load.hourly_weights is None and (load.readers == 1 or load.distribution is Distribution.EXPONENTIAL)


def mean_wait_min(load: ReadingLoad, order: Order) -> Mapping[Kind, float] | None:
    """Return the mean waiting of each kind of study, minutes; None where there is no formula.

    Flagged first is Cobham's non-preemptive priority (Oper Res 1954;2:70-76): with the mean W in the order of arrival, load r
    and load of the flagged r1, the flagged wait W (1 - r) / (1 - r1) and the others W / (1 - r1). Whatever the order, the
    mean over all is W, because it does not look at reading times (conservation law, Kleinrock 1965).

    Examples
    --------
    >>> load = ReadingLoad(3.0, 10.0, prevalence=0.5, sensitivity=1.0, specificity=1.0)
    >>> waiting = mean_wait_min(load, Order.FLAGGED_FIRST)
    >>> round(waiting[Kind.FOUND], 2), round(waiting[Kind.NOT_BLEEDING], 2), round(waiting[Kind.ALL], 2)
    (6.67, 13.33, 10.0)
    """
    if load.hourly_weights is not None or order is Order.FLAGGED_FIRST_CAPPED:
        return None
    overall = mean_wait_first_come_min(load)
    if order is Order.FIRST_COME:
        return dict.fromkeys(Kind, overall)
    flagged_load = load.utilisation * load.flagged_share
    flagged = overall * (1.0 - load.utilisation) / (1.0 - flagged_load)
    unflagged = overall / (1.0 - flagged_load)
    return {
        Kind.ALL: overall,
        Kind.BLEEDING: load.sensitivity * flagged + (1.0 - load.sensitivity) * unflagged,
        Kind.FOUND: flagged,
        Kind.MISSED: unflagged,
        Kind.NOT_BLEEDING: (1.0 - load.specificity) * flagged + load.specificity * unflagged,
    }
