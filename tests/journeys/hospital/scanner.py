"""A scanner, a well-behaved one and one that breaks off in the middle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from hospital.studies import written
from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.forwarding.storage_scu import StorageScu

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKEN = (Action.DONE, Action.DONE_WITH_WARNING)


class Scanner:
    """Sends to one node; keeps what it sends as files in a folder of its own."""

    def __init__(self, node: PeerAddress, folder: Path, ae_title: str = "CT1") -> None:
        self.node, self.folder, self.ae_title = node, folder, ae_title
        self._sent = 0

    def send(self, series: Iterable[Dataset]) -> list[int | None]:
        """Send datasets in their order over one association; return the statuses."""
        self._sent += 1
        return self.send_files(written(series, self.folder / f"{self.ae_title}_{self._sent:03}"))

    def send_files(self, paths: Sequence[Path]) -> list[int | None]:
        """Send files as they are over one association; return the statuses.

        What got no answer is sent again once, as scanners do: on a busy machine pynetdicom may take an answer off its
        queue in the wrong thread (its reactor's pause is not waited for) and never see it.
        """
        statuses = self._statuses(paths)
        unanswered = [index for index, status in enumerate(statuses) if status is None]
        for index, status in zip(unanswered, self._statuses([paths[index] for index in unanswered]), strict=True):
            statuses[index] = status
        return statuses

    def _statuses(self, paths: Sequence[Path]) -> list[int | None]:
        return [outcome.status_code for outcome in StorageScu(self.ae_title).send_files(self.node, paths)]

    def echo(self) -> None:
        """C-ECHO; raises where the node does not answer."""
        StorageScu(self.ae_title).echo(self.node)

    @contextmanager
    def association(self, series: Sequence[Dataset]) -> Iterator[OpenAssociation]:
        """An association that is released at the end of the block, if it still stands."""
        entity = AE(self.ae_title)
        for sop_class in sorted({str(dataset.SOPClassUID) for dataset in series}):
            entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = entity.associate(self.node.host, self.node.port, ae_title=self.node.ae_title)
        assert association.is_established
        try:
            yield OpenAssociation(association)
        finally:
            if association.is_established:
                association.release()


class OpenAssociation:
    """One association under the test's hand."""

    def __init__(self, association: Association) -> None:
        self.association = association

    def store(self, dataset: Dataset) -> int:
        """C-STORE one dataset; return the status."""
        return int(self.association.send_c_store(dataset).Status)

    def store_half(self, dataset: Dataset) -> None:
        """Send the command and half of the dataset's fragments, and no more."""
        context = self.association.accepted_contexts[0]
        request = C_STORE()
        request.MessageID, request.Priority = 7, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
        request.DataSet = BytesIO(encoded(dataset))
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        fragments = list(message.encode_msg(context.context_id, 4096))
        for fragment in fragments[: len(fragments) // 2]:
            pdu = P_DATA_TF()
            pdu.from_primitive(fragment)
            self.association.dul.socket.send(pdu.encode())

    def abort(self) -> None:
        """A-ABORT."""
        self.association.abort()

    def hang_up(self) -> None:
        """Close the connection without a word, as a scanner that loses its power does."""
        self.association.dul.socket.socket.close()


def encoded(dataset: Dataset) -> bytes:
    """Return a dataset as it travels: explicit VR little endian, without the meta information."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return buffer.getvalue()
