"""SOP classes that are answered on the same port by other stations: queries and workitems.

In: what a service is, given by the composition root, and who may use it. Out: presentation contexts, and pynetdicom's events
handed to the service that the context belongs to. A peer that may not use them is answered as if there were none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from triage_node.arrival.message_limits import OversizedDataset
from triage_node.arrival.peer_policy import PeerPolicy
from triage_node.core.ports import AssociationPeer
from triage_node.core.query_status import OUT_OF_RESOURCES, RESOURCE_LIMITATION

_log = structlog.get_logger()

UNRECOGNIZED_OPERATION = 0x0211
"""PS3.7 C.5.24."""
SOP_CLASS_NOT_SUPPORTED = 0x0122
"""PS3.7 C.5.6."""


class Service(Protocol):
    """What answers some SOP classes. Operations that it has not are refused."""

    @property
    def sop_classes(self) -> Sequence[str]:
        """Return the abstract syntaxes that are offered."""
        ...

    def find(self, event: Event, peer: AssociationPeer) -> Iterator[tuple[Any, Dataset | None]]:
        """Answer C-FIND: a status and an identifier a time."""
        ...


def service_contexts(sop_classes: Iterable[str]) -> list[PresentationContext]:
    """Return the contexts that are offered for queries and workitems."""
    return [build_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for uid in sop_classes]


class FurtherServices:
    """The services, and who may use them.

    Parameters
    ----------
    services
        Empty for a node that only takes in.
    policy
        Who may use them, also without being allowed to send; None: whoever may send.
    """

    def __init__(self, services: Collection[Service], policy: PeerPolicy | None) -> None:
        self._by_class = {uid: service for service in services for uid in service.sop_classes}
        self._policy = policy

    @property
    def sop_classes(self) -> tuple[str, ...]:
        """Return what is offered to those who may."""
        return tuple(self._by_class)

    def may_use(self, peer: AssociationPeer, *, may_send: bool) -> bool:
        """Return whether a peer is offered the services."""
        if self._policy is None or not self._by_class:
            return may_send
        return self._policy.rejection(peer.calling_ae_title, peer.called_ae_title, peer.address) is None

    def find(self, event: Event, peer: AssociationPeer) -> Iterator[tuple[Any, Dataset | None]]:
        """Answer C-FIND."""
        service = self._service(event)
        if service is None:
            return iter([(SOP_CLASS_NOT_SUPPORTED, None)])
        if _is_oversized(event):
            return iter([(OUT_OF_RESOURCES.code, None)])
        return service.find(event, peer)

    def operate(self, operation: str, event: Event, peer: AssociationPeer) -> tuple[int, Dataset | None]:
        """Answer N-GET, N-SET, N-ACTION or N-CREATE: ``get``, ``set``, ``action``, ``create``."""
        operate = getattr(self._service(event), operation, None)
        if operate is None:
            return UNRECOGNIZED_OPERATION, None
        if _is_oversized(event):
            return RESOURCE_LIMITATION.code, None
        answered: tuple[int, Dataset | None] = operate(event, peer)
        return answered

    def _service(self, event: Event) -> Service | None:
        return self._by_class.get(str(event.context.abstract_syntax))


def _is_oversized(event: Event) -> bool:
    request: Any = event.request
    parts = ("Identifier", "AttributeList", "ModificationList", "ActionInformation")
    return any(isinstance(getattr(request, part, None), OversizedDataset) for part in parts)
