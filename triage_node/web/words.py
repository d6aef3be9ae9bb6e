"""What the codes of a study are called on pages. Nothing here says that there is blood, or that there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triage_node.core.finding import SUBTYPE_NAMES
from triage_node.core.reader_task import EscalationState, TaskState
from triage_node.core.reason import REASON_TEXTS, Reason
from triage_node.core.study_state import DeliveryState, Priority, State

STATE_WORDS: Mapping[State, str] = {
    State.RECEIVING: "Receiving",
    State.CLOSED: "Being analysed",
    State.CLASSIFIED: "Analysed, writing the report",
    State.EVIDENCED: "Analysed, sending",
    State.FORWARDED: "Analysed and sent",
    State.NOT_ANALYSED: "Not analysed",
    State.FAILED: "Failed",
}
PRIORITY_WORDS: Mapping[Priority, str] = {
    Priority.STAT: "STAT",
    Priority.HIGH: "High",
    Priority.ROUTINE: "Routine",
}
REASON_WORDS: Mapping[Reason, str] = {
    Reason.NOT_CT: "Not CT",
    Reason.NO_PIXELS: "No pixel data",
    Reason.LOCALIZER: "Localizer",
    Reason.DERIVED: "Derived series",
    Reason.CONTRAST: "Contrast agent",
    Reason.NOT_HEAD: "Not a head",
    Reason.NOT_AXIAL: "Not axial",
    Reason.NO_GEOMETRY: "No slice positions",
    Reason.TOO_FEW_SLICES: "Too few slices",
    Reason.TOO_MANY_SLICES: "Too many slices",
    Reason.SHORT_COVERAGE: "Too little of the head",
    Reason.MISSING_SLICES: "Slices missing",
    Reason.IRREGULAR_SPACING: "Irregular spacing",
    Reason.MULTIPLE_STACKS: "Several stacks",
    Reason.UNDECODABLE: "Cannot be decoded",
    Reason.BETTER_SERIES: "Another series is better",
    Reason.WORKER_LOST: "Reading process ended",
    Reason.DEFECT: "Failure of the node",
    Reason.DELIVERY_GIVEN_UP: "Delivery given up",
}
TASK_WORDS: Mapping[TaskState, str] = {
    TaskState.SCHEDULED: "Unread",
    TaskState.IN_PROGRESS: "Being read",
    TaskState.COMPLETED: "Read",
}
ESCALATION_WORDS: Mapping[EscalationState, str] = {
    EscalationState.DUE: "being called",
    EscalationState.DONE: "called",
    EscalationState.STOPPED: "not called, somebody acknowledged",
    EscalationState.GIVEN_UP: "could not be reached",
}


def state_words(state: str) -> str:
    """Return what a state is called."""
    return STATE_WORDS[State(state)]


def escalation_words(state: EscalationState) -> str:
    """Return where one step of the chain stands."""
    return ESCALATION_WORDS[state]


def priority_words(priority: str) -> str:
    """Return what a priority is called."""
    return PRIORITY_WORDS[Priority(priority)]


def reason_words(reason: str) -> str:
    """Return a reason in a few words."""
    return REASON_WORDS[Reason(reason)]


def reason_sentence(reason: str) -> str:
    """Return a reason as a sentence."""
    return REASON_TEXTS[Reason(reason)]


def probability_words(probability: float | None) -> str:
    """Return a probability in per cent; what is near the ends is not rounded to certainty.

    Examples
    --------
    >>> probability_words(0.934), probability_words(0.999), probability_words(0.002)
    ('93 %', 'over 99 %', 'under 1 %')
    """
    if probability is None:
        return ""
    if probability > 0.99:
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{probability:.0%}".replace("%", " %")


def subtypes_words(present: Sequence[str] | None) -> str:
    """Return the subtypes that were found.

    Examples
    --------
    >>> subtypes_words(["SDH", "SAH"])
    'subdural, subarachnoid'
    """
    return ", ".join(SUBTYPE_NAMES[name].removesuffix(" hemorrhage").lower() for name in present or ())


def patient_words(patient_name: str) -> str:
    """Return a person name (PS3.5 6.2.1) as people write it.

    Examples
    --------
    >>> patient_words("Doe^Jane^^Dr")
    'Doe, Jane, Dr'
    """
    groups = (group for group in patient_name.split("=") if group.strip("^ "))
    return " · ".join(", ".join(part for part in group.split("^") if part.strip()) for group in groups)


def elapsed_words(seconds: float) -> str:
    """Return a time span as ``static/triage.js`` goes on showing it.

    Examples
    --------
    >>> elapsed_words(42), elapsed_words(250), elapsed_words(3900), elapsed_words(300000)
    ('42 s', '4 min', '1 h 05 min', '3 days')
    """
    whole = max(0, int(seconds))
    minutes, hours = whole // 60, whole // 3600
    if whole < 60:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60:02} min" if hours < 48 else f"{hours // 24} days"


def moment_words(moment: str | None) -> str:
    """Return a time for whom no script shows it in the browser's own time zone.

    Examples
    --------
    >>> moment_words("2026-03-02T08:00:12.5+00:00")
    '2026-03-02 08:00 UTC'
    """
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC" if moment else ""


@dataclass(frozen=True)
class DeliveryWords:
    """How far a study is with one destination; ``look`` is the badge: good, warning, alarm, or empty."""

    destination: str
    name: str
    words: str
    look: str


def delivery_words(deliveries: Mapping[str, Mapping[str, int]]) -> list[DeliveryWords]:
    """Return the state of each destination, as ``worklist_entries`` counts its objects.

    Examples
    --------
    >>> delivery_words({"PACS@10.0.0.5:104": {"DUE": 1, "SENT": 2, "GIVEN_UP": 0, "SUPERSEDED": 0}})[0].words
    'sending, 2 of 3'
    """
    return [_delivery(destination, counts) for destination, counts in deliveries.items()]


def _delivery(destination: str, counts: Mapping[str, Any]) -> DeliveryWords:
    name = destination.split("@")[0]
    due, sent, given_up = (counts[each] for each in (DeliveryState.DUE, DeliveryState.SENT, DeliveryState.GIVEN_UP))
    total = due + sent + given_up
    if given_up:
        return DeliveryWords(destination, name, f"given up, {given_up} of {total}", "alarm")
    if due:
        return DeliveryWords(destination, name, f"sending, {sent} of {total}", "warning")
    return DeliveryWords(destination, name, "sent" if sent else "superseded", "good" if sent else "")


def audit_detail_words(detail: Mapping[str, Any]) -> str:
    """Return what a line of the audit trail says beside who did what; what is empty stays away.

    Examples
    --------
    >>> audit_detail_words({"images": True, "series": None, "asked": {"actor": "house"}})
    'images: yes, asked: actor house'
    """
    said = ((key, _detail_value(value)) for key, value in detail.items())
    return ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in said if value)


def _detail_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " and ".join(f"{key} {each}" for key, each in value.items())
    return "" if value is None else str(value)
