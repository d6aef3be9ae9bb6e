"""Destinations of kind dicom: ``core.ports.Sender`` over C-STORE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.forwarding.requestor import PeerUnreachable
from triage_node.forwarding.storage_scu import StorageScu


@dataclass(frozen=True)
class DicomSender:
    """Sends with the Storage SCU."""

    scu: StorageScu

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send all over one association; see ``StorageScu.send``."""
        try:
            scu = self.scu.secured(destination)
        except PeerUnreachable as error:
            return [
                SendOutcome(each.sop_instance_uid, Action.TRY_AGAIN, None, str(error), answered=False)
                for each in objects
            ]
        return scu.send(destination.peer, objects)

    def verify(self, destination: Destination) -> str:
        """Verify with C-ECHO.

        Raises
        ------
        PeerUnreachable
            No association, no answer, or another status than Success.
        """
        self.scu.secured(destination).echo(destination.peer)
        return "answers C-ECHO"
