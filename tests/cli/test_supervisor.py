"""One machine, one node: ports are its own, Redis is private, and what crashes is restarted after a wait that grows."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import psutil
import pytest
from celery import Celery

from triage_node import supervisor as supervisor_module
from triage_node.core.errors import ConfigurationRejected
from triage_node.settings import Settings
from triage_node.supervisor import PrivateRedis, Supervisor, await_free_port, free_port


def test_port_of_another_process_is_refused_by_the_name_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_WAIT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationRejected, match=f"setting dicom_port: 127.0.0.1 port {port}.*in use"):
            await_free_port("dicom_port", "127.0.0.1", port)


def test_port_that_becomes_free_is_waited_for() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    closing = threading.Timer(0.3, taken.close)
    closing.start()
    await_free_port("http_port", "127.0.0.1", taken.getsockname()[1])
    closing.join()


def test_private_redis_serves_celery_and_leaves_nothing_behind() -> None:
    server = PrivateRedis()
    folder = Path(server.url.removeprefix("redis+socket://")).parent
    try:
        assert folder.stat().st_mode & 0o077 == 0
        with Celery(broker=server.url).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    finally:
        server.stop()
    assert not folder.exists()
    assert not psutil.pid_exists(server.process.pid)


def test_private_redis_starts_again_on_the_same_socket() -> None:
    server = PrivateRedis()
    try:
        first = server.process
        first.kill()
        first.wait()
        server.start()
        assert server.process.pid != first.pid
        with Celery(broker=server.url).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    finally:
        server.stop()


def test_child_that_ends_at_once_is_restarted_after_growing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a schema every child fails; the supervisor must neither spin nor give up."""
    now = [1000.0]
    settings = Settings(
        data_dir=tmp_path,
        dicom_host="127.0.0.1",
        dicom_port=free_port(),
        http_port=free_port(),
        redis_url="redis://h:1",
    )
    supervisor = Supervisor(settings, logs=tmp_path / "logs")
    monkeypatch.setattr(supervisor_module.sys, "executable", "/bin/false")
    supervisor.start()
    try:
        monkeypatch.setattr(supervisor_module.time, "monotonic", lambda: now[0])
        waits = []
        for _ in range(7):
            child = supervisor._children[0]
            assert child.process is not None
            child.started_at = now[0]
            child.process.wait(10)
            supervisor.watch()
            assert supervisor.processes()["scp-0"] is None
            waits.append(child.restart_at - now[0])
            now[0] = child.restart_at
            supervisor.watch()
            assert supervisor.processes()["scp-0"] is not None
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    finally:
        monkeypatch.undo()
        supervisor.stop()
