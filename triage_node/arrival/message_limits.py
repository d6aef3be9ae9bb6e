"""What one DIMSE message may cost in memory, enforced while it arrives.

pynetdicom collects a message until its last fragment and reads on while earlier messages wait. Here a dataset over the
limit is exchanged for one that counts and keeps nothing, so that the peer gets its answer, 0xA700, and the association its
other instances. A command that never ends, and requests that come without waiting for answers although one at a time was
agreed (PS3.7 D.3.3.3.1), end the association.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import structlog
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.events import Event

_log = structlog.get_logger()

COMMAND_BYTES = 16_384
"""A C-STORE-RQ command has ten elements of at most 64 characters (PS3.7 Table 9.3-1); this is far above."""
OTHER_DATASET_BYTES = 16_777_216
"""Of everything but C-STORE: the longest is a request for storage commitment of some ten thousand instances."""
WAITING_REQUESTS = 8
"""One is the rule without an asynchronous operations window; a little more does no harm."""


class OversizedDataset(BytesIO):
    """Takes the place of a dataset over the limit; counts what is written to it."""

    def __init__(self, received_bytes: int) -> None:
        super().__init__()
        self.received_bytes = received_bytes

    def write(self, fragment: Any) -> int:
        """Count and forget."""
        self.received_bytes += len(fragment)
        return len(fragment)


def message_bound(maximum_dataset_bytes: int) -> Callable[[Event], None]:
    """Return a handler for ``EVT_PDU_RECV`` that holds the message in progress to its size."""

    def hold(event: Event) -> None:
        dimse = event.assoc.dimse
        message = dimse.message
        if event.assoc.is_aborted:
            return
        if dimse.msg_queue.qsize() > WAITING_REQUESTS:
            _abort(event, "requests without waiting for answers")
        elif message is None or message.data_set is None:
            return
        elif message.encoded_command_set.tell() > COMMAND_BYTES:
            _abort(event, "a command without end")
        elif not isinstance(message.data_set, OversizedDataset):
            received_bytes = message.data_set.tell()
            if received_bytes > (maximum_dataset_bytes if isinstance(message, C_STORE_RQ) else OTHER_DATASET_BYTES):
                message.data_set = OversizedDataset(received_bytes)

    return hold


def _abort(event: Event, reason: str) -> None:
    _log.warning("association_cut_off", reason=reason, address=str(event.assoc.requestor.address))
    event.assoc.abort()
