"""Worker, courier and beat."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from triage_node import logs
from triage_node.core.errors import ConfigurationRejected
from triage_node.settings import Settings
from triage_node.wiring.database import drift_watch
from triage_node.wiring.escalation import escalation_path
from triage_node.wiring.forwarding import commitment_scu, senders
from triage_node.wiring.path import heart, study_path
from triage_node.wiring.reading import cascade, evidence_writer, shadow_path, volume_reader


def run_worker(settings: Settings, supervisor: int | None = None) -> None:
    """Run a worker with the model resident until SIGTERM."""
    logs.configure("worker", settings.log_level, settings.log_format)
    from triage_node.pipeline.steps import ReadingPath
    from triage_node.pipeline.tasks import CLASSIFY, CeleryBell, add_reading, make_app

    model = cascade(settings)
    app = make_app(broker_url(settings))
    path = study_path(settings, CeleryBell(app))
    writer = evidence_writer(settings)
    reading = ReadingPath(path, volume_reader(), model, writer, shadow_path(settings, path))
    add_reading(app, reading.read, reading.report_not_analysed)
    detail = {"device": str(model.device), "release": model.release.name}
    _run_celery(app, settings, "worker", supervisor, detail, queues=[CLASSIFY], pool="solo", concurrency=1)


def run_courier(settings: Settings, supervisor: int | None = None) -> None:
    """Run a courier until SIGTERM: it forwards evidence, closes quiet series and rings for due work."""
    logs.configure("courier", settings.log_level, settings.log_format)
    from triage_node.pipeline.commitments import CommitmentPath
    from triage_node.pipeline.drift_watch import watch_drift
    from triage_node.pipeline.lanes import Lanes, lane_width
    from triage_node.pipeline.outbox import ForwardingPath
    from triage_node.pipeline.tasks import (
        FORWARD,
        HOUSEKEEPING,
        CeleryBell,
        add_drift_watch,
        add_escalation,
        add_forwarding,
        make_app,
    )

    app = make_app(broker_url(settings))
    path = study_path(settings, CeleryBell(app))
    names = [each.name for each in settings.every_destination]
    threads = max(settings.courier_threads, len(names) + 2)  # every destination its lane, and housekeeping beside them
    commitments = CommitmentPath(path, commitment_scu(settings))
    forwarding = ForwardingPath(path, senders(settings), commitments, Lanes(lane_width(threads, len(names))))
    add_forwarding(app, forwarding.forward, path.close_ready, path.ring_due)
    charts = drift_watch(settings)

    def watch() -> None:  # Celery takes no lambda: it builds source text from the name
        watch_drift(charts, path.clock)

    add_drift_watch(app, watch)
    add_escalation(app, escalation_path(settings).round)
    detail = {"destinations": ", ".join(names) or "none"}
    queues = [FORWARD, HOUSEKEEPING]
    _run_celery(app, settings, "courier", supervisor, detail, queues=queues, pool="threads", concurrency=threads)


def run_beat(settings: Settings, supervisor: int | None = None) -> None:
    """Run the clock until SIGTERM."""
    logs.configure("beat", settings.log_level, settings.log_format)
    from triage_node.pipeline.schedule import add_schedule
    from triage_node.pipeline.tasks import make_app

    app = make_app(broker_url(settings))
    add_schedule(app)
    heart(settings, "beat", supervisor)
    app.Beat(loglevel="WARNING", quiet=True).run()


def broker_url(settings: Settings) -> str:
    """Return the Redis URL of a process that runs by itself.

    Raises
    ------
    ConfigurationRejected
        There is none: only ``up`` brings a Redis of its own.
    """
    if settings.redis_url is None:
        raise ConfigurationRejected(
            "set redis_url (TRIAGE_REDIS_URL), for example redis://127.0.0.1:6379/0, or run `up`"
        )
    return settings.redis_url


def _run_celery(
    app: Any,
    settings: Settings,
    name: str,
    supervisor: int | None,
    detail: Mapping[str, Any],
    *,
    queues: list[str],
    **pool: Any,
) -> None:
    from celery import signals

    signals.worker_ready.connect(lambda **_: heart(settings, name, supervisor, **detail), weak=False)
    hostname = f"{name}-{os.getpid()}@{socket.gethostname()}"
    worker = app.Worker(
        queues=queues,
        hostname=hostname,
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        **pool,
    )
    worker.start()
