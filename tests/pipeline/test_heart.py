"""Heartbeats are written, missed ones do not end the process, and a child ends with its supervisor."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from triage_node.core.ports import ProcessPulse
from triage_node.pipeline import heart as heart_module
from triage_node.pipeline.heart import Heart


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heart_module, "EVERY_S", 0.02)
    monkeypatch.setattr(heart_module, "LOOK_EVERY_S", 0.01)


def test_pulses_name_the_process_and_what_it_says_of_itself() -> None:
    beaten: list[ProcessPulse] = []
    twice = threading.Event()

    def beat(pulse: ProcessPulse) -> None:
        beaten.append(pulse)
        if len(beaten) == 2:
            twice.set()

    heart = Heart(beat, "worker", {"device": "cpu"}, supervisor=None)
    heart.start()
    assert twice.wait(5)
    heart.stop()
    first, second = beaten[:2]
    assert (first.name, first.pid, first.detail) == ("worker", os.getpid(), {"device": "cpu"})
    assert first.started_at == second.started_at
    assert second.last_seen_at > first.last_seen_at


def test_heart_beats_on_when_the_database_was_away() -> None:
    tries: list[int] = []
    again = threading.Event()

    def beat(_: ProcessPulse) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the database is away")
        again.set()

    heart = Heart(beat, "beat", {}, supervisor=None)
    heart.start()
    assert again.wait(5)
    heart.stop()


def test_process_asks_itself_to_end_when_its_supervisor_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    done = threading.Event()

    def kill(pid: int, number: int) -> None:
        asked.append((pid, number))
        done.set()

    monkeypatch.setattr(heart_module.os, "kill", kill)
    heart = Heart(lambda _: None, "scp", {}, supervisor=os.getppid() + 1)
    heart.start()
    assert done.wait(5)
    assert asked == [(os.getpid(), signal.SIGTERM)]


def test_process_stays_while_its_supervisor_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(heart_module.os, "kill", lambda *call: asked.append(call))
    beats: list[int] = []
    several = threading.Event()

    def beat(_: ProcessPulse) -> None:
        beats.append(1)
        if len(beats) > 3:
            several.set()

    heart = Heart(beat, "scp", {}, supervisor=os.getppid())
    heart.start()
    assert several.wait(5)
    heart.stop()
    assert not asked
