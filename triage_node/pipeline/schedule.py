"""Beat: what happens by the clock. A tick that is not consumed in time expires, so a pause leaves no pile behind."""

from __future__ import annotations

from celery import Celery

from triage_node.pipeline.tasks import CLOSE_TASK, DRIFT_TASK, ESCALATE_TASK, RING_TASK

CLOSE_EVERY_S = 1.0
RING_EVERY_S = 2.0
DRIFT_EVERY_S = 60.0
ESCALATE_EVERY_S = 5.0


def add_schedule(app: Celery) -> None:
    """Close quiet series every second, ring for due work every two, call for flagged studies every five, watch drift once
    a minute."""
    app.conf.beat_schedule = {
        "close": {"task": CLOSE_TASK, "schedule": CLOSE_EVERY_S, "options": {"expires": 3 * CLOSE_EVERY_S}},
        "ring": {"task": RING_TASK, "schedule": RING_EVERY_S, "options": {"expires": 3 * RING_EVERY_S}},
        "drift": {"task": DRIFT_TASK, "schedule": DRIFT_EVERY_S, "options": {"expires": DRIFT_EVERY_S}},
        "escalate": {"task": ESCALATE_TASK, "schedule": ESCALATE_EVERY_S, "options": {"expires": ESCALATE_EVERY_S}},
    }
    app.conf.beat_scheduler = "celery.beat:Scheduler"  # the schedule is fixed: no file to keep it in
    app.conf.beat_max_loop_interval = 1
