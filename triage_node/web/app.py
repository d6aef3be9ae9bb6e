"""The web application: pages for people, the API for programs, probes for machines, metrics for Prometheus.

In: its parts. Out: an application whose routes each name the permission they need; only probes, metrics, the health page and
signing in are open to everyone, and none of those carries a patient.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from triage_node.web import health_page, images
from triage_node.web.parts import WebParts


def make_app(parts: WebParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="triage_node", version=parts.version, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.parts = parts
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    for routes in (health_page.routes(parts), images.routes(parts)):
        app.include_router(routes)
    return app
