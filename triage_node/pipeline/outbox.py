"""Emptying the outbox: the courier's part of the path.

In: a study and the name of a destination that it has something due at. Out: objects sent, what became of each in the
repository, the destination's breaker kept up to date. Every step may run twice, on two machines at once, or be cut off at
any line: what was not noted is due again when its lease is over.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.ports import DeliveryBatch, Sender, SendOutcome
from triage_node.pipeline.commitments import CommitmentPath
from triage_node.pipeline.lanes import Lanes
from triage_node.pipeline.steps import StudyPath

log = structlog.get_logger(__name__)


class NotTried(Transient):
    """Nothing was sent, and not because of the destination."""


@dataclass(frozen=True)
class ForwardingPath:
    """What a courier does.

    Attributes
    ----------
    senders
        One for each kind of destination.
    commitments
        Asks destinations that want it for storage commitment; None: nobody is asked.
    lanes
        Shared by the threads of this courier.
    jitter
        Returns 0 to 1; half of every wait is left to it, so that studies put off together do not come back together.
    """

    path: StudyPath
    senders: Mapping[DestinationKind, Sender]
    commitments: CommitmentPath | None = None
    lanes: Lanes = field(default_factory=Lanes)
    jitter: Callable[[], float] = random.random

    def forward(self, study_id: int, destination: str) -> None:
        """Send what one study has due at one destination, and after it whatever else was left in the lane."""
        turn = self.lanes.enter(destination, study_id)
        while turn is not None:
            try:
                self._forward(turn, destination)
            except Transient as error:
                log.warning("forwarding_put_off", study_id=turn, destination=destination, error=str(error))
            except Exception:
                log.exception("forwarding_failed", study_id=turn, destination=destination)
            turn = self.lanes.leave(destination)

    def _forward(self, study_id: int, name: str) -> None:
        repository, clock, rules = self.path.repository, self.path.clock, self.path.rules
        destination = next((each for each in rules.destinations if each.name == name), None)
        while batch := repository.claim_deliveries(study_id, name, now=clock.now(), lease_s=rules.lease_s):
            try:
                outcomes = self._sent(destination, batch)
            except NotTried as error:
                self._note(batch, _put_off(batch, str(error)))
                continue
            self._note(batch, outcomes)
            self._keep_breaker(name, outcomes, clock.now())
        if destination is not None and destination.storage_commitment and self.commitments is not None:
            self.commitments.ask(study_id, destination)

    def _sent(self, destination: Destination | None, batch: DeliveryBatch) -> Sequence[SendOutcome]:
        """Send one batch.

        Raises
        ------
        NotTried
            It is our fault that nothing went out; the destination is not judged by it.
        """
        if destination is None:
            raise NotTried(f"{batch.destination} is not among the destinations of the settings any more")
        sender = self.senders.get(destination.kind)
        if sender is None:
            raise NotTried(f"this courier has no sender for destinations of kind {destination.kind}")
        try:
            return sender.send(destination, [each for _, each in batch.objects])
        except Exception as error:
            log.exception("sending_failed", destination=batch.destination)
            raise NotTried(f"{type(error).__name__}: {error}") from error

    def _note(self, batch: DeliveryBatch, outcomes: Sequence[SendOutcome]) -> None:
        now = self.path.clock.now()
        again_at = self._next_attempt(now, batch.attempts, batch.due_since)
        results = [
            (delivery_id, outcome, again_at if outcome.action is Action.TRY_AGAIN else None)
            for (delivery_id, _), outcome in zip(batch.objects, outcomes, strict=True)
        ]
        self.path.repository.save_outcomes(results, now)
        alike = Counter(_told(outcome, next_attempt_at) for _, outcome, next_attempt_at in results)
        for (event, level, detail), objects in alike.items():
            named = {"destination": batch.destination, "objects": objects, "attempts": batch.attempts + 1}
            log.log(level, event, study_instance_uid=batch.objects[0][1].study_instance_uid, **named, detail=detail)

    def _keep_breaker(self, destination: str, outcomes: Sequence[SendOutcome], now: datetime) -> None:
        """Any answer closes it; silence counts, and behind an open one nothing may wait for ever."""
        repository, rules = self.path.repository, self.path.rules
        if any(outcome.answered for outcome in outcomes):
            if repository.note_answer(destination, now):
                log.info("destination_back", destination=destination)
            return
        silence = next((outcome for outcome in outcomes if outcome.action is Action.TRY_AGAIN), None)
        if silence is None:
            return  # nothing was even tried: no file could be read
        open_until = repository.note_silence(destination, now, rules.breaker, silence.detail)
        if open_until is None:
            return
        log.warning("destination_left_alone", destination=destination, until=open_until.isoformat())
        due_before = now - timedelta(seconds=rules.give_up_after_s)
        lost = repository.give_up_overdue(destination, due_before=due_before, now=now, detail=silence.detail)
        if lost:
            log.error("deliveries_given_up", destination=destination, objects=len(lost), detail=silence.detail)

    def _next_attempt(self, now: datetime, attempts: int, due_since: datetime) -> datetime | None:
        """Return when to try again (doubling, with jitter of a half), or None where it has been tried long enough."""
        rules = self.path.rules
        if now - due_since >= timedelta(seconds=rules.give_up_after_s):
            return None
        wait_s = min(rules.retry_longest_s, rules.retry_first_s * 2.0 ** min(attempts, 30))
        return now + timedelta(seconds=wait_s * (0.5 + 0.5 * self.jitter()))


def _put_off(batch: DeliveryBatch, detail: str) -> list[SendOutcome]:
    return [SendOutcome(each.sop_instance_uid, Action.TRY_AGAIN, None, detail, False) for _, each in batch.objects]


def _told(outcome: SendOutcome, next_attempt_at: datetime | None) -> tuple[str, int, str]:
    """Return event, level and detail of a log line; objects that fare alike share one line."""
    if outcome.action is Action.DONE:
        return "study_forwarded", logging.INFO, outcome.detail
    if outcome.action is Action.DONE_WITH_WARNING:
        return "study_forwarded_with_warning", logging.WARNING, outcome.detail
    if next_attempt_at is not None:
        return "deliveries_put_off", logging.WARNING, outcome.detail
    return "deliveries_given_up", logging.ERROR, outcome.detail
