"""The node's web process in a thread: uvicorn on loopback, as ``wiring.run_web`` runs it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import uvicorn

from triage_node.web.app import make_app
from triage_node.web.parts import WebParts

LIMIT_S = 20.0
"""Longest wait for the server to start or end."""


class WebServer:
    """Serves on a port that it keeps when it is started again; ``graceful_s`` is how long it waits for answers."""

    def __init__(self, make_parts: Callable[[], WebParts], graceful_s: int = 2) -> None:
        self._make_parts, self._graceful_s = make_parts, graceful_s
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve; returns when it answers."""
        server: uvicorn.Server
        app = make_app(replace(self._make_parts(), ending=lambda: server.should_exit))
        config = uvicorn.Config(
            app,
            "127.0.0.1",
            self.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=self._graceful_s,
        )
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + LIMIT_S
        while not server.started:
            assert self._thread.is_alive(), "the web server did not start"
            assert time.monotonic() < deadline, "the web server did not start in time"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, open streams too."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(LIMIT_S + self._graceful_s)
        assert not self._thread.is_alive(), "the web server did not end in time"
        self._server = self._thread = None
