"""The Celery application: one task a step, one line each. Messages are JSON and carry ids only; SQL is the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

CLASSIFY, FORWARD, HOUSEKEEPING = "classify", "forward", "housekeeping"
READ_TASK, FORWARD_TASK = "triage_node.read", "triage_node.forward"
REPORT_TASK = "triage_node.report_not_analysed"
CLOSE_TASK, RING_TASK, DRIFT_TASK = "triage_node.close_ready", "triage_node.ring_due", "triage_node.watch_drift"
ESCALATE_TASK = "triage_node.escalate"
ROUTES = {
    READ_TASK: {"queue": CLASSIFY},
    REPORT_TASK: {"queue": CLASSIFY},
    FORWARD_TASK: {"queue": FORWARD},
    CLOSE_TASK: {"queue": HOUSEKEEPING},
    RING_TASK: {"queue": HOUSEKEEPING},
    DRIFT_TASK: {"queue": HOUSEKEEPING},
    ESCALATE_TASK: {"queue": HOUSEKEEPING},
}


def make_app(broker_url: str) -> Celery:
    """Return an application without tasks: enough to send, and the base of every worker.

    Late acknowledgement with prefetch 1: a task whose worker dies goes back to the queue. No result backend: results are rows.
    """
    app = Celery("triage_node", broker=broker_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 10, "visibility_timeout": 3600},
        task_routes=ROUTES,
        timezone="UTC",
        enable_utc=True,
    )
    return app


REPEAT_AFTER_S = 15.0
"""The same bell is not rung again sooner, or a long queue would grow by one message a series at every tick."""


@dataclass(frozen=True)
class CeleryBell:
    """Rings by sending a task. Where Redis is away it stays silent: beat rings again from SQL."""

    app: Celery
    _rung: dict[tuple[str, int, int | str], float] = field(default_factory=dict)

    def read(self, series_id: int, revision: int) -> None:
        """Wake a worker for one series."""
        self._send(READ_TASK, series_id, revision)

    def report_not_analysed(self, series_id: int, revision: int) -> None:
        """Wake a worker for the report on one series."""
        self._send(REPORT_TASK, series_id, revision)

    def forward(self, study_id: int, destination: str) -> None:
        """Wake a courier for one study at one destination."""
        self._send(FORWARD_TASK, study_id, destination, repeat_after_s=1.0)

    def _send(self, task: str, key: int, argument: int | str, repeat_after_s: float = REPEAT_AFTER_S) -> None:
        now = time.monotonic()
        for old in [each for each, rung_at in list(self._rung.items()) if now - rung_at > REPEAT_AFTER_S]:
            self._rung.pop(old, None)
        if now - self._rung.get((task, key, argument), -math.inf) < repeat_after_s:
            return
        self._rung[task, key, argument] = now
        try:
            self.app.send_task(task, args=(key, argument), retry=False)
        except OperationalError as error:
            self._rung.pop((task, key, argument), None)
            log.warning("bell_unheard", task=task, error=str(error))


def add_reading(app: Celery, read: Callable[[int, int], None], report_not_analysed: Callable[[int, int], None]) -> None:
    """Register the worker's tasks."""
    app.task(name=READ_TASK)(read)
    app.task(name=REPORT_TASK)(report_not_analysed)


def add_forwarding(
    app: Celery, forward: Callable[[int, str], None], close_ready: Callable[[], int], ring_due: Callable[[], None]
) -> None:
    """Register the courier's tasks, housekeeping among them."""
    app.task(name=FORWARD_TASK)(forward)
    app.task(name=CLOSE_TASK)(close_ready)
    app.task(name=RING_TASK)(ring_due)


def add_drift_watch(app: Celery, watch_drift: Callable[[], None]) -> None:
    """Register the courier's look at the drift charts."""
    app.task(name=DRIFT_TASK)(watch_drift)


def add_escalation(app: Celery, escalate: Callable[[], None]) -> None:
    """Register the courier's round of calls for studies that nobody acknowledged."""
    app.task(name=ESCALATE_TASK)(escalate)
