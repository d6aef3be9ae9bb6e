"""An association in which a C-STORE is answered whatever SOP class its command names.

In: the request of a peer on an accepted presentation context. Out: the answer of the Storage service class. Never: an
association ended, and with it what the peer was still to send, because one command names a class that nobody knows.
Answers to PS3.7 9.1.1 (C-STORE) and PS3.8 7.1 (presentation contexts).
"""

from __future__ import annotations

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, DimseServiceType
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class


def is_storage_class(uid: str) -> bool:
    """Say whether this is a standard Storage SOP class.

    Examples
    --------
    >>> is_storage_class("1.2.840.10008.5.1.4.1.1.2"), is_storage_class("31"), is_storage_class("1.2.840.10008.1.1")
    (True, False, False)
    """
    return uid_to_service_class(uid) is StorageServiceClass


class StoringAssociation(Association):
    """Takes the service of a C-STORE from its presentation context where the command does not name one.

    pynetdicom goes by the command and aborts where it knows no such class. DCMTK's ``dcmsend`` sends such a command for a
    file whose File Meta Information and dataset disagree: the other files of the batch would never be sent.
    """

    def _serve_request(self, msg: DimseServiceType, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if (
            context is None
            or self._sent_release
            or not isinstance(msg, C_STORE)
            or not msg.is_valid_request
            or is_storage_class(str(msg.AffectedSOPClassUID))
            or not is_storage_class(str(context.abstract_syntax))
        ):
            super()._serve_request(msg, context_id)
            return
        self._is_paused = True  # nothing else may read from the peer while it is answered
        StorageServiceClass(self).SCP(msg, context)
        self._is_paused = False
