"""Storage commitment on the path: asking an archive after sending, and what its report changes.

In: a study and a destination to ask; later a report, over the same association or over one of the archive's own, which then
reaches the process of the SCP. Out: commitments in the repository; objects due again that the archive does not have.
Answers to PS3.4 Annex J.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from triage_node.core.commitment import CommitmentResult
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.ports import CommitmentRequester
from triage_node.pipeline.steps import StudyPath

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CommitmentPath:
    """Asks and listens; ``requester`` None: listens only, as the SCP's process does."""

    path: StudyPath
    requester: CommitmentRequester | None = None

    def ask(self, study_id: int, destination: Destination) -> None:
        """Ask one destination to commit to what it has of one study."""
        repository, rules = self.path.repository, self.path.rules
        now = self.path.clock.now()
        sent_before = now - timedelta(seconds=rules.give_up_after_s)
        for delivery_id in repository.give_up_commitments(study_id, destination.name, sent_before=sent_before, now=now):
            log.error("commitment_given_up", destination=destination.name, delivery_id=delivery_id)
        ask_again_at = now + timedelta(seconds=rules.commitment_wait_s)
        order = repository.claim_commitments(study_id, destination.name, now=now, ask_again_at=ask_again_at)
        if order is None or self.requester is None:
            return
        answer = self.requester.request(destination, order)
        named = {"destination": destination.name, "transaction_uid": order.transaction_uid, "detail": answer.detail}
        if answer.action is Action.TRY_AGAIN:
            log.warning("commitment_put_off", **named)
            again_at = self.path.clock.now() + timedelta(seconds=rules.retry_longest_s)
            repository.put_off_commitments(order.transaction_uid, again_at)
        elif answer.action is Action.GIVE_UP:
            log.warning("commitment_not_offered", **named)
            repository.decline_commitments(order.transaction_uid, answer.detail)
        else:
            log.info("commitment_asked", objects=len(order.references), **named)
        if answer.result is not None:
            self.received(answer.result)

    def received(self, result: CommitmentResult) -> bool:
        """Note a report; False where no such transaction waits for one."""
        rules, now = self.path.rules, self.path.clock.now()
        missed = self.path.repository.save_commitment(
            result,
            now,
            send_again_at=now + timedelta(seconds=rules.retry_first_s),
            due_before=now - timedelta(seconds=rules.give_up_after_s),
        )
        if missed is None:
            log.warning("commitment_report_unexpected", transaction_uid=result.transaction_uid)
            return False
        log.info("commitment_reported", transaction_uid=result.transaction_uid, committed=len(result.committed))
        if missed:
            log.error("evidence_not_committed", transaction_uid=result.transaction_uid, delivery_ids=missed)
        return True
