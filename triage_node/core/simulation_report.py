"""A simulated reading queue as plain JSON values, with the theory beside: for the command and for the page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from triage_node.core.measured_rates import MeasuredRates
from triage_node.core.queueing import Kind, Order, ReadingLoad, Run, Waiting
from triage_node.core.queueing_theory import is_exact, mean_wait_min


def simulation_report(
    load: ReadingLoad,
    run: Run,
    waiting: Mapping[Order, Mapping[Kind, Waiting | None]],
    *,
    measured: MeasuredRates | None,
    waiting_cap_min: float | None,
) -> dict[str, Any]:
    """Return what was simulated, and for each order and kind the waiting with its mean in theory (None: no formula).

    The ends of the interval are None for a kind that came in one run only: a single mean has none.
    ``measured`` is where sensitivity or specificity come from, where nobody gave them.
    """
    return {
        "load": dataclasses.asdict(load) | {"utilisation": load.utilisation, "flagged_share": load.flagged_share},
        "run": dataclasses.asdict(run),
        "waiting_cap_min": waiting_cap_min,
        "measured": dataclasses.asdict(measured) if measured else None,
        "theory_is_exact": is_exact(load),
        "orders": [
            {
                "order": order.value,
                "kinds": [_kind(load, order, kind, kinds[kind]) for kind in Kind],
            }
            for order, kinds in waiting.items()
        ],
    }


def _kind(load: ReadingLoad, order: Order, kind: Kind, waiting: Waiting | None) -> dict[str, Any]:
    theory = mean_wait_min(load, order)
    simulated = dataclasses.asdict(waiting) if waiting else dict.fromkeys(_FIGURES)
    if waiting and math.isinf(waiting.upper_95_min):  # JSON has no infinity (RFC 8259 6)
        simulated |= {"lower_95_min": None, "upper_95_min": None}
    return {"kind": kind.value, **simulated, "theory_mean_min": theory[kind] if theory else None}


_FIGURES = tuple(each.name for each in dataclasses.fields(Waiting))
