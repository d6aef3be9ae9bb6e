"""The web application: pages for people, the API for programs, probes for machines, metrics for Prometheus.

In: its parts. Out: an application whose routes each name the permission they need; only probes, metrics, the health page and
signing in are open to everyone, and none of those carries a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles

from triage_node.web import (
    account_page,
    audit_page,
    error_pages,
    health_page,
    images,
    provider_sign_in,
    sign_in,
    simulator_page,
    statistics_page,
    study_actions,
    study_page,
    users_page,
    worklist_page,
)
from triage_node.web.api import figures, operations, reading, reference_page, series, studies
from triage_node.web.parts import WebParts
from triage_node.web.protection import KnownHosts, LimitedBody, ProtectedHeaders

_PAGES = (worklist_page, health_page, audit_page, study_page, study_actions, images)


def make_app(parts: WebParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="triage_node", version=parts.version, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.parts = parts
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    for routes in _all_routes(parts):
        app.include_router(routes)
    error_pages.install(app)
    app.add_middleware(LimitedBody, answer=error_pages.answer)
    app.add_middleware(KnownHosts, known=parts.known_hosts, answer=error_pages.answer)
    app.add_middleware(ProtectedHeaders)  # the last one is the outermost: it sees every answer
    return app


def _all_routes(parts: WebParts) -> Iterator[APIRouter]:
    yield from (part.routes(parts) for part in _PAGES)
    if parts.statistics is not None:
        yield statistics_page.routes(parts, parts.statistics)
        yield simulator_page.routes(parts, parts.statistics)
    yield from _account_routes(parts)
    yield from _api_routes(parts)


def _api_routes(parts: WebParts) -> list[APIRouter]:
    described = [part.routes(parts) for part in (studies, series, reading, operations)]
    if parts.statistics is not None:
        described.append(figures.routes(parts, parts.statistics))
    if parts.accounts is not None:
        described.append(operations.account_routes(parts.accounts))
    return [*described, reference_page.routes(described, parts.version)]


def _account_routes(parts: WebParts) -> Iterator[APIRouter]:
    if parts.accounts is None:
        return
    for part in (sign_in, account_page, users_page):
        yield part.routes(parts, parts.accounts)
    if parts.accounts.provider is not None:
        yield provider_sign_in.routes(parts, parts.accounts, parts.accounts.provider)
