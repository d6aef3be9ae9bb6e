"""The process that browsers and programs talk to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from triage_node import logs
from triage_node.settings import Settings
from triage_node.wiring.database import audit_trail, drift_watch, reader_tasks, repository, statistics, worklist
from triage_node.wiring.installation import SystemClock, measured_rates, version
from triage_node.wiring.path import heart
from triage_node.wiring.reading import slice_images
from triage_node.wiring.sign_in import account_parts, accounts, known_hosts

ANSWERS_END_WITHIN_S = 2
"""Streams of open worklists end as soon as the process is to end; what is still being answered after this is cut off."""

if TYPE_CHECKING:
    from triage_node.web.parts import WebParts


def web_parts(settings: Settings) -> WebParts:
    """Join what the pages stand on."""
    from triage_node.web.health import check
    from triage_node.web.parts import WebParts

    source, clock, sign_ins = repository(settings), SystemClock(), accounts(settings)
    return WebParts(
        version=version(),
        clock=clock,
        health=lambda: check(source, settings.spool_dir, clock.now()),
        visitors=sign_ins,
        audit=audit_trail(settings),
        reader_tasks=reader_tasks(settings),
        studies=source,
        images=slice_images(settings),
        worklist=worklist(settings),
        worklist_days=settings.worklist_days,
        statistics=statistics(settings),
        measured_rates=lambda: measured_rates(settings),
        drift_totals=drift_watch(settings).totals,
        accounts=account_parts(settings, sign_ins),
        known_hosts=known_hosts(settings),
    )


def run_web(settings: Settings, supervisor: int | None = None) -> None:
    """Run the web server until SIGTERM."""
    logs.configure("web", settings.log_level, settings.log_format)
    import uvicorn

    from triage_node.web.app import make_app

    server: uvicorn.Server
    app = make_app(replace(web_parts(settings), ending=lambda: server.should_exit))
    heart(settings, "web", supervisor, port=settings.http_port)
    configured = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=ANSWERS_END_WITHIN_S,
        # Without a proxy that is trusted, nobody says from elsewhere who he is: uvicorn's default believes loopback.
        proxy_headers=bool(settings.http_trusted_proxies),
        forwarded_allow_ips=list(settings.http_trusted_proxies),
        ssl_certfile=settings.http_tls_certificate,
        ssl_keyfile=settings.http_tls_key,
    )
    server = uvicorn.Server(configured)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(1)  # uvicorn has said why
