"""An SCP in a process of its own, for tests that kill it: prints its port, then stores until it dies."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header


def ignore(*_: object) -> None:
    """The spool is all that these tests look at."""


def serve(root: Path, port: int) -> None:
    sys.stdout = sys.stderr  # logs go there, the port alone to the test
    scp = StorageScp(
        ae_title="TRIAGE",
        host="127.0.0.1",
        port=port,
        spool=DirectorySpool(root, floor_bytes=1),
        read_header=read_header,
        on_stored=ignore,
        on_quarantined=ignore,
        on_association_opened=ignore,
        on_association_ended=ignore,
        reuse_port=True,
    )
    scp.start()
    print(scp.port, file=sys.__stdout__, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
