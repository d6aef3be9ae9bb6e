"""The round by the clock that calls somebody for flagged studies that nobody acknowledged, and lifts what has waited long.

In: the chain of the settings. Out: calls, each noted before and after it is made. A call that fails is tried again until it is
given up, with an alarm in the log; the next step of the chain does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from triage_node.core.destination import DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.escalation import EscalationCall, EscalationStep
from triage_node.core.ports import Clock, Escalations, NoticeWriter, Sender, SendOutcome

log = structlog.get_logger(__name__)

NOT_OLDER_THAN = timedelta(hours=24)
"""Nobody is called for a study that was flagged before this: it was read elsewhere, or the chain is new."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 60.0
_CALLS_A_ROUND = 100

Told = Callable[[EscalationCall, EscalationStep, SendOutcome], None]


@dataclass(frozen=True)
class EscalationPath:
    """One round.

    Attributes
    ----------
    chain
        Who is called after how long; empty: nobody.
    senders
        One for each kind that the chain names.
    waiting_cap_s
        A study of ROUTINE priority that has waited this long for a reader becomes HIGH; None: it waits for ever.
    give_up_after_s
        A call is tried for so long after it was due.
    told
        Told of each call that was made, for the audit trail.
    """

    escalations: Escalations
    notices: NoticeWriter
    chain: Sequence[EscalationStep]
    senders: Mapping[DestinationKind, Sender]
    clock: Clock
    waiting_cap_s: float | None
    lease_s: float
    give_up_after_s: float
    told: Told

    def round(self) -> None:
        """Lift what waits, note what is due, call."""
        now = self.clock.now()
        if self.waiting_cap_s is not None:
            lifted = self.escalations.raise_waiting(now, timedelta(seconds=self.waiting_cap_s))
            if lifted:
                log.info("waiting_studies_raised", studies=lifted)
        if not self.chain:
            return
        self.escalations.plan(self.chain, now, flagged_since=now - NOT_OLDER_THAN)
        for _ in range(_CALLS_A_ROUND):
            call = self.escalations.claim(self.clock.now(), lease_s=self.lease_s)
            if call is None:
                return
            self._call(call)

    def _call(self, call: EscalationCall) -> None:
        step = self.chain[call.step - 1] if call.step <= len(self.chain) else None
        if step is None:
            outcome = SendOutcome("", Action.GIVE_UP, None, "the chain has no such step any more")
        else:
            outcome = self._made(call, step)
        now = self.clock.now()
        again_at = self._again_at(call, now) if outcome.action is Action.TRY_AGAIN else None
        self.escalations.save(call.escalation_id, outcome, now, again_at=again_at)
        shown = {"study_instance_uid": call.study_instance_uid, "step": call.step, "detail": outcome.detail}
        if outcome.action in (Action.DONE, Action.DONE_WITH_WARNING) and step is not None:
            log.warning("study_escalated", **shown, waiting_s=round(call.waiting_s(now)))
            self.told(call, step, outcome)
        elif again_at is not None:
            log.warning("escalation_put_off", **shown)
        else:
            log.error("escalation_given_up", **shown)

    def _made(self, call: EscalationCall, step: EscalationStep) -> SendOutcome:
        try:
            notice = self.notices.write(call, step.destination.kind, self.clock.now())
            (outcome,) = self.senders[step.destination.kind].send(step.destination, [notice])
        except Exception as error:
            log.exception("escalation_failed", study_instance_uid=call.study_instance_uid, step=call.step)
            return SendOutcome("", Action.TRY_AGAIN, None, type(error).__name__, answered=False)
        return outcome

    def _again_at(self, call: EscalationCall, now: datetime) -> datetime | None:
        if now - call.due_at >= timedelta(seconds=self.give_up_after_s):
            return None
        return now + timedelta(seconds=min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(call.attempts, 10)))
