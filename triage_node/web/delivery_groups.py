"""Deliveries of a study for people: what stands alike at one destination in one line, forty heatmaps too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from triage_node.core.study_state import DeliveryState
from triage_node.web.shown_reading import Record


@dataclass(frozen=True)
class DeliveryGroup:
    """Deliveries of one revision to one destination that stand alike.

    Attributes
    ----------
    objects
        For example ``1 SR, 12 SC``.
    attempts
        The most of any.
    next_attempt_at, sent_at
        The earliest, the latest; None where there is none.
    """

    destination: str
    revision: int
    objects: str
    state: DeliveryState
    attempts: int
    detail: str
    warned: bool
    commitment: str | None
    next_attempt_at: str | None
    sent_at: str | None
    delivery_ids: tuple[int, ...]

    @property
    def can_be_retried(self) -> bool:
        """Whether nobody tries any more."""
        return self.state is DeliveryState.GIVEN_UP


def delivery_groups(study: Record) -> Sequence[DeliveryGroup]:
    """Group the deliveries of a study, the newest revision first."""
    groups: dict[tuple[Any, ...], list[tuple[Record, Record]]] = {}
    for evidence, delivery in _deliveries(study):
        alike = (delivery["state"], delivery["detail"] or "", delivery["commitment"], bool(delivery["warning"]))
        groups.setdefault((evidence["revision"], delivery["destination"], *alike), []).append((evidence, delivery))
    return tuple(_group(members) for _, members in sorted(groups.items(), key=lambda each: (-each[0][0], each[0][1])))


def _deliveries(study: Record) -> Iterator[tuple[Record, Record]]:
    for series in study["series"]:
        for entry in series["revisions"]:
            for evidence in entry["evidence"]:
                for delivery in evidence["deliveries"]:
                    yield evidence, delivery


def _group(members: Sequence[tuple[Record, Record]]) -> DeliveryGroup:
    kinds = Counter(evidence["kind"] for evidence, _ in members)
    deliveries = [delivery for _, delivery in members]
    evidence, first = members[0]
    return DeliveryGroup(
        destination=first["destination"],
        revision=evidence["revision"],
        objects=", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        state=DeliveryState(first["state"]),
        attempts=max(each["attempts"] for each in deliveries),
        detail=first["detail"] or "",
        warned=bool(first["warning"]),
        commitment=first["commitment"],
        next_attempt_at=min((each["next_attempt_at"] for each in deliveries if each["next_attempt_at"]), default=None),
        sent_at=max((each["sent_at"] for each in deliveries if each["sent_at"]), default=None),
        delivery_ids=tuple(each["delivery_id"] for each in deliveries),
    )
