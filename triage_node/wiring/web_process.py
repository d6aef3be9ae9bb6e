"""The process that browsers talk to."""

from __future__ import annotations

from triage_node import logs
from triage_node.settings import Settings
from triage_node.wiring.database import drift_watch, repository
from triage_node.wiring.installation import SystemClock, version
from triage_node.wiring.path import heart


def run_web(settings: Settings, supervisor: int | None = None) -> None:
    """Run the web server until SIGTERM."""
    logs.configure("web", settings.log_level, settings.log_format)
    import uvicorn

    from triage_node.web.app import make_app
    from triage_node.web.health import check

    source, clock = repository(settings), SystemClock()
    app = make_app(
        lambda: check(source, settings.spool_dir, clock.now()), version(), drift_totals=drift_watch(settings).totals
    )
    heart(settings, "web", supervisor, port=settings.http_port)
    uvicorn.run(app, host=settings.http_host, port=settings.http_port, log_level="warning", access_log=False)
