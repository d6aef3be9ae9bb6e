"""The JSON document of a reading, for a webhook: a pager, a chat, a script of the site.

In: what is to be told. Out: one JSON object in UTF-8, the same bytes for the same reading; its names are those of
`triage-node worklist --json`. Never a patient's name or birth date; the Patient ID only where the site wants it, because
such receivers lie outside the hospital more often than not. docs/WEBHOOK.md lists the keys.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from triage_node.core.finding import Finding
from triage_node.core.ports import EvidenceObject
from triage_node.core.report import NOTICE
from triage_node.core.study_state import State, proposed_priority
from triage_node.evidence.message import Message

FORMAT_VERSION = 1
"""Rises when a key changes its meaning or goes; new keys may come at any time."""


class WebhookEvent(StrEnum):
    """What happened; the header ``X-Triage-Event`` says it again."""

    STUDY_READ = "study.read"
    STUDY_NOT_ANALYSED = "study.not_analysed"
    STUDY_UNACKNOWLEDGED = "study.unacknowledged"


def webhook_document(message: Message, *, with_patient_id: bool = False) -> bytes:
    """Compose the document.

    Parameters
    ----------
    with_patient_id
        Whether the Patient ID is told.
    """
    order, refusal = message.order, message.refusal
    event = WebhookEvent.STUDY_READ if message.finding is not None else WebhookEvent.STUDY_NOT_ANALYSED
    document = {
        "format_version": FORMAT_VERSION,
        "event": event.value,
        "delivery_id": message.message_uid,
        "node": message.node.station_name,
        "study_instance_uid": order.study_instance_uid,
        "series_instance_uid": message.series_instance_uid,
        "accession_number": order.accession.value,
        **({"patient_id": order.patient.value} if with_patient_id else {}),
        **_result(message.finding),
        "state": (State.EVIDENCED if refusal is None else State.NOT_ANALYSED).value,
        "reason": None if refusal is None else refusal.reason.value,
        "reason_detail": None if refusal is None else refusal.detail,
        "revision": message.revision,
        "supersedes_report": message.predecessor_uid,
        "created_at": message.created_at.isoformat(timespec="milliseconds"),
        "impression": message.impression,
        "evidence": [_reference(each) for each in message.evidence],
        "notice": NOTICE,
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _result(finding: Finding | None) -> dict[str, Any]:
    """Return what was found; every key is there, null where nothing was read."""
    if finding is None:
        keys = ("priority", "flagged", "ich_probability", "subtypes", "subtypes_present", "model")
        return dict.fromkeys(keys)
    subtypes = finding.subtypes
    return {
        "priority": proposed_priority(finding).value,
        "flagged": bool(finding.flagged),
        "ich_probability": round(float(finding.ich_probability), 4),
        "subtypes": None if subtypes is None else {name: round(float(each), 4) for name, each in subtypes.items()},
        "subtypes_present": list(finding.subtypes_present),
        "model": {
            "name": finding.model_name,
            "version": finding.model_version,
            "weights_sha256": finding.weights_sha256,
            "operating_point": finding.operating_point,
            "operating_threshold": float(finding.operating_threshold),
        },
    }


def _reference(made: EvidenceObject) -> dict[str, str]:
    return {
        "kind": made.kind,
        "sop_class_uid": made.sop_class_uid,
        "sop_instance_uid": made.sop_instance_uid,
        "series_instance_uid": made.series_instance_uid,
    }
