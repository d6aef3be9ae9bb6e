"""A process's sign of life: a heartbeat in SQL every five seconds, and an end when its supervisor is gone.

In: what the process says of itself. Out: pulses, to the repository that is given.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from triage_node.core.ports import ProcessPulse

log = structlog.get_logger(__name__)

EVERY_S = 5.0
LOOK_EVERY_S = 0.5
"""How often a child looks whether its supervisor still lives."""


class Heart:
    """Beats on a thread of its own.

    Parameters
    ----------
    beat
        Writes one pulse.
    name, detail
        What the process is, and what it says of itself.
    supervisor
        Process id of the parent to end with; None for a process that stands alone.
    """

    def __init__(
        self, beat: Callable[[ProcessPulse], None], name: str, detail: Mapping[str, Any], supervisor: int | None
    ) -> None:
        self._beat, self._supervisor = beat, supervisor
        self._pulse = ProcessPulse(
            name, socket.gethostname(), os.getpid(), datetime.now(UTC), datetime.now(UTC), detail
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        self._thread.join(timeout=EVERY_S)

    def _run(self) -> None:
        since_beat_s = EVERY_S
        while True:
            if since_beat_s >= EVERY_S:
                self._beat_once()
                since_beat_s = 0.0
            if self._stopped.wait(LOOK_EVERY_S):
                return
            since_beat_s += LOOK_EVERY_S
            if self._supervisor is not None and os.getppid() != self._supervisor:
                log.error("supervisor_gone", supervisor=self._supervisor)
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _beat_once(self) -> None:
        pulse = self._pulse
        try:
            self._beat(
                ProcessPulse(pulse.name, pulse.host, pulse.pid, pulse.started_at, datetime.now(UTC), pulse.detail)
            )
        except Exception as error:
            log.warning("heartbeat_missed", error=str(error))
