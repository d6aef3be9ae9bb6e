"""Why a series was not read, or failed: one enumeration, shown on the worklist and documented in the runbook."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Reason codes. The first group refuses a series, the second says what went wrong on our side."""

    NOT_CT = "NOT_CT"
    NO_PIXELS = "NO_PIXELS"
    LOCALIZER = "LOCALIZER"
    DERIVED = "DERIVED"
    CONTRAST = "CONTRAST"
    NOT_HEAD = "NOT_HEAD"
    NOT_AXIAL = "NOT_AXIAL"
    NO_GEOMETRY = "NO_GEOMETRY"
    TOO_FEW_SLICES = "TOO_FEW_SLICES"
    TOO_MANY_SLICES = "TOO_MANY_SLICES"
    SHORT_COVERAGE = "SHORT_COVERAGE"
    MISSING_SLICES = "MISSING_SLICES"
    IRREGULAR_SPACING = "IRREGULAR_SPACING"
    MULTIPLE_STACKS = "MULTIPLE_STACKS"
    UNDECODABLE = "UNDECODABLE"
    BETTER_SERIES = "BETTER_SERIES"

    WORKER_LOST = "WORKER_LOST"
    DEFECT = "DEFECT"
    DELIVERY_GIVEN_UP = "DELIVERY_GIVEN_UP"


REASON_TEXTS: dict[Reason, str] = {
    Reason.NOT_CT: "The series is not CT.",
    Reason.NO_PIXELS: "The instances carry no pixel data.",
    Reason.LOCALIZER: "The series is a localizer (scout).",
    Reason.DERIVED: "The series is derived, reformatted or a screen save, not an original acquisition.",
    Reason.CONTRAST: "The series was taken with contrast agent.",
    Reason.NOT_HEAD: "The images do not show a human head.",
    Reason.NOT_AXIAL: "The slices are not axial within the limits.",
    Reason.NO_GEOMETRY: "Position, orientation or pixel spacing is missing, so the slices cannot be put in order.",
    Reason.TOO_FEW_SLICES: "There are fewer slices than a head needs.",
    Reason.TOO_MANY_SLICES: "There are more slices than this node reads.",
    Reason.SHORT_COVERAGE: "The slices do not cover enough of a head.",
    Reason.MISSING_SLICES: "Slices are missing within the series.",
    Reason.IRREGULAR_SPACING: "The slice positions are irregular.",
    Reason.MULTIPLE_STACKS: "The series holds more than one stack of slices.",
    Reason.UNDECODABLE: "The pixel data cannot be decoded.",
    Reason.BETTER_SERIES: "Another series of the study suits better and is read instead.",
    Reason.WORKER_LOST: "The process that read the series ended twice while it did.",
    Reason.DEFECT: "The node failed; the log has the details.",
    Reason.DELIVERY_GIVEN_UP: "A destination did not take the evidence within the set time.",
}


@dataclass(frozen=True)
class Refusal:
    """A reason with what was measured, for the worklist."""

    reason: Reason
    detail: str = ""
