"""One C-STORE: from the bytes of the peer to a durable file and the status that is true of it.

In: a C-STORE request with its encoded dataset. Out: a status of PS3.4 B.2.3, and an instance in the spool or the bytes in
quarantine.

==========================================================  ======  =========================================
what came                                                   status  what became of it
==========================================================  ======  =========================================
an instance, durably stored                                 0x0000  ``on_stored``
no room above the floor, or a dataset over the limit        0xA700  not kept; the peer sends again
UIDs of the command that are not those of the dataset,      0xA900  quarantine, ``on_quarantined``
or a class in it that nobody knows
a dataset that cannot be read                               0xC000  quarantine, ``on_quarantined``
anything that we did not foresee                            0x0110  not kept; the peer sends again
==========================================================  ======  =========================================
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, cast

import structlog
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from triage_node.arrival.file_meta import file_meta
from triage_node.arrival.message_limits import OversizedDataset
from triage_node.arrival.spool import SpoolFull
from triage_node.arrival.storing_association import is_storage_class
from triage_node.core.dimse_status import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    Status,
)
from triage_node.core.errors import Refused
from triage_node.core.identifiers import checked_uid
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, QuarantinedObject, Spool, StoredInstance

_log = structlog.get_logger()

HeaderReader = Callable[[bytes], InstanceHeader]
Kept = TypeVar("Kept", StoredInstance, QuarantinedObject)


class CommandMismatch(Refused):
    """The command speaks of another instance than the dataset, or of a class that was not agreed on (PS3.7 9.1.1.1)."""


class CStore:
    """Answers C-STORE requests.

    Parameters
    ----------
    spool
        Where instances and refused bytes go.
    read_header
        From the bytes of a file (PS3.10) to the header; raises ``Refused`` where they are broken.
    on_stored, on_quarantined
        Called after the disk has confirmed; what they raise is logged and changes no status.
    """

    def __init__(
        self,
        spool: Spool,
        read_header: HeaderReader,
        on_stored: Callable[[StoredInstance], None],
        on_quarantined: Callable[[QuarantinedObject], None],
    ) -> None:
        self._spool = spool
        self._read_header = read_header
        self._on_stored = on_stored
        self._on_quarantined = on_quarantined

    def answer(self, event: Event, peer: AssociationPeer) -> int:
        """Return the status of one request; never raises."""
        answer = PROCESSING_FAILURE
        try:
            answer = self._received(event, peer)
        except SpoolFull as full:
            answer = OUT_OF_RESOURCES
            _log.error("instance_refused_low_disk", association_id=peer.association_id, detail=str(full))
        except Exception:
            _log.exception("instance_not_stored", association_id=peer.association_id)
        return answer.code

    def _received(self, event: Event, peer: AssociationPeer) -> Status:
        request = cast(C_STORE, event.request)
        encoded = request.DataSet
        if isinstance(encoded, OversizedDataset):
            _log.warning(
                "instance_refused_oversized", association_id=peer.association_id, received_bytes=encoded.received_bytes
            )
            return OUT_OF_RESOURCES
        dataset = encoded.getvalue() if encoded is not None else b""
        part10 = dataset
        try:
            part10 = _prefixed(request, str(event.context.transfer_syntax), peer) + dataset
            _require_storage_class(request, str(event.context.abstract_syntax))
            header = self._read_header(part10)
            _require_match(request, header)
            path = self._spool.store(header, part10)
        except CommandMismatch as mismatch:
            return self._quarantined(part10, mismatch, DOES_NOT_MATCH_SOP_CLASS, peer)
        except Refused as refused:
            return self._quarantined(part10, refused, CANNOT_UNDERSTAND, peer)
        _log.info(
            "instance_stored",
            association_id=peer.association_id,
            series_instance_uid=header.series_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
        )
        self._tell(self._on_stored, StoredInstance(header, path, datetime.now(UTC), peer))
        return SUCCESS

    def _quarantined(self, part10: bytes, refused: Refused, status: Status, peer: AssociationPeer) -> Status:
        path = self._spool.quarantine(part10, str(refused), status.code, peer)
        _log.warning(
            "instance_quarantined",
            association_id=peer.association_id,
            file=path.name,
            error=type(refused).__name__,
            status=f"0x{status.code:04X}",
        )
        self._tell(self._on_quarantined, QuarantinedObject(path, str(refused), status.code, datetime.now(UTC), peer))
        return status

    @staticmethod
    def _tell(callback: Callable[[Kept], None], kept: Kept) -> None:
        try:
            callback(kept)
        except Exception:
            _log.exception("callback_failed", callback=type(kept).__name__)


def _prefixed(request: C_STORE, transfer_syntax_uid: str, peer: AssociationPeer) -> bytes:
    """Return what makes the dataset a file (PS3.10 7); the UIDs are those of the command, checked."""
    return file_meta(
        checked_uid(str(request.AffectedSOPClassUID), "Affected SOP Class UID"),
        checked_uid(str(request.AffectedSOPInstanceUID), "Affected SOP Instance UID"),
        transfer_syntax_uid,
        peer.calling_ae_title,
    )


def _require_storage_class(request: C_STORE, agreed_uid: str) -> None:
    """Take any Storage SOP class on any presentation context of one: senders mix them up, and nothing is lost by it."""
    commanded = str(request.AffectedSOPClassUID)
    if not is_storage_class(commanded):
        raise CommandMismatch(f"SOP Class UID is {commanded} in the C-STORE command and {agreed_uid} was agreed on")


def _require_match(request: C_STORE, header: InstanceHeader) -> None:
    for name, commanded, found in (
        ("SOP Class UID", request.AffectedSOPClassUID, header.sop_class_uid),
        ("SOP Instance UID", request.AffectedSOPInstanceUID, header.sop_instance_uid),
    ):
        if str(commanded) != found:
            raise CommandMismatch(f"{name} is {commanded} in the C-STORE command and {found} in the dataset")
