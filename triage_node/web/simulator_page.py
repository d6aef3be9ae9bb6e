"""The waiting-time simulator for people: what a flag does to the reading queue, before anybody relies on it.

A simulation takes a second or two of one processor at most, one runs at a time, and the last ones are kept: studies, workers and
other pages share the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from threading import BoundedSemaphore, Lock
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from triage_node.core.access import Permission, Visitor
from triage_node.core.ports import Statistics, Window
from triage_node.core.queueing import Kind, Order, Waiting, simulate
from triage_node.core.reading_times import Distribution
from triage_node.core.simulation_report import simulation_report
from triage_node.web.pages import page
from triage_node.web.parts import WebParts
from triage_node.web.simulator_form import MEASURED_OVER, Simulation, first_form
from triage_node.web.simulator_pictures import ORDER_WORDS, ShownSimulation, has_interval, minutes
from triage_node.web.visitors import require

_WORDS: dict[str, Any] = {"minutes": minutes, "has_interval": has_interval, "order_words": ORDER_WORDS}
KEPT_SIMULATIONS = 32
WAITS_FOR_ANOTHER_S = 5.0
MOST_WAITING = 4
"""Whoever waits for another holds one of the forty threads that answer every page."""

MaySeeStatistics = Annotated[Visitor, Depends(require(Permission.SEE_STATISTICS))]


class Simulator:
    """Runs one simulation at a time and keeps the last ones; the same request is the same studies."""

    def __init__(self) -> None:
        self._running = Lock()
        self._places = BoundedSemaphore(1 + MOST_WAITING)
        self._waiting = lru_cache(KEPT_SIMULATIONS)(self._simulated)

    def report(self, asked: Simulation) -> Mapping[str, Any]:
        """Return the ``core.simulation_report``.

        Raises
        ------
        HTTPException
            503: others are simulating.
        """
        cap_min = asked.waiting_cap_min
        return simulation_report(asked.load, asked.run, self._waiting(asked), measured=None, waiting_cap_min=cap_min)

    def _simulated(self, asked: Simulation) -> Mapping[Order, Mapping[Kind, Waiting | None]]:
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=WAITS_FOR_ANOTHER_S):
                raise _busy()
            try:
                return simulate(asked.load, asked.run, waiting_cap_min=asked.waiting_cap_min)
            finally:
                self._running.release()
        finally:
            self._places.release()


def _busy() -> HTTPException:
    return HTTPException(503, "somebody else is simulating", headers={"Retry-After": "5"})


def routes(parts: WebParts, source: Statistics) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    simulator = Simulator()

    @router.get("/simulator", response_class=HTMLResponse)
    def show(request: Request, visitor: MaySeeStatistics) -> Response:
        now = parts.clock.now()
        first = first_form(source.load(Window(now - MEASURED_OVER, now)), parts.measured_rates())
        form, asked = first.filled(request.query_params).simulation()
        shown: dict[str, Any] = {"form": form, "distributions": list(Distribution), **_WORDS}
        if asked is None:
            return page(request, "simulator.html", status_code=400, **shown)
        return page(request, "simulator.html", simulated=ShownSimulation(simulator.report(asked)), **shown)

    return router
