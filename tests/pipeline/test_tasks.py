"""Celery: ids in JSON on the right queues, and a bell that never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from triage_node.pipeline import tasks
from triage_node.pipeline.schedule import add_schedule
from triage_node.pipeline.tasks import (
    CeleryBell,
    add_drift_watch,
    add_escalation,
    add_forwarding,
    add_reading,
    make_app,
)


@pytest.fixture
def sent() -> list[tuple[str, Any]]:
    return []


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch, sent: list[tuple[str, Any]]) -> CeleryBell:
    app = make_app("memory://")
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: sent.append((name, args)))
    return CeleryBell(app)


def test_messages_carry_ids_as_json_on_their_queues() -> None:
    app = make_app("memory://")
    bell = CeleryBell(app)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        bell.read(7, 2)
        bell.forward(3, "PACS@127.0.0.1:104")
        taken = {queue: channel.basic_get(queue) for queue in (tasks.CLASSIFY, tasks.FORWARD)}
    bodies = {queue: (message.content_type, json.loads(message.body)[0]) for queue, message in taken.items()}
    assert bodies == {
        tasks.CLASSIFY: ("application/json", [7, 2]),
        tasks.FORWARD: ("application/json", [3, "PACS@127.0.0.1:104"]),
    }


def test_bell_is_not_rung_twice_for_the_same_series(bell: CeleryBell, sent: list[tuple[str, Any]]) -> None:
    bell.read(1, 1)
    bell.read(1, 1)
    bell.read(1, 2)
    assert sent == [(tasks.READ_TASK, (1, 1)), (tasks.READ_TASK, (1, 2))]


def test_bell_rings_again_after_a_while(
    bell: CeleryBell, sent: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bell.read(1, 1)
    later = tasks.time.monotonic() + tasks.REPEAT_AFTER_S + 1
    monkeypatch.setattr(tasks.time, "monotonic", lambda: later)
    bell.read(1, 1)
    assert len(sent) == 2


def test_bell_without_redis_is_silent_and_rings_when_it_is_back(
    bell: CeleryBell, sent: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = bell.app.send_task

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(bell.app, "send_task", away)
    bell.read(1, 1)
    monkeypatch.setattr(bell.app, "send_task", ring)
    bell.read(1, 1)
    assert sent == [(tasks.READ_TASK, (1, 1))]


def test_every_scheduled_task_is_known_to_a_courier() -> None:
    app = make_app("memory://")
    add_schedule(app)

    def step(*_: int | str) -> None:
        """Stands for the steps, which have their own tests."""

    add_reading(app, step, step)
    add_forwarding(app, step, step, step)  # type: ignore[arg-type]
    add_drift_watch(app, step)
    add_escalation(app, step)
    scheduled = {each["task"] for each in app.conf.beat_schedule.values()}
    assert scheduled <= set(app.tasks)
    assert all(each["options"]["expires"] >= each["schedule"] for each in app.conf.beat_schedule.values())


def test_nothing_is_ever_pickled() -> None:
    app = make_app("memory://")
    assert list(app.conf.accept_content) == ["json"]
    assert (app.conf.task_serializer, app.conf.task_acks_late) == ("json", True)
