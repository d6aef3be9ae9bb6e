"""A small PACS for the demo: it takes everything on loopback and keeps it as files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header
from triage_node.core.ports import StoredInstance

AE_TITLE = "DEMOPACS"


@dataclass
class DemoPacs:
    """A Storage SCP on a free loopback port, with a spool of its own.

    Attributes
    ----------
    received
        SOP Instance UID to file, as objects arrive.
    """

    folder: Path
    received: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scp = StorageScp(
            ae_title=AE_TITLE,
            host="127.0.0.1",
            port=0,
            spool=DirectorySpool(self.folder, floor_bytes=0),
            read_header=read_header,
            on_stored=self._keep,
            on_quarantined=lambda _: None,
            on_association_opened=lambda *_: None,
            on_association_ended=lambda *_: None,
        )

    def start(self) -> None:
        """Listen."""
        self._scp.start()

    @property
    def address(self) -> str:
        """The destination to give the node."""
        return f"{AE_TITLE}@127.0.0.1:{self._scp.port}"

    def stop(self) -> None:
        """Listen no more."""
        self._scp.shutdown()

    def _keep(self, stored: StoredInstance) -> None:
        self.received[stored.header.sop_instance_uid] = stored.path
