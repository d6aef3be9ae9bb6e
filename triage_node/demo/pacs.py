"""A small PACS for the demo: it takes everything on loopback and keeps it as files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

AE_TITLE = "DEMOPACS"


@dataclass
class DemoPacs:
    """A Storage SCP on a free loopback port.

    Attributes
    ----------
    received
        SOP Instance UID to file, as objects arrive.
    """

    folder: Path
    received: dict[str, Path] = field(default_factory=dict)
    port: int = 0

    def start(self) -> None:
        """Listen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        ae = AE(ae_title=AE_TITLE)
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context(Verification)
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]

    @property
    def address(self) -> str:
        """The destination to give the node."""
        return f"{AE_TITLE}@127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()

    def _store(self, event: evt.Event) -> int:
        path = self.folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
        path.write_bytes(event.encoded_dataset())
        with self._lock:
            self.received[str(event.request.AffectedSOPInstanceUID)] = path
        return 0x0000
