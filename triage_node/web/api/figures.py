"""The statistics, and the scanners that fell silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from triage_node.core.access import Permission, Visitor
from triage_node.core.ports import LONGEST_WINDOW, Statistics, Window
from triage_node.web.api.entity import Moment, entity
from triage_node.web.api.figure_models import ScannerList, StatisticsReport
from triage_node.web.parts import WebParts
from triage_node.web.visitors import require

MaySeeStatistics = Annotated[Visitor, Depends(require(Permission.SEE_STATISTICS))]


class StatisticsQuery(BaseModel):
    """Which window of time."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(28, ge=1, le=LONGEST_WINDOW.days, description="How many days it lasts.")
    until: Moment | None = Field(None, description="Its end, itself not included; now by default.")


def routes(parts: WebParts, source: Statistics) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1", tags=["Statistics"])

    @router.get("/statistics", response_model=StatisticsReport, summary="Figures over a window of time")
    def statistics(request: Request, visitor: MaySeeStatistics, query: Annotated[StatisticsQuery, Query()]) -> Response:
        """As on the page of statistics. Sensitivity from feedback counts only findings that a reader judged."""
        until = query.until or parts.clock.now()
        found = source.statistics(Window(until - timedelta(days=query.days), until))
        return entity(request, StatisticsReport.model_validate(found))

    @router.get("/scanners", response_model=ScannerList, summary="Scanners, the silent ones first")
    def scanners(request: Request, visitor: MaySeeStatistics) -> Response:
        """How often each sent in the last 28 days, and whether it has been silent for longer than is usual for it."""
        found = [each.as_json() for each in source.scanners(parts.clock.now())]
        return entity(request, ScannerList.model_validate({"scanners": found}))

    return router
