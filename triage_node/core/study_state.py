"""States, priorities and delivery states, and the one table by which each may change.

A series travels RECEIVING, CLOSED, CLASSIFIED, EVIDENCED, FORWARDED; or ends NOT_ANALYSED with a reason code, a normal
end, or FAILED, which asks for the operator. A late slice opens the next revision from any closed state. A study shows
the state of its leading series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from triage_node.core.errors import Defect
from triage_node.core.finding import Finding


class State(StrEnum):
    """Where a series, and so its study, stands."""

    RECEIVING = "RECEIVING"
    CLOSED = "CLOSED"
    CLASSIFIED = "CLASSIFIED"
    EVIDENCED = "EVIDENCED"
    FORWARDED = "FORWARDED"
    NOT_ANALYSED = "NOT_ANALYSED"
    FAILED = "FAILED"


FINAL_STATES = frozenset({State.FORWARDED, State.NOT_ANALYSED, State.FAILED})


class Event(StrEnum):
    """What can happen to a series."""

    SLICE_ARRIVED = "SLICE_ARRIVED"
    CLOSE = "CLOSE"
    CLASSIFY = "CLASSIFY"
    WRITE_EVIDENCE = "WRITE_EVIDENCE"
    FORWARD = "FORWARD"
    DECLINE = "DECLINE"
    CHOOSE = "CHOOSE"
    FAIL = "FAIL"
    REPROCESS = "REPROCESS"
    SEND_AGAIN = "SEND_AGAIN"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.RECEIVING, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.RECEIVING, Event.CLOSE): State.CLOSED,
    (State.CLOSED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.CLOSED, Event.DECLINE): State.NOT_ANALYSED,
    (State.CLOSED, Event.CLASSIFY): State.CLASSIFIED,
    (State.CLOSED, Event.FAIL): State.FAILED,
    (State.CLASSIFIED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.CLASSIFIED, Event.CLASSIFY): State.CLASSIFIED,
    (State.CLASSIFIED, Event.WRITE_EVIDENCE): State.EVIDENCED,
    (State.CLASSIFIED, Event.FAIL): State.FAILED,
    (State.EVIDENCED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.EVIDENCED, Event.FORWARD): State.FORWARDED,
    (State.EVIDENCED, Event.FAIL): State.FAILED,
    (State.EVIDENCED, Event.REPROCESS): State.CLOSED,
    (State.FORWARDED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.FORWARDED, Event.REPROCESS): State.CLOSED,
    (State.FORWARDED, Event.SEND_AGAIN): State.EVIDENCED,
    (State.NOT_ANALYSED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.NOT_ANALYSED, Event.CHOOSE): State.CLOSED,
    (State.NOT_ANALYSED, Event.REPROCESS): State.CLOSED,
    (State.NOT_ANALYSED, Event.FAIL): State.FAILED,
    (State.FAILED, Event.SLICE_ARRIVED): State.RECEIVING,
    (State.FAILED, Event.FORWARD): State.FORWARDED,
    (State.FAILED, Event.REPROCESS): State.CLOSED,
}
"""Every change a series may make. FAILED to FORWARDED: the operator sent given-up deliveries again and they went. FORWARDED
back to EVIDENCED: an archive did not commit to what it had accepted. NOT_ANALYSED to FAILED: the report that says so could
not be written."""


class IllegalTransition(Defect):
    """A step asked for a change that the table does not hold."""


class Overtaken(IllegalTransition):
    """A step came back with a revision that is no longer the current one: a late slice or a reprocess opened the next."""


def after(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises
    ------
    IllegalTransition
        The table has no such change.

    Examples
    --------
    >>> after(State.RECEIVING, Event.CLOSE)
    <State.CLOSED: 'CLOSED'>
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a series in state {state} cannot {event}") from None


_LEADING_ORDER = (
    State.FORWARDED,
    State.EVIDENCED,
    State.CLASSIFIED,
    State.CLOSED,
    State.FAILED,
    State.RECEIVING,
    State.NOT_ANALYSED,
)


def leading_state(states: Iterable[State]) -> State:
    """Return the state a study shows: of the series that went farthest; a refusal only where nothing else is there.

    A failure leads over a series still arriving, so that the operator sees it at once.

    Examples
    --------
    >>> leading_state([State.NOT_ANALYSED, State.CLOSED])
    <State.CLOSED: 'CLOSED'>
    """
    return min(states, key=_LEADING_ORDER.index)


class Priority(StrEnum):
    """Reading priority of a study (the values of PS3.3 C.4.11 requested procedure priority that we use)."""

    STAT = "STAT"
    HIGH = "HIGH"
    ROUTINE = "ROUTINE"

    @property
    def rank(self) -> int:
        """0 for the most urgent, so that an ascending sort puts it first."""
        return (Priority.STAT, Priority.HIGH, Priority.ROUTINE).index(self)


def raised(current: Priority, proposed: Priority) -> Priority:
    """Return the more urgent of the two: a priority never falls.

    Examples
    --------
    >>> raised(Priority.STAT, Priority.ROUTINE)
    <Priority.STAT: 'STAT'>
    """
    return min(current, proposed, key=lambda each: each.rank)


def proposed_priority(finding: Finding) -> Priority:
    """Return the priority that a finding asks for: STAT where the subject is flagged, else what everyone has.

    Examples
    --------
    >>> from triage_node.core.finding import SliceFinding
    >>> slices = (SliceFinding("1.2", 0.9, None, True),)
    >>> proposed_priority(Finding(0.9, True, None, (), slices, "m", "1", "0" * 64, "default", 0.5))
    <Priority.STAT: 'STAT'>
    """
    return Priority.STAT if finding.flagged else Priority.ROUTINE


class DeliveryState(StrEnum):
    """Where one object stands on its way to one destination."""

    DUE = "DUE"
    SENT = "SENT"
    GIVEN_UP = "GIVEN_UP"
    SUPERSEDED = "SUPERSEDED"


class DeliveryEvent(StrEnum):
    """What an attempt at a delivery came to."""

    ACCEPTED = "ACCEPTED"
    PUT_OFF = "PUT_OFF"
    GIVE_UP = "GIVE_UP"
    RETRY = "RETRY"
    NOT_COMMITTED = "NOT_COMMITTED"
    SUPERSEDE = "SUPERSEDE"


DELIVERY_TRANSITIONS: Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (DeliveryState.DUE, DeliveryEvent.ACCEPTED): DeliveryState.SENT,
    (DeliveryState.DUE, DeliveryEvent.PUT_OFF): DeliveryState.DUE,
    (DeliveryState.DUE, DeliveryEvent.GIVE_UP): DeliveryState.GIVEN_UP,
    (DeliveryState.DUE, DeliveryEvent.SUPERSEDE): DeliveryState.SUPERSEDED,
    (DeliveryState.GIVEN_UP, DeliveryEvent.RETRY): DeliveryState.DUE,
    (DeliveryState.SENT, DeliveryEvent.ACCEPTED): DeliveryState.SENT,
    (DeliveryState.SENT, DeliveryEvent.NOT_COMMITTED): DeliveryState.DUE,
    (DeliveryState.SUPERSEDED, DeliveryEvent.ACCEPTED): DeliveryState.SENT,
}
"""Every change a delivery may make. SUPERSEDED: the destination has heard a newer answer, and the older one would undo it;
to SENT: a courier whose lease had run out sent it all the same."""


def delivery_after(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Return the delivery state that follows.

    Raises
    ------
    IllegalTransition
        The table has no such change.

    Examples
    --------
    >>> delivery_after(DeliveryState.DUE, DeliveryEvent.ACCEPTED)
    <DeliveryState.SENT: 'SENT'>
    """
    try:
        return DELIVERY_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a delivery in state {state} cannot {event}") from None
