"""What calls somebody for a flagged study that nobody acknowledges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triage_node.core.audit import AuditAction
from triage_node.core.destination import DestinationKind
from triage_node.core.escalation import EscalationCall, EscalationStep
from triage_node.core.ports import SendOutcome
from triage_node.settings import Settings
from triage_node.wiring.database import audit_trail
from triage_node.wiring.forwarding import senders
from triage_node.wiring.installation import SystemClock

if TYPE_CHECKING:
    from triage_node.core.ports import Sender
    from triage_node.pipeline.escalation import EscalationPath


def callers(settings: Settings) -> Mapping[DestinationKind, Sender]:
    """Return one sender for each kind of step."""
    from triage_node.forwarding.smtp_mail import MailSender

    if settings.smtp_host is None:
        return senders(settings)
    mail = MailSender(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.mail_from,
        user=settings.smtp_user,
        password_file=settings.smtp_password_file,
        timeout_s=settings.dimse_timeout_s,
    )
    return {**senders(settings), DestinationKind.EMAIL: mail}


def escalation_path(settings: Settings) -> EscalationPath:
    """Join the chain of the settings with what it calls through."""
    from triage_node.evidence.escalation_notice import EscalationNotices
    from triage_node.pipeline.escalation import EscalationPath
    from triage_node.worklist.engine import make_engine
    from triage_node.worklist.escalations import SqlEscalations

    trail, clock = audit_trail(settings), SystemClock()

    def told(call: EscalationCall, step: EscalationStep, outcome: SendOutcome) -> None:
        detail = {"step": call.step, "kind": step.destination.kind.value, "answer": outcome.detail}
        trail.note("escalation", AuditAction.ESCALATED, call.study_instance_uid, "", detail, clock.now())

    return EscalationPath(
        SqlEscalations(make_engine(settings.database)),
        EscalationNotices(
            settings.data_dir / "escalations",
            settings.ae_title,
            web_address=settings.web_address,
            mail_from=settings.mail_from,
            patient_id_outside=settings.webhook_patient_id,
        ),
        settings.escalation,
        callers(settings),
        clock,
        waiting_cap_s=settings.waiting_cap_s or None,
        lease_s=settings.lease_s,
        give_up_after_s=settings.escalation_give_up_after_s,
        told=told,
    )
