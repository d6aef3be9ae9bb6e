"""The longest dataset that is taken, enforced while it arrives.

pynetdicom collects a dataset in memory until its last fragment. Here the collecting buffer is exchanged, as soon as it is
over the limit, for one that counts and keeps nothing: the peer gets its answer, 0xA700, and the association its other
instances, at the price of the bandwidth only.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from pynetdicom.events import Event


class OversizedDataset(BytesIO):
    """Takes the place of a dataset over the limit; counts what is written to it."""

    def __init__(self, received_bytes: int) -> None:
        super().__init__()
        self.received_bytes = received_bytes

    def write(self, fragment: Any) -> int:
        """Count and forget."""
        self.received_bytes += len(fragment)
        return len(fragment)


def dataset_bound(maximum_bytes: int) -> Callable[[Event], None]:
    """Return a handler for ``EVT_PDU_RECV`` that holds the dataset in progress to a size."""

    def hold(event: Event) -> None:
        message = event.assoc.dimse.message
        if message is None or message.data_set is None or isinstance(message.data_set, OversizedDataset):
            return
        received_bytes = message.data_set.tell()
        if received_bytes > maximum_bytes:
            message.data_set = OversizedDataset(received_bytes)

    return hold
