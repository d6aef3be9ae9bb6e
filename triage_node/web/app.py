"""The web application: health page for people, probes for machines, metrics for Prometheus.

Pages carry no patient and need no sign-in; by default the server listens on loopback alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.templating import Jinja2Templates
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from triage_node.core.drift import DriftTotals
from triage_node.web.drift_metrics import DriftCollector
from triage_node.web.health import Health

_TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")


def make_app(
    health: Callable[[], Health], version: str, *, drift_totals: Callable[[], DriftTotals] | None = None
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    health
        Called for each request.
    version
        Shown on the page.
    drift_totals
        Called for each scrape of the metrics; without it they say nothing of readings.
    """
    app = FastAPI(title="triage_node", version=version, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/", response_class=HTMLResponse)
    def page(request: Request) -> Response:
        return _TEMPLATES.TemplateResponse(request, "health.html", {"health": health(), "version": version})

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    def ready() -> JSONResponse:
        found = health()
        body: dict[str, Any] = jsonable_encoder(asdict(found))
        return JSONResponse(body, status_code=200 if found.ready else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(_metrics(health(), drift_totals() if drift_totals else None), media_type=CONTENT_TYPE_LATEST)

    return app


def _metrics(health: Health, totals: DriftTotals | None) -> bytes:
    registry = CollectorRegistry()
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
