"""The process that browsers and programs talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triage_node import logs
from triage_node.settings import Settings
from triage_node.wiring.database import accounts, audit_trail, drift_watch, reader_tasks, repository
from triage_node.wiring.installation import SystemClock, version
from triage_node.wiring.path import heart
from triage_node.wiring.reading import slice_images

if TYPE_CHECKING:
    from triage_node.web.parts import WebParts


def web_parts(settings: Settings) -> WebParts:
    """Join what the pages stand on."""
    from triage_node.web.health import check
    from triage_node.web.parts import WebParts

    source, clock = repository(settings), SystemClock()
    return WebParts(
        version=version(),
        clock=clock,
        health=lambda: check(source, settings.spool_dir, clock.now()),
        visitors=accounts(settings),
        audit=audit_trail(settings),
        reader_tasks=reader_tasks(settings),
        studies=source,
        images=slice_images(settings),
        drift_totals=drift_watch(settings).totals,
    )


def run_web(settings: Settings, supervisor: int | None = None) -> None:
    """Run the web server until SIGTERM."""
    logs.configure("web", settings.log_level, settings.log_format)
    import uvicorn

    from triage_node.web.app import make_app

    app = make_app(web_parts(settings))
    heart(settings, "web", supervisor, port=settings.http_port)
    uvicorn.run(app, host=settings.http_host, port=settings.http_port, log_level="warning", access_log=False)
