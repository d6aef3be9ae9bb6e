"""Answers go to whom asked, whatever pynetdicom's reactor does meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_STORE

from triage_node.core.dimse_status import Action
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.kept_answers import KeptAnswers
from triage_node.forwarding.requestor import Requestor
from triage_node.forwarding.storage_scu import StorageScu

VERIFICATION = "1.2.840.10008.1.1"


def answer(status: int | None = 0x0000) -> C_STORE:
    message = C_STORE()
    message.MessageIDBeingRespondedTo = 1
    message.Status = status
    return message


def request() -> C_ECHO:
    message = C_ECHO()
    message.MessageID = 7
    message.AffectedSOPClassUID = VERIFICATION
    return message


@pytest.fixture
def provider() -> KeptAnswers:
    """An association that is not there, with one request sent: what arrives is put into the queue."""
    association = Association.__new__(Association)
    association._dimse_timeout = 0.05
    provider = KeptAnswers(association)
    provider._message_id = 1
    return provider


def test_an_association_of_ours_keeps_answers(make_pacs: Callable[..., Any]) -> None:
    with Requestor("TRIAGE").association(make_pacs().peer, [build_context(VERIFICATION)]) as association:
        assert isinstance(association.dimse, KeptAnswers)
        assert association.send_c_echo().Status == 0x0000


@pytest.mark.parametrize("message", [answer(), answer(None), None], ids=["answer", "answer without status", "the end"])
def test_reactor_leaves_the_answer_to_the_asker(provider: KeptAnswers, message: C_STORE | None) -> None:
    provider.msg_queue.put((1, message))
    assert provider.get_msg() == (None, None)
    assert provider.get_msg(block=True) == (1, message)


def test_reactor_is_given_what_the_peer_asks_for(provider: KeptAnswers) -> None:
    asked = request()
    provider.msg_queue.put((3, asked))
    assert provider.get_msg() == (3, asked)
    assert provider.get_msg() == (None, None)


def test_second_answer_is_not_taken_for_that_to_the_next_request(
    make_pacs: Callable[..., Any], make_object: Callable[..., EvidenceObject]
) -> None:
    def answer_twice(event: evt.Event) -> int:
        if pacs.received and len(pacs.received) == 1:
            too_many = answer()
            too_many.AffectedSOPClassUID = event.request.AffectedSOPClassUID
            event.assoc.dimse.send_msg(too_many, event.context.context_id)
            return 0x0000
        return 0xA700

    pacs = make_pacs()
    pacs.answer = answer_twice
    first, second, third = StorageScu("TRIAGE", dimse_timeout_s=10).send(pacs.peer, [make_object() for _ in range(3)])
    assert first.action is Action.DONE
    assert [second.status_code, third.status_code] == [0xA700, 0xA700]
