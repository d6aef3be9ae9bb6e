"""Health page, probes and metrics: open to everyone who can reach the port, and without a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from triage_node.core.drift import DriftTotals
from triage_node.core.scanner_silence import ScannerSilence
from triage_node.web.drift_metrics import DriftCollector
from triage_node.web.health import Health
from triage_node.web.pages import page
from triage_node.web.parts import WebParts
from triage_node.web.scanner_metrics import RecentSilences, SilenceCollector


def routes(parts: WebParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    silences = RecentSilences(parts.statistics, parts.clock) if parts.statistics else None

    @router.get("/health", response_class=HTMLResponse)
    def health(request: Request) -> Response:
        return page(request, "health.html", health=parts.health())

    @router.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/health/ready")
    def ready() -> JSONResponse:
        found = parts.health()
        body: dict[str, Any] = jsonable_encoder(asdict(found))
        return JSONResponse(body, status_code=200 if found.ready else 503)

    @router.get("/metrics")
    def metrics() -> Response:
        totals = parts.drift_totals() if parts.drift_totals else None
        scanners = silences() if silences else ()
        return Response(_metrics(parts.health(), totals, scanners), media_type=CONTENT_TYPE_LATEST)

    return router


def _metrics(health: Health, totals: DriftTotals | None, scanners: Sequence[ScannerSilence]) -> bytes:
    registry = CollectorRegistry()
    registry.register(SilenceCollector(scanners))
    if totals is not None:
        registry.register(DriftCollector(totals))
    studies = Gauge("triage_node_studies", "Studies by state.", ["state"], registry=registry)
    for state, count in health.studies.items():
        studies.labels(state).set(count)
    processes = Gauge("triage_node_processes", "Live processes by name.", ["name"], registry=registry)
    for process in health.processes:
        processes.labels(process.name).inc()
    Gauge("triage_node_spool_free_bytes", "Free space for the spool, bytes.", registry=registry).set(health.free_bytes)
    Gauge("triage_node_ready", "1 where every kind of process is alive.", registry=registry).set(health.ready)
    return generate_latest(registry)
