"""How every query is answered: matches one by one, cancelled when the requester says so, and a status for all that goes wrong.

In: a C-FIND event and what finds the matches. Out: what pynetdicom sends, in turn. Answers to PS3.4 C.4.1 and CC.2.8, PS3.7
9.1.2 and 9.3.2.3 (cancel). No value of an identifier reaches the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from triage_node.core.errors import Refused, Transient
from triage_node.core.ports import AssociationPeer
from triage_node.core.query_status import (
    CANCELLED,
    IDENTIFIER_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PENDING,
    PENDING_UNSUPPORTED_KEYS,
    UNABLE_TO_PROCESS,
    Answer,
)
from triage_node.worklist.identifier import Identifier, IdentifierRejected
from triage_node.worklist.matching import KeyRejected

_log = structlog.get_logger()

PAGE = 200
"""Studies that are read from the database at a time; a slow requester holds no transaction open."""

Response = tuple[Any, Dataset | None]


@dataclass(frozen=True)
class Matches:
    """What a query found.

    Attributes
    ----------
    answers
        Identifiers, made as they are asked for.
    count
        How many there are, at most the limit.
    is_cut
        There are more than the limit.
    """

    answers: Iterator[Dataset]
    count: int
    is_cut: bool = False


def find_responses(
    event: Event, peer: AssociationPeer, known: frozenset[str], find: Callable[[Identifier], Matches]
) -> Iterator[Response]:
    """Answer one C-FIND.

    Parameters
    ----------
    known
        Keywords of the keys that are supported; a query with others is answered with 0xFF01.
    """
    try:
        identifier = _read(event)
        unsupported = identifier.unsupported(known)
        matches = find(identifier)
        pending = PENDING_UNSUPPORTED_KEYS if unsupported else PENDING
        _log.info("query_answered", association_id=peer.association_id, matches=matches.count, unsupported=unsupported)
        for each in matches.answers:
            if event.is_cancelled:
                yield CANCELLED.code, None
                return
            yield pending.code, each
        if matches.is_cut:
            yield _failed(OUT_OF_RESOURCES, f"more than {matches.count} matches"), None
    except IdentifierRejected as error:
        yield _refused(peer, IDENTIFIER_DOES_NOT_MATCH, str(error)), None
    except Refused as error:
        yield _refused(peer, UNABLE_TO_PROCESS, str(error)), None
    except Transient as error:
        _log.warning("query_put_off", association_id=peer.association_id, error=str(error))
        yield OUT_OF_RESOURCES.code, None
    except Exception:
        _log.exception("query_failed", association_id=peer.association_id)
        yield UNABLE_TO_PROCESS.code, None


def _read(event: Event) -> Identifier:
    try:
        asked = event.identifier
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise KeyRejected(f"the identifier cannot be read: {type(error).__name__}") from error
    return Identifier.read(asked)


def _refused(peer: AssociationPeer, answer: Answer, why: str) -> Dataset:
    _log.warning("query_refused", association_id=peer.association_id, status=f"0x{answer.code:04X}", reason=why)
    return _failed(answer, why)


def _failed(answer: Answer, comment: str) -> Dataset:
    """Return a status with its Error Comment (PS3.7 C)."""
    status = Dataset()
    status.Status = answer.code
    status.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return status


def in_pages(ids: list[int]) -> Iterator[list[int]]:
    """Return ids a page at a time."""
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]
