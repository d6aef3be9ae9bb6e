"""The associations that are open now, each opened once and ended once, whatever way it ends.

In: pynetdicom's events, some of which come twice and some, when a thread dies, never. Out: exactly one call at the opening
and one at the end of every established association, the end with whether it was an abort. A release is A-RELEASE asked for
by the peer and answered by us; every other end is an abort (PS3.8 7.2 to 7.4).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_RELEASE

from triage_node.core.ports import AssociationPeer

_log = structlog.get_logger()

PROCESS_PREFIX = uuid.uuid4().hex[:16]
"""What the ids of all associations of this process begin with, so that they can be told when it is gone."""

OnOpened = Callable[[AssociationPeer, datetime], None]
OnEnded = Callable[[AssociationPeer, datetime, bool], None]


class AssociationRegister:
    """Open associations and who is at their other end.

    Parameters
    ----------
    on_opened, on_ended
        Called on the association's thread with the peer, the time and, at the end, whether it was aborted. What they raise
        is logged and goes no further.
    """

    def __init__(self, on_opened: OnOpened, on_ended: OnEnded) -> None:
        self._on_opened = on_opened
        self._on_ended = on_ended
        self._open: dict[Association, AssociationPeer] = {}
        self._lock = threading.Lock()

    def peer(self, association: Association) -> AssociationPeer:
        """Return who is at the other end."""
        with self._lock:
            known = self._open.get(association)
        return known or described_peer(association)

    def count(self) -> int:
        """Return how many associations are open."""
        with self._lock:
            return len(self._open)

    def opened(self, event: Event) -> None:
        """Handle ``EVT_ESTABLISHED``."""
        peer = described_peer(event.assoc)
        with self._lock:
            self._open[event.assoc] = peer
        _log.info("association_opened", **_named(peer))
        _called("on_association_opened", lambda: self._on_opened(peer, datetime.now(UTC)))

    def release_answered(self, event: Event) -> None:
        """Handle ``EVT_ACSE_SENT``: the release is noted before the peer reads the answer."""
        if isinstance(event.primitive, A_RELEASE):  # type: ignore[attr-defined]
            self._end(event.assoc, aborted=False)

    def aborted(self, event: Event) -> None:
        """Handle ``EVT_ABORTED``, which comes for either side's A-ABORT and for a connection that broke."""
        self._end(event.assoc, aborted=True)

    def end_dead(self) -> None:
        """End what no event ended: the thread is gone, so nothing more can arrive over it."""
        with self._lock:
            dead = [association for association in self._open if not association.is_alive()]
        for association in dead:
            self._end(association, aborted=True)

    def _end(self, association: Association, *, aborted: bool) -> None:
        with self._lock:
            peer = self._open.pop(association, None)
        if peer is None:
            return
        _log.info("association_aborted" if aborted else "association_released", **_named(peer))
        _called("on_association_ended", lambda: self._on_ended(peer, datetime.now(UTC), aborted))


def described_peer(association: Association) -> AssociationPeer:
    """Return the peer of an association that has been requested, under a new association id."""
    request = association.requestor.primitive
    return AssociationPeer(
        association_id=f"{PROCESS_PREFIX}-{uuid.uuid4()}",
        calling_ae_title=str(request.calling_ae_title).strip() if request else "",
        called_ae_title=str(request.called_ae_title).strip() if request else "",
        address=str(association.requestor.address),
    )


def _named(peer: AssociationPeer) -> dict[str, str]:
    return {
        "association_id": peer.association_id,
        "calling_ae_title": peer.calling_ae_title,
        "address": peer.address,
    }


def _called(name: str, callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _log.exception("callback_failed", callback=name)
